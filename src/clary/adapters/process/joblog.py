"""The log of one job process: lines with times, bounded in total."""

from __future__ import annotations

import codecs
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 256 * 1024


class Log:
    """Writes a byte stream as timestamped lines, bounded in total."""

    def __init__(self, path: str, limit: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._room = limit - os.fstat(self._file).st_size
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._partial = b""
        self._lost = 0
        self._at = 0

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take bytes; whole lines are written at once, a partial one when it is ``final``."""
        *lines, rest = (self._partial + self._decode(data, final).encode()).split(b"\n")
        if len(rest) > 4 * MAX_LINE or (final and rest):
            lines.append(rest)
            rest = b""
        self._partial = rest
        if lines:
            self._write(lines)

    def _write(self, lines: list[bytes]) -> None:
        if self._room < 0:
            return
        self._at = max(self._at, time.time_ns() // 1_000_000)
        stamp = b"%d " % self._at
        out = bytearray()
        for piece in (piece for line in lines for piece in pieces(line)):
            out += stamp + piece + b"\n"
        if len(out) > self._room:
            del out[out.rfind(b"\n", 0, self._room) + 1 :]
            out += stamp + b"clary: this log is full; what follows is not kept\n"
            self._room = 0  # and below, so that this is said once
        self._room -= len(out)
        self._append(bytes(out))

    def _append(self, data: bytes) -> None:
        if self._lost:
            data = b"%d clary: %d bytes were lost: disk full\n" % (self._at, self._lost) + data
        try:
            done = os.write(self._file, data)
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            self._lost += len(data)
        else:
            self._lost = 0


def pieces(line: bytes) -> Iterator[bytes]:
    """Cut a line that is too long, within no UTF-8 character."""
    while len(line) > MAX_LINE:
        cut = MAX_LINE
        while line[cut] & 0xC0 == 0x80:
            cut -= 1
        yield line[:cut]
        line = line[cut:]
    yield line
