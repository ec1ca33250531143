"""The ``/etc`` that processes see: a few harmless files of the host's, and our own users."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from clary.adapters.process import tree

if TYPE_CHECKING:
    from clary.jobs.ports import ProcessSpec

INSIDE_UID = 1000
_HOST = Path("/etc")
# a mount costs a fifth of a millisecond, so small files are copied once instead
_COPIED = (
    *("gai.conf", "host.conf", "ld.so.cache", "localtime", "mime.types", "nsswitch.conf"),
    *("os-release", "protocols", "services", "ssl/openssl.cnf", "timezone"),
)
_MOUNTED = ("crypto-policies", "fonts", "pki/ca-trust", "pki/tls/certs", "ssl/certs")
_IDS = f"x:{INSIDE_UID}:"
_OWN = {
    "passwd": f"root:x:0:0::/:/bin/sh\nsagemaker:{_IDS}{INSIDE_UID}::/tmp:/bin/sh\n"
    "nobody:x:65534:65534::/:/bin/false\n",
    "group": f"root:x:0:\nsagemaker:{_IDS}\nnogroup:x:65534:\n",
    "hosts": "",
    "resolv.conf": "",
}


def shared(root: Path) -> Path:
    """Make (or find) the folder below ``root`` that is every process's ``/etc``.

    It is named for its content, so that servers may share it and none ever changes it.
    """
    contents = {name: text.encode() for name, text in _OWN.items()}
    for name in _COPIED:
        if (_HOST / name).is_file():
            contents[name] = (_HOST / name).read_bytes()
    links = {path.name: path.readlink() for path in _alternatives()}
    known = repr((sorted(contents.items()), sorted(links.items()), _mounted()))
    folder = root / f".etc-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
    if not folder.exists():
        draft = root / f".etc-{os.getpid()}-{id(contents)}"
        _write(draft, contents, links)
        try:
            draft.rename(folder)
        except OSError:  # another server was faster
            tree.remove(draft)
            if not folder.exists():
                raise
    return folder


def mounts(spec: ProcessSpec, shared_folder: Path, folder: Path) -> list[tuple[Path, str]]:
    """Say what to mount: (host path, path inside); writes the process's own ``hosts`` file."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    for number, name in enumerate(sorted({spec.hostname, *spec.peers})):
        lines.append(f"127.0.{1 + number // 250}.{1 + number % 250} {name}")
    hosts = folder / "hosts"
    hosts.write_text("\n".join([*lines, ""]))
    hosts.chmod(0o644)
    found = [(shared_folder, "/etc"), (hosts, "/etc/hosts")]
    found += [(_HOST / name, f"/etc/{name}") for name in _mounted()]
    if spec.network and (_HOST / "resolv.conf").exists():
        found.append((_HOST / "resolv.conf", "/etc/resolv.conf"))
    return found


def resolver(shared_folder: Path, *, network: bool) -> Path:
    """Return the host's ``resolv.conf``, or an empty one for a process without network."""
    own = _HOST / "resolv.conf"
    return own if network and own.exists() else shared_folder / "resolv.conf"


def _alternatives() -> list[Path]:
    folder = _HOST / "alternatives"
    return [path for path in folder.iterdir() if path.is_symlink()] if folder.is_dir() else []


def _mounted() -> list[str]:
    return [name for name in _MOUNTED if (_HOST / name).is_dir()]


def _write(draft: Path, contents: dict[str, bytes], links: dict[str, Path]) -> None:
    for folder in ("", "alternatives", *_mounted(), *(str(Path(name).parent) for name in contents)):
        (draft / folder).mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, content in contents.items():
        (draft / name).write_bytes(content)
        (draft / name).chmod(0o644)
    for name, target in links.items():
        (draft / "alternatives" / name).symlink_to(target)
