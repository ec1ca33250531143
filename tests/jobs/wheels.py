"""A package index of our own: a folder of wheels written by hand, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_wheel(folder: Path, name, version, files=None, requires=(), tag="py3-none-any", **more):
    """Write a wheel; ``files`` maps names to texts, the package's own module if none are given."""
    module = name.replace("-", "_")
    contents = dict(files or {f"{module}.py": f"__version__ = {version!r}\n"})
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    needs += f"Requires-Python: {more['python']}\n" if "python" in more else ""
    contents[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    )
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = [f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for member, text in contents.items():
            packed.writestr(member, text)
    return path


def _digest(text):
    found = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={found.rstrip(b'=').decode()}"


def use(folder: Path, cache: Path, monkeypatch):
    """Make ``folder`` all that uv knows; every environment wants cloudpickle."""
    folder.mkdir(exist_ok=True)
    write_wheel(folder, "cloudpickle", metadata.version("cloudpickle"))
    write_wheel(folder, "pip", "26.0")
    settings = folder.with_suffix(".toml")
    settings.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    return folder
