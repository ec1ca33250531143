"""A job's own writable environment on top of a built one, for what it installs itself.

It lies in the job's workspace and goes with it; to the interpreter it is a virtual environment
whose packages come before those of the one below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.jobs.contract import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "environment"
INSIDE = f"{ROOT}/{_NAME}"
"""Where the job sees it."""

_PIP = '#!/bin/sh\nexec python -m pip "$@"\n'


def write(ml: Path, below: Path) -> None:
    """Lay one out in the workspace ``ml``, over the environment in ``below``."""
    (packages,) = below.glob("lib/python3*/site-packages")
    top = ml / _NAME
    own = top / packages.relative_to(below)
    own.mkdir(parents=True)
    (own / "_below.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
    (top / "bin").mkdir()
    for name in ("python", "python3"):
        (top / "bin" / name).symlink_to(below / "bin" / "python")
    for name in ("pip", "pip3"):
        (top / "bin" / name).write_text(_PIP)
        (top / "bin" / name).chmod(0o755)
    (top / "pyvenv.cfg").write_text((below / "pyvenv.cfg").read_text())
