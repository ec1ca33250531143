"""Where this machine lets us limit a process's memory and number of processes."""

from __future__ import annotations

import contextlib
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

    def make(self, name: str, memory_bytes: int | None) -> Path:
        """Make (or find) the group ``name`` with our limits. Raises OSError."""
        group = self.parent / name
        group.mkdir(exist_ok=True)
        for file, value in self._limits(memory_bytes):
            (group / file).write_text(value)
        with contextlib.suppress(OSError):  # machines without swap accounting have no such file
            self._limit_swap(group, memory_bytes)
        return group

    def _limits(self, memory_bytes: int | None) -> list[tuple[str, str]]:
        limits = [("pids.max", str(PIDS_MAX))] if "pids" in self.controllers else []
        if "memory" in self.controllers and memory_bytes is not None:
            name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
            limits.append((name, str(memory_bytes)))
        return limits

    def _limit_swap(self, group: Path, memory_bytes: int | None) -> None:
        if "memory" not in self.controllers or memory_bytes is None:
            return
        if self.version == 2:
            _write_existing(group / "memory.swap.max", "0")
            _write_existing(group / "memory.oom.group", "1")
        else:
            _write_existing(group / "memory.memsw.limit_in_bytes", str(memory_bytes))


def _write_existing(path: Path, text: str) -> None:
    with path.open("r+") as file:
        file.write(text)


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
