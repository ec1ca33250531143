"""Which host paths a Python environment needs to work when only those are visible."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def own_prefixes() -> tuple[Path, ...]:
    """Return the folders of the interpreter that runs this server."""
    return tuple(dict.fromkeys(Path(p) for p in (sys.prefix, sys.exec_prefix, sys.base_prefix)))


def closure(paths: Iterable[Path]) -> list[Path]:
    """Add what ``paths`` refer to: the chains of links from their interpreters to the real ones.

    A path below another, or below a system folder, is left out. The order is the one to mount in:
    parents before children.
    """
    wanted = {name for path in paths for name in _names(path)}
    covered = [f"{folder}/" for folder in SYSTEM]
    shown = []
    for path in sorted(wanted):
        if not f"{path}/".startswith(tuple(covered)):
            covered.append(f"{path}/")
            shown.append(path)
    return shown


def _names(path: Path) -> frozenset[Path]:
    """Return what has to be there for ``path`` to work; our own interpreter does not change."""
    own = own_prefixes()
    return _own_names(path) if path in own else _all_names(path)


def _all_names(path: Path) -> frozenset[Path]:
    return frozenset({path.absolute(), path.resolve(), *_interpreter(path)})


_own_names = cache(_all_names)


def _interpreter(environment: Path) -> set[Path]:
    """Follow ``bin/python`` link by link to the installation that it belongs to."""
    hop = environment / "bin" / "python"
    found: set[Path] = set()
    for _ in range(40):
        if not hop.is_symlink():
            break
        hop = Path(os.path.normpath(hop.parent / hop.readlink()))
        found.add(hop)
    prefix = hop.resolve().parent.parent
    if found and any(prefix.glob("lib/python3*")):
        found |= {prefix, *(h.parent.parent for h in found if h.parent.parent.resolve() == prefix)}
    return found
