"""Build a virtual environment from a pinned requirements file, saying clearly what is missing.

Stdlib only, because it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED_BYTES = 1 << 30
ROOT = Path(__file__).resolve().parent.parent


def complain(problem: str, remedy: str) -> None:
    """End with one clear sentence and what to do."""
    sys.exit(f"clary setup: {problem}\n  {remedy}")


def check_machine(target: Path) -> None:
    """Say what this machine lacks, before anything is written."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):
        complain(f"python3 is {version}, 3.11 or newer is needed", "make PYTHON=python3.12 …")
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        complain(
            "python3 has no venv module",
            f"apt-get install python{version.rpartition('.')[0]}-venv",
        )
    free = shutil.disk_usage(target.resolve().parent).free
    if free < NEEDED_BYTES:
        complain(f"only {free >> 20} MiB of disk are free, 1024 are needed", "free some space")


def run(what: str, *argv: str | Path) -> None:
    """Run one installing command; end with its output if it fails."""
    done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        complain(f"{what} failed", output[-3000:].replace("\n", "\n  "))


def install_uv(bootstrap: Path) -> Path:
    """Install uv beside the environment, not into it, so that the environment stays small."""
    run("python3 -m venv", sys.executable, "-m", "venv", bootstrap)
    run(
        "installing uv",
        *(bootstrap / "bin" / "python", "-m", "pip", "install", "-q"),
        *("--disable-pip-version-check", "-r", ROOT / "requirements/uv.txt"),
    )
    return bootstrap / "bin" / "uv"


def warm(python: Path, modules: list[str]) -> None:
    """Import modules once, so that their bytecode is there.

    A job's root is read-only: what is not compiled now, each job would compile again.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    code = "\n".join(f"import {module}" for module in modules)
    subprocess.run([str(python), "-c", code], env=environment, check=True)


def main() -> None:
    """Build the environment named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("requirements", type=Path)
    parser.add_argument("--editable", type=Path)
    parser.add_argument("--warm", nargs="*", default=[], metavar="MODULE")
    args = parser.parse_args()
    check_machine(args.venv)
    print(f"building {args.venv} from {args.requirements} …", flush=True)
    done = args.venv / ".done"
    done.unlink(missing_ok=True)
    python = args.venv / "bin" / "python"
    if not python.exists():
        run("python3 -m venv", sys.executable, "-m", "venv", "--without-pip", args.venv)
    with tempfile.TemporaryDirectory() as bootstrap:
        uv = install_uv(Path(bootstrap))
        install = (uv, "pip", "install", "-q", "--python", python)
        run("installing the pinned packages", *install, "-r", args.requirements)
        if args.editable:
            run("installing clary", *install, "--no-deps", "-e", args.editable)
    warm(python, args.warm)
    done.touch()


if __name__ == "__main__":
    main()
