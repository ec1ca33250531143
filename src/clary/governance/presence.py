"""Where the server of a home is found, and that there is one at most."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from clary.kernel.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORD = "server.json"
LOCK = "server.lock"
_PATIENCE_S = 0.5


class Presence(msgspec.Struct, frozen=True):
    """A running server: where it answers, its process and since when."""

    endpoint: str
    pid: int
    since: datetime


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """Be the one server of a home until the block ends, or this process does.

    Raises
    ------
    Conflict
        Another server runs on the home.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle, home)
        (home / RECORD).unlink(missing_ok=True)
        yield
        (home / RECORD).unlink(missing_ok=True)
    finally:
        os.close(handle)


def announce(home: Path, presence: Presence) -> None:
    """Write where the server of a home answers, for ``find``; the caller holds the home."""
    draft = home / f".{RECORD}.{presence.pid}"
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.encode(presence))
    draft.replace(home / RECORD)


def find(home: Path) -> Presence | None:
    """Return the server that runs on a home and answers, if there is one."""
    try:
        record = (home / RECORD).read_bytes()
        handle = os.open(home / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return msgspec.json.decode(record, type=Presence)
    finally:
        os.close(handle)
    return None


def _lock(handle: int, home: Path) -> None:
    """Take the lock; a ``find`` may hold it for a moment, a server holds it for long."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                there = find(home)
                where = f" at {there.endpoint} (process {there.pid})" if there else ""
                raise Conflict(
                    f"a server already runs on {home}{where}",
                    hint="use it, stop it, or choose another --home",
                ) from None
            time.sleep(0.02)
        else:
            return
