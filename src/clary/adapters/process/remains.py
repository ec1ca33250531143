"""What a job's processes leave behind when the first of them ends, and how it is done away with."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal costs as much as all else
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 64 * 1024


def signal(target: int, number: int, send: Callable[[int, int], None] = os.kill) -> None:
    """Send a signal; what is gone already needs none."""
    try:
        send(target, number)
    except ProcessLookupError:
        return


def kill_orphans() -> int:
    """SIGKILL and reap what became our children, level by level; returns the most KiB of one."""
    me, most = os.getpid(), 0
    while True:
        for child in read(f"/proc/{me}/task/{me}/children").split():
            signal(int(child), _signal.SIGKILL)
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return most
        most = max(most, usage.ru_maxrss)
        if pid == 0:
            time.sleep(0.001)


def memory_kills(*files: str) -> int:
    """Return how many processes the kernel says it killed for want of memory."""
    lines = [line.split() for file in files for line in read(file).splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == "oom_kill")


def leave(cgroups: list[str]) -> int:
    """Kill what is left in the groups and remove them; returns how often memory ran out."""
    kills = 0
    for group in cgroups:
        kills += memory_kills(group + "/memory.events", group + "/memory.oom_control")
        for _ in range(200):
            for pid in read(group + "/cgroup.procs").split():
                signal(int(pid), _signal.SIGKILL)
            try:
                os.rmdir(group)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.005)
    return kills


def read(path: str) -> str:
    """Return a small file's text; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST)
    except OSError:
        return ""
