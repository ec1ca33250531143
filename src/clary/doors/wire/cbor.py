"""CBOR (RFC 8949), as far as AWS's clients write and read it."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clary.doors.wire.scalars import Mismatch, read_time

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEEPEST = 64
_BREAK = 0xFF
_INDEFINITE = 31
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS: Mapping[int, tuple[str, int]] = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_TIME = 1


def loads(body: bytes) -> Any:
    """Read one item: numbers, text, bytes, lists, maps with text keys, booleans, null, times.

    Raises
    ------
    Mismatch
        It is not CBOR of these, or nested too deeply, or more follows.
    """
    reader = _Reader(body)
    value = reader.item(0)
    if reader.at != len(body):
        raise Mismatch(f"The body is not CBOR: {len(body) - reader.at} bytes follow its end")
    return value


class _Reader:
    """Reads from a body, item after item."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    def item(self, depth: int) -> Any:
        """Read the next item."""
        if depth > _DEEPEST:
            raise Mismatch(f"The body is nested deeper than {_DEEPEST}")
        first = self._take(1)[0]
        major, more = first >> 5, first & 31
        match major:
            case 0:
                return self._number(more)
            case 1:
                return -1 - self._number(more)
            case 2 | 3:
                return self._string(major, more)
            case 4:
                return [self.item(depth + 1) for _ in self._count(more)]
            case 5:
                return dict(self._pair(depth + 1) for _ in self._count(more))
        return self._time(more, depth) if major == 6 else self._simple(more)

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._body):
            raise Mismatch("The body is not CBOR: it ends in the middle of an item")
        taken = self._body[self.at : end]
        self.at = end
        return taken

    def _number(self, more: int) -> int:
        if more < 24:
            return more
        if more not in _WIDTHS:
            raise Mismatch(f"The body is not CBOR: no length {more} is known")
        return int.from_bytes(self._take(_WIDTHS[more]))

    def _count(self, more: int) -> Any:
        """Yield once for each item of a list or map that follows."""
        if more != _INDEFINITE:
            yield from range(self._number(more))
            return
        while not self._ended():
            yield None

    def _ended(self) -> bool:
        if self.at < len(self._body) and self._body[self.at] == _BREAK:
            self.at += 1
            return True
        return False

    def _string(self, major: int, more: int) -> bytes | str:
        pieces = []
        if more == _INDEFINITE:
            while not self._ended():
                first = self._take(1)[0]
                if first >> 5 != major or first & 31 == _INDEFINITE:
                    raise Mismatch("The body is not CBOR: a string of other items")
                pieces.append(self._take(self._number(first & 31)))
        else:
            pieces.append(self._take(self._number(more)))
        whole = b"".join(pieces)
        if major == 2:
            return whole
        try:
            return whole.decode()
        except UnicodeDecodeError as error:
            raise Mismatch(f"The body is not CBOR: {error}") from None

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.item(depth)
        if not isinstance(key, str):
            raise Mismatch("The body has a map whose keys are no text")
        return key, self.item(depth)

    def _time(self, more: int, depth: int) -> datetime:
        tag = self._number(more)
        value = self.item(depth + 1)
        if tag != _TIME or isinstance(value, str):
            raise Mismatch(f"The body has the tag {tag}; legal: {_TIME} before a number")
        return read_time(value)

    def _simple(self, more: int) -> float | bool | None:
        if more in _SIMPLE:
            return _SIMPLE[more]
        if more not in _FLOATS:
            raise Mismatch(f"The body has the simple value {more}")
        form, size = _FLOATS[more]
        (value,) = struct.unpack(form, self._take(size))
        return float(value)


def dumps(value: Any) -> bytes:
    """Write builtins and moments (as tagged seconds since 1970)."""
    pieces: list[bytes] = []
    _write(value, pieces)
    return b"".join(pieces)


def _write(value: Any, pieces: list[bytes]) -> None:
    match value:
        case None | bool():
            pieces.append({None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value])
        case int():
            pieces.append(_head(0, value) if value >= 0 else _head(1, -1 - value))
        case float():
            pieces.append(b"\xfb" + struct.pack(">d", value))
        case datetime():
            pieces.append(_head(6, _TIME))
            _write(value.timestamp(), pieces)
        case str() | bytes():
            raw = value.encode() if isinstance(value, str) else value
            pieces += (_head(3 if isinstance(value, str) else 2, len(raw)), raw)
        case _:
            _write_many(value, pieces)


def _write_many(value: Any, pieces: list[bytes]) -> None:
    if isinstance(value, dict):
        pieces.append(_head(5, len(value)))
        for key, item in value.items():
            _write(key, pieces)
            _write(item, pieces)
        return
    pieces.append(_head(4, len(value)))
    for item in value:
        _write(item, pieces)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    for more, width in _WIDTHS.items():
        if number < 1 << 8 * width:
            return bytes((major << 5 | more,)) + number.to_bytes(width)
    raise OverflowError(f"{number} has more than 64 bits")
