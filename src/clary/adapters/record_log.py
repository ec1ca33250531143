"""A durable log of what is not yet part of a table: numbered segments of checked frames.

The segment of the highest number is the one that is appended to; there always is one, so that no
number is ever given twice. A segment is the time of its first frame, then frames: a length, a
checksum, that many bytes. What a process that died left unfinished at the end is cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import threading
import zlib
from typing import TYPE_CHECKING

from clary.adapters.file_facts import sync_folder
from clary.kernel.clock import now_us
from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SEGMENT_BYTES = 64 << 20
"""A segment that is longer is followed by another."""
_TIME = struct.Struct("<q")
_FRAME = struct.Struct("<II")
_ENDING = ".log"


class _Waiting:
    """Frames of a thread, until they are on the disk."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.frames = frames
        self.is_done = False
        self.error: OSError | None = None


class RecordLog:
    """The log in ``folder``; any number of threads and processes may use it at once.

    Parameters
    ----------
    is_synced
        Whether what was appended is on the disk; else the system writes it when it likes.
    """

    def __init__(self, folder: Path, *, is_synced: bool = True) -> None:
        self.folder = folder
        self._lock_path = folder / "lock"
        self._is_synced = is_synced
        self._queued: list[_Waiting] = []
        self._queue = threading.Lock()
        self._turn = threading.Lock()
        self._file = -1
        self._number = 0
        self._next = ""
        self._end = 0

    def append(self, frames: Sequence[bytes]) -> None:
        """Keep frames, as durably as was asked when this returns; threads that wait share a write.

        Raises LimitExceeded when no space is left.
        """
        mine = _Waiting(frames)
        with self._queue:
            self._queued.append(mine)
        with self._turn:
            if not mine.is_done:
                with self._queue:
                    together, self._queued = self._queued, []
                self._write(together)
        if mine.error is not None:
            raise LimitExceeded(f"the log of records cannot be written: {mine.error}")

    def seal(self) -> Sequence[int]:
        """Begin a new segment unless the newest is empty; give the numbers of those before it."""
        with self._turn, locked(self._lock_path):
            self._find_end()
            if self._end:
                self._begin(self._number + 1)
            return [number for number in self.numbers() if number < self._number]

    def reserve(self) -> int:
        """Give the number of a segment that nothing is appended to, after all there is.

        It is there, empty, so that whoever has the one before it open sees that it is full.
        """
        with self._turn, locked(self._lock_path):
            self._find_end()
            number = self._number + (self._end > 0)
            self._begin(number)
            self._begin(number + 1)
            return number

    def numbers(self) -> Sequence[int]:
        """Give the numbers of the segments that there are, in order."""
        with contextlib.suppress(FileNotFoundError):
            paths = self.folder.iterdir()
            return sorted(int(path.stem) for path in paths if path.suffix == _ENDING)
        return []

    def read(self, number: int) -> Iterator[bytes]:
        """Yield the frames of a segment. Raises FileNotFoundError when it is gone."""
        with self._path(number).open("rb") as file:
            file.seek(_TIME.size)
            while payload := _next(file.read):
                yield payload

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove segments; the lowest first, by which ``_is_newest`` knows."""
        for number in sorted(numbers):
            self._path(number).unlink(missing_ok=True)

    def waiting(self) -> tuple[int, int | None]:
        """Say how many bytes there are, and when the oldest came in microseconds since 1970."""
        size, oldest = 0, None
        for number in self.numbers():
            with contextlib.suppress(FileNotFoundError), self._path(number).open("rb") as file:
                size += os.fstat(file.fileno()).st_size
                begun = file.read(_TIME.size)
                if oldest is None and len(begun) == _TIME.size:
                    (oldest,) = _TIME.unpack(begun)
        return size, oldest

    def drop(self) -> None:
        """Remove the log with its folder."""
        with self._turn:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._close()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010}{_ENDING}"

    def _write(self, together: Sequence[_Waiting]) -> None:
        failure: OSError | None = None
        try:
            with locked(self._lock_path):
                self._find_end()
                if self._end >= SEGMENT_BYTES:
                    self._begin(self._number + 1)
                self._put([frame for one in together for frame in one.frames])
            if self._is_synced:
                os.fdatasync(self._file)
        except OSError as error:
            failure = error
        for one in together:
            one.error = failure
            one.is_done = True

    def _put(self, frames: Sequence[bytes]) -> None:
        head = b"" if self._end else _TIME.pack(now_us())
        parts = [part for one in frames for part in (_FRAME.pack(len(one), zlib.crc32(one)), one)]
        rest = memoryview(b"".join((head, *parts)))
        size = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += size

    def _find_end(self) -> None:
        """Open the newest segment, and cut off what somebody left unfinished."""
        if not self._is_newest():
            numbers = self.numbers()
            self._begin(numbers[-1] if numbers else 1)
        if os.fstat(self._file).st_size != self._end:
            self._end = _whole(self._file, self._end)
            os.ftruncate(self._file, self._end)

    def _is_newest(self) -> bool:
        return (
            self._file >= 0 and os.fstat(self._file).st_nlink > 0 and not os.path.exists(self._next)  # noqa: PTH110 a text: this is asked at every write
        )

    def _begin(self, number: int) -> None:
        self._close()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path(number), flags, 0o600)
        self._number, self._end = number, 0
        self._next = str(self._path(number + 1))
        sync_folder(self.folder)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def __del__(self) -> None:
        self._close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that one thread of all processes has at a time; makes its file and folder."""
    file = _locked_file(path)
    while not _is_there(file, path):
        os.close(file)
        file = _locked_file(path)
    try:
        yield
    finally:
        os.close(file)


def _locked_file(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _is_there(file: int, path: Path) -> bool:
    """Say whether a lock's file was not removed while it was waited for."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _whole(file: int, end: int) -> int:
    """Say where the last whole frame ends, given the end of one."""
    with open(os.dup(file), "rb") as copy:  # noqa: PTH123 it is opened already
        copy.seek(end or _TIME.size)
        while payload := _next(copy.read):
            end = (end or _TIME.size) + _FRAME.size + len(payload)
    return end


def _next(read: Callable[[int], bytes]) -> bytes:
    """Read a frame; empty at the end, or where one is not whole."""
    head = read(_FRAME.size)
    if len(head) < _FRAME.size:
        return b""
    size, checksum = _FRAME.unpack(head)
    payload = read(size)
    return payload if len(payload) == size and zlib.crc32(payload) == checksum else b""
