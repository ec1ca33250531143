"""Which processes may be forked from a preloaded interpreter, and what such a one depends on."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clary.adapters.process.forkserver import program
from clary.adapters.process.interpreters import own_prefixes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.jobs.ports import ProcessSpec

VARIABLES = {
    "LANG": "C.UTF-8",
    "OMP_WAIT_POLICY": "PASSIVE",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # threads cannot be forked
}
"""What a fork server runs with beside PATH and HOME."""

_EARLY = re.compile(
    r"(LD|LC|OMP|GOMP|KMP|MKL|OPENBLAS|GOTO|BLIS|NUMEXPR|VECLIB|MALLOC|GLIBC|JE|ARROW|PYTHON)_?.*"
    r"|LANG|LANGUAGE"
)
"""Variables that programs read when they start; a forked one has started already."""
_LATE = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"})
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_MOUNTED_OVER = tuple(map(Path, ("/tmp", "/dev", "/proc", "/opt/ml")))  # noqa: S108 - inside


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python environment to preload modules of; ``python`` is the name a command has for it."""

    python: Path
    modules: tuple[str, ...]

    @property
    def interpreter(self) -> Path:
        """The one name of all that the interpreter has."""
        usual = self.python.with_name("python")
        return usual if usual.exists() else self.python

    def fingerprint(self) -> str:
        """Return what changes when packages are installed, removed or exchanged."""
        parts = [repr((str(self.interpreter), self.modules))]
        for path in _telling(self.python.parent.parent):
            status = path.stat()
            parts.append(f"{path} {status.st_mtime_ns} {status.st_ino}")
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _telling(prefix: Path) -> Iterator[Path]:
    """Yield the files and folders whose times tell of a change: packages come and go in one."""
    for path in (prefix / "pyvenv.cfg", (prefix / "bin" / "python").resolve()):
        if path.exists():
            yield path
    yield from prefix.glob("lib/python3*/site-packages")


def environment(spec: ProcessSpec, shown: Sequence[Path]) -> Environment | None:
    """Say of which environment a process may be forked; None: it must start by itself.

    ``shown`` are the host paths that it sees.
    """
    command = program.parse(spec.argv)
    if not spec.preload or command is None or not _is_late(spec.environment):
        return None
    if any(over == path or over in path.parents for path in shown for over in _MOUNTED_OVER):
        return None
    found = shutil.which(spec.argv[0], path=spec.environment.get("PATH", os.defpath))
    if found is None or not _PYTHON.fullmatch(Path(found).name):
        return None
    python = Path(found)
    known = {*own_prefixes(), *spec.readable}
    return Environment(python, tuple(spec.preload)) if python.parent.parent in known else None


def _is_late(variables: Mapping[str, str]) -> bool:
    """Say whether no variable comes too late for a program that runs already."""
    return all(
        name in _LATE or VARIABLES.get(name) == value or not _EARLY.fullmatch(name)
        for name, value in variables.items()
    )
