"""A server for as long as a command needs one."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from clary.governance.presence import Presence, find
from clary.kernel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S = 60.0
_STOP_S = 30.0
_UP = (sys.executable, "-P", "-m", "clary", "up", "--attached", "--port", "0")


@contextmanager
def server_of(home: Path) -> Iterator[Presence]:
    """Use the server that runs on a home, or run one until the block ends.

    Raises
    ------
    Unavailable
        It cannot be started; the message says why.
    """
    if running := find(home):
        yield running
        return
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryFile() as complaint:
        process = subprocess.Popen(
            [*_UP, "--home", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaint,
            start_new_session=True,
        )
        try:
            yield _wait(home, process, complaint)
        finally:
            _stop(process)


def _wait(home: Path, process: subprocess.Popen[bytes], complaint: IO[bytes]) -> Presence:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if running := find(home):
            return running
        if process.poll() is not None:
            break
        time.sleep(0.02)
    complaint.seek(0)
    said = complaint.read(10_000).decode(errors="replace").removeprefix("clary: ").strip()
    raise Unavailable(
        f"no server starts on {home}: {said or 'it does not get ready'}",
        hint=f"see {home / 'server.log'}",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _leave(number: int, _: object) -> None:
    """End as by an exit, so that what was started is stopped."""
    sys.exit(128 + number)
