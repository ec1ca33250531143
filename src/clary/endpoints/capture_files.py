"""Captured lines on their way into a bucket: files of the home that outlive a killed process.

A file's first line says which object it becomes, the others are the object's lines. Whoever writes
or publishes it holds its lock (``flock``), so that a file whose lock is free was left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from clary.kernel.codec import to_json
from clary.kernel.errors import ClaryError, Conflict, Forbidden, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clary.kernel.ports import ObjectStore

_SUFFIX = ".jsonl"
_CHUNK_BYTES = 1 << 20
_LONGEST_HEADER = 1 << 14
_HEADERS = {"content-type": "application/jsonlines"}


class Header(Struct, frozen=True):
    """Where a file's lines go, and whose they are; ``account`` must own the bucket."""

    account: str
    region: str
    bucket: str
    key: str
    endpoint: str
    variant: str


class CaptureFile:
    """A file that gains lines; whole after every ``append``, also one that failed.

    Raises
    ------
    OSError
        It cannot be made: the disk is full.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.header = header
        self.path = folder / f"{header.key.rpartition('/')[2]}"
        self.records = 0
        self.opened_at = time.monotonic()
        self.handle = _made(self.path)
        self.size_bytes = 0
        try:
            self.append(to_json(header) + b"\n", 0)
        except OSError:
            self.close()
            self.path.unlink()
            raise

    def append(self, lines: bytes, count: int) -> None:
        """Write so many whole lines, all or none. Raises OSError where the disk is full."""
        data = memoryview(lines)
        written = 0
        try:
            while written < len(data):
                written += os.write(self.handle, data[written:])
        except OSError:
            os.ftruncate(self.handle, self.size_bytes)
            raise
        self.size_bytes += len(data)
        self.records += count

    def close(self) -> None:
        """Let go of it; whoever comes first publishes it."""
        os.close(self.handle)


class Spool:
    """The folder of capture files; any number of processes may use it at once.

    Parameters
    ----------
    folder
        Made when it is not there.
    objects
        Where the lines go.
    lost
        Told of lines that can go nowhere any more: their header, how many, and why.
    """

    def __init__(
        self, folder: Path, objects: ObjectStore, lost: Callable[[Header, int, str], None]
    ) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        self.folder = folder
        self._objects = objects
        self._lost = lost

    def publish(self, file: CaptureFile) -> None:
        """Make an object of a file and remove it, or leave it to ``sweep`` where that fails now.

        Raises
        ------
        ClaryError, OSError
            It cannot be published now.
        """
        try:
            self._publish(file.path, file.handle)
        finally:
            file.close()

    def sweep(self) -> None:
        """Publish what was left behind: by a process that was killed, or for want of space.

        Raises
        ------
        ClaryError, OSError
            Something cannot be published now; the rest has been tried.
        """
        failure: Exception | None = None
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                self._adopt(path)
            except (ClaryError, OSError) as error:
                failure = error
        if failure is not None:
            raise failure

    def size_bytes(self) -> int:
        """Say how much waits to be published, by all processes."""
        total = 0
        with os.scandir(self.folder) as found:
            for item in found:
                with contextlib.suppress(FileNotFoundError):  # published meanwhile
                    total += item.stat().st_size
        return total

    def _adopt(self, path: Path) -> None:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:
                self._publish(path, handle)
        except BlockingIOError:
            pass  # somebody is at it
        finally:
            os.close(handle)

    def _publish(self, path: Path, handle: int) -> None:
        start, header = _header(handle)
        end = _last_line_end(handle)
        if header is not None and end > start:
            try:
                self._check(header)
                lines = _chunks(handle, start, end)
                self._objects.put(header.bucket, header.key, lines, headers=_HEADERS, expected="")
            except Conflict:
                pass  # published by a process that was killed before it removed the file
            except (NotFound, Forbidden, InvalidInput) as error:
                count = sum(chunk.count(b"\n") for chunk in _chunks(handle, start, end))
                self._lost(header, count, error.message)
        path.unlink()

    def _check(self, header: Header) -> None:
        """Refuse a bucket that is not there or, made anew, somebody else's."""
        for bucket in self._objects.buckets():
            if bucket.name == header.bucket:
                if bucket.account == header.account:
                    return
                raise Forbidden(f"account {header.account}", "write to", f"bucket {bucket.name}")
        raise NotFound(f"bucket {header.bucket}")


def _made(path: Path) -> int:
    """Open a new file and lock it, before ``sweep`` takes it for one left behind."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # swept away in between


def _header(handle: int) -> tuple[int, Header | None]:
    """Read the first line; where the next one starts, and None when it is not whole."""
    line, end, _ = os.pread(handle, _LONGEST_HEADER, 0).partition(b"\n")
    try:
        return len(line) + 1, msgspec.json.decode(line, type=Header) if end else None
    except msgspec.MsgspecError:
        return len(line) + 1, None


def _last_line_end(handle: int) -> int:
    """Find the end of the last whole line; a torn one behind it is cut."""
    end = os.fstat(handle).st_size
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _chunks(handle: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        size = min(_CHUNK_BYTES, end - start)
        yield os.pread(handle, size, start)
        start += size
