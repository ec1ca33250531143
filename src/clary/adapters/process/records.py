"""What a process's folder says about it, and how others wait for it and stop it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from clary.adapters.process import remains, tree
from clary.jobs.ports import ProcessStatus
from clary.kernel.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")
_TICK_S = 0.002
_CLAIM_S = 10.0


class Started(msgspec.Struct, frozen=True):
    """The supervisor's claim: from when it is written the process counts as started."""

    pid: int
    started_at: float
    cgroups: list[str]


class Ended(msgspec.Struct, frozen=True):
    """How the process ended."""

    exit_code: int
    ended_by: Literal["itself", "stop", "timeout", "memory"]
    ended_at: float


def status(folder: Path) -> ProcessStatus | None:
    """Say how the process of ``folder`` is; None when it was never started."""
    started = _read(folder / "started.json", Started)
    held = _is_held(folder)
    if started is None:
        return ProcessStatus("running") if held else None
    since = datetime.fromtimestamp(started.started_at, UTC)
    ended = _read(folder / "exit.json", Ended)
    if ended is not None:
        until = datetime.fromtimestamp(ended.ended_at, UTC)
        return ProcessStatus("exited", ended.exit_code, ended.ended_by, since, until)
    return ProcessStatus("running" if held else "lost", started_at=since)


def wait(folder: Path, timeout_s: float) -> ProcessStatus | None:
    """Return its status as soon as it is not running, or after ``timeout_s``."""
    until = time.monotonic() + timeout_s
    while True:
        found = status(folder)
        left = until - time.monotonic()
        if found is None or found.state != "running" or left <= 0:
            return found
        supervisor = _open_supervisor(folder)
        if supervisor is None:
            time.sleep(min(left, _TICK_S))
            continue
        try:
            poll = select.poll()
            poll.register(supervisor, select.POLLIN)
            poll.poll(min(left, 3600.0) * 1000)
        finally:
            os.close(supervisor)


def stop(folder: Path, grace_s: float) -> None:
    """Leave a request to stop and tell the supervisor, if there is one."""
    if not folder.is_dir():
        return
    request = folder / f".stop-{time.monotonic_ns()}-{os.getpid()}"
    with suppress(FileNotFoundError):
        request.write_text(f"{max(0.0, grace_s):.3f}")
        request.replace(folder / "stop")
    supervisor = _open_supervisor(folder)
    if supervisor is not None:
        try:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(supervisor, signal.SIGUSR1)
        finally:
            os.close(supervisor)


def forget(folder: Path) -> None:
    """Remove what is left of a process that runs no more: its control groups, its folder."""
    started = _read(folder / "started.json", Started)
    if started is not None:
        remains.leave(started.cgroups)
    tree.remove(folder)


def acquire(folder: Path, lock: int) -> bool:
    """Take the lock to start the process; False when it has been started.

    Raises
    ------
    Unavailable
        Somebody else holds the lock and yet does not start it.
    """
    until = time.monotonic() + _CLAIM_S
    claim = folder / "started.json"
    while not claim.exists():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise Unavailable(f"another server is starting {folder.name}") from None
            time.sleep(_TICK_S)
        else:
            return not claim.exists()
    return False


def _open_supervisor(folder: Path) -> int | None:
    """Open a handle on the living supervisor: its pid is right for as long as it holds the lock."""
    started = _read(folder / "started.json", Started)
    if started is None:
        return None
    try:
        handle = os.pidfd_open(started.pid)
    except ProcessLookupError:
        return None
    if _is_held(folder):
        return handle
    os.close(handle)
    return None


def _is_held(folder: Path) -> bool:
    """Say whether somebody holds the process's lock."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
