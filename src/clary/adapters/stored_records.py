"""How a record is kept in a store of keys and values: the msgpack array of its fields."""

from __future__ import annotations

from typing import Any

import msgspec

from clary.features.model import Record
from clary.kernel.errors import InvalidInput

_encode = msgspec.msgpack.Encoder().encode
_fields = msgspec.msgpack.Decoder(
    tuple[str, int, int, tuple[Any, ...], int, bool, int | None]
).decode


class _Times(msgspec.Struct, array_like=True):
    key: str
    event_us: int
    write_us: int


_times = msgspec.msgpack.Decoder(_Times).decode


def encode(record: Record) -> bytes:
    """Write a record.

    Raises
    ------
    InvalidInput
        It holds an integer of over 64 bits, or text that is not Unicode.
    """
    try:
        return _encode(msgspec.structs.astuple(record))
    except (OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput(
            "Record", f"the record of {record.key!r} cannot be kept: {error}"
        ) from None


def decode(stored: bytes) -> Record:
    """Read a record."""
    return Record(*_fields(stored))


def times(stored: bytes) -> tuple[int, int]:
    """Read the times of a record, by which the later of two is known."""
    found = _times(stored)
    return found.event_us, found.write_us
