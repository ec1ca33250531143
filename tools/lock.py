"""Resolve pyproject.toml into the pinned files under requirements/. Needs uv (`pip install uv`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"


def main() -> None:
    """Write every pinned file."""
    uv = shutil.which("uv", path=f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        sys.exit("clary lock: uv is missing\n  pip install uv")
    common = (
        *(uv, "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--upgrade"),
        *("--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"),
    )
    jobs = {
        "demo.txt": ["pyproject.toml", "--extra", "demo", "--no-emit-package", "clary"],
        "dev.txt": [
            "pyproject.toml",
            *("--extra", "demo", "--extra", "tuning", "--extra", "environments"),
            *("--extra", "serving", "--extra", "features", "--extra", "monitoring"),
            *("--extra", "flows"),
            "--group",
            "dev",
            "--no-emit-package",
            "clary",
        ],
        "uv.txt": [str(REQUIREMENTS / "uv.in")],
        "sagemaker.txt": [str(REQUIREMENTS / "sagemaker.in")],
    }
    for name, args in jobs.items():
        output = REQUIREMENTS / name
        subprocess.run([*common, *args, "-o", str(output)], cwd=ROOT, check=True)
        print(f"wrote requirements/{name}")


if __name__ == "__main__":
    main()
