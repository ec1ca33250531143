"""Where this machine lets us limit a process's memory and number of processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PIDS_MAX = 4096


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A directory below which groups with one or two controllers can be made.

    ``version`` is 1 or 2; version 1 has a tree for every controller.
    """

    parent: Path
    controllers: tuple[str, ...]
    version: int

    def make(self, name: str, memory_bytes: int) -> Path:
        """Make (or find) the group ``name`` with its limits. Raises OSError."""
        path = self.parent / name
        path.mkdir(exist_ok=True)
        if "pids" in self.controllers:
            (path / "pids.max").write_text(str(PIDS_MAX))
        if "memory" in self.controllers:
            limit, swap, value = (
                ("memory.max", "memory.swap.max", "0")
                if self.version == 2
                else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", str(memory_bytes))
            )
            (path / limit).write_text(str(memory_bytes))
            if (path / swap).exists():  # only where the kernel counts it
                (path / swap).write_text(value)
        return path


def find(mounts: str, membership: str) -> tuple[ControlGroup, ...]:
    """Find the groups below which we may make our own; empty when nowhere.

    Parameters
    ----------
    mounts
        Text of ``/proc/self/mounts``.
    membership
        Text of ``/proc/self/cgroup``.
    """
    where: dict[str, Path] = {}
    for line in mounts.splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind == "cgroup2":
            where[""] = Path(point)
        elif kind == "cgroup":
            where.update((option, Path(point)) for option in options.split(","))
    found: dict[str, ControlGroup] = {}
    for line in membership.splitlines():
        _, names, path = line.split(":", 2)
        wanted = ("memory", "pids") if not names else tuple(names.split(","))
        root = where.get(names.split(",")[0])
        for controller in ("memory", "pids"):
            if root is None or controller not in wanted or controller in found:
                continue
            group = _usable(root, path, controller, 1 if names else 2)
            if group is not None:
                found |= dict.fromkeys(group.controllers, group)
    return tuple(dict.fromkeys(found.values()))


def _usable(root: Path, path: str, controller: str, version: int) -> ControlGroup | None:
    """Try our own group, then those above it: version 2 wants siblings, not children."""
    own = root / path.strip("/")
    for parent in (own, *own.parents):
        if parent != root and root not in parent.parents:
            break
        probe = parent / f"clary-probe-{os.getpid()}"
        try:
            probe.mkdir()
        except OSError:
            continue
        try:
            controllers = tuple(
                name
                for name, file in (
                    ("memory", "memory.max" if version == 2 else "memory.limit_in_bytes"),
                    ("pids", "pids.max"),
                )
                if (probe / file).exists()
            )
        finally:
            probe.rmdir()
        if controller in controllers:
            return ControlGroup(parent, controllers, version)
    return None
