"""JSON documents a line, or one list of them, as rows."""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pyarrow as pa

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LONGEST_LINE = 16 << 20
_LARGEST_LIST = 512 << 20
_decode = msgspec.json.Decoder().decode


def rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Read rows of names and values, in order.

    Raises
    ------
    InvalidInput
        A line is no JSON object; names the file and the line.
    LimitExceeded
        A line is longer than 16 MiB, or a list larger than 512 MiB.
    """
    for file in files:
        with opened(file) as reading:
            yield from _list(file, reading) if is_list(reading) else _lines(file, reading)


@contextmanager
def opened(file: Path) -> Iterator[io.BufferedReader]:
    """Open a file that may be compressed by gzip or zstandard.

    Raises
    ------
    InvalidInput
        Within the block: it cannot be read, or what is compressed is damaged.
    """
    try:
        with file.open("rb") as plain, _unpacked(plain) as reading:
            yield reading
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(str(file), f"it cannot be read: {error}") from error


def _unpacked(plain: io.BufferedReader) -> io.BufferedReader:
    start = plain.peek(4)
    if start.startswith(b"\x1f\x8b"):
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=plain)))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(plain), "zstd"))
    return plain


def is_list(reading: io.BufferedReader) -> bool:
    """Say whether the file holds one JSON list."""
    return reading.peek(256).lstrip().startswith(b"[")


def _lines(file: Path, reading: io.BufferedReader) -> Iterator[dict[str, Any]]:
    number = 0
    while line := reading.readline(_LONGEST_LINE + 1):
        number += 1
        place = f"{file}, line {number}"
        if len(line) > _LONGEST_LINE:
            raise LimitExceeded(f"{place}: it is longer than {_LONGEST_LINE >> 20} MiB")
        if not line.isspace():
            yield _row(_decoded(line, place), place)


def _list(file: Path, reading: io.BufferedReader) -> Iterator[dict[str, Any]]:
    data = reading.read(_LARGEST_LIST + 1)
    if len(data) > _LARGEST_LIST:
        limit = f"{_LARGEST_LIST >> 20} MiB"
        raise LimitExceeded(f"{file}: a list larger than {limit}", hint="write an object a line")
    for at, row in enumerate(_decoded(data, str(file))):
        yield _row(row, f"{file}, row {at + 1}")


def _decoded(data: bytes, place: str) -> Any:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(place, f"no JSON: {error}") from None


def _row(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(place, f"a JSON {type(value).__name__}", legal="an object")
    return value
