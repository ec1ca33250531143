"""Profiles as bytes: MessagePack around the plain arrays."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from clary.analysis.arrow_arrays import offsets_of
from clary.analysis.correlations import Correlations
from clary.analysis.distinct import REGISTERS, Distinct
from clary.analysis.frequencies import Frequencies
from clary.analysis.kll import HIGHEST, Kll, Mode
from clary.analysis.moments import Moments
from clary.analysis.profiles import ColumnProfile, Profile, TypeCounts
from clary.kernel.errors import InvalidInput

_MAGIC = b"clary profile 1\n"


class _Column(msgspec.Struct, frozen=True, array_like=True):
    """A column; arrays are little-endian bytes."""

    name: str
    missing: int
    types: TypeCounts
    numbers: Moments
    mode: Mode
    compactions: tuple[int, ...]
    levels: tuple[bytes, ...]
    hashes: bytes
    registers: bytes
    error: int
    counts: bytes
    values: bytes
    offsets: bytes | None


class _Table(msgspec.Struct, frozen=True, array_like=True):
    rows: int
    columns: tuple[_Column, ...]
    correlations: Correlations | None = None


_DECODER = msgspec.msgpack.Decoder(_Table)


def to_bytes(profile: Profile) -> bytes:
    """Write a profile, compactly."""
    table = _Table(profile.rows, tuple(map(_packed, profile.columns)), profile.correlations)
    return _MAGIC + msgspec.msgpack.encode(table)


def from_bytes(data: bytes) -> Profile:
    """Read what ``to_bytes`` wrote.

    Raises
    ------
    InvalidInput
        It is no profile, one of another version, or damaged.
    """
    if not data.startswith(_MAGIC):
        raise InvalidInput("profile", f"it starts with {data[:16]!r}", legal=repr(_MAGIC))
    try:
        table = _DECODER.decode(memoryview(data)[len(_MAGIC) :])
        return Profile(table.rows, tuple(map(_unpacked, table.columns)), table.correlations)
    except (msgspec.DecodeError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise InvalidInput("profile", f"it is damaged: {error}") from None


def _packed(column: ColumnProfile) -> _Column:
    values, offsets = _values_packed(column.frequencies)
    return _Column(
        column.name,
        column.missing,
        column.types,
        column.numbers,
        column.sketch.mode,
        column.sketch.compactions,
        tuple(level.tobytes() for level in column.sketch.levels),
        column.distinct.hashes.tobytes(),
        column.distinct.registers.tobytes(),
        column.frequencies.error,
        column.frequencies.counts.tobytes(),
        values,
        offsets,
    )


def _values_packed(frequencies: Frequencies) -> tuple[bytes, bytes | None]:
    if frequencies.is_numeric:
        return frequencies.values.tobytes(), None
    offsets = offsets_of(frequencies.values)
    data = memoryview(frequencies.values.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    return bytes(data), (offsets - offsets[0]).astype(np.int32).tobytes()


def _unpacked(column: _Column) -> ColumnProfile:
    if not 0 < len(column.levels) == len(column.compactions) <= HIGHEST:
        raise ValueError(f"the levels of column {column.name!r} do not match")
    if len(column.registers) not in (0, REGISTERS):
        raise ValueError(f"the distinct values of column {column.name!r} do not match")
    return ColumnProfile(
        column.name,
        column.missing,
        column.types,
        column.numbers,
        Kll(tuple(map(np.frombuffer, column.levels)), column.compactions, column.mode),
        Distinct(
            np.frombuffer(column.hashes, np.uint64), np.frombuffer(column.registers, np.uint8)
        ),
        _frequencies(column),
    )


def _frequencies(column: _Column) -> Frequencies:
    counts = np.frombuffer(column.counts, np.int64)
    if column.offsets is None:
        values = np.frombuffer(column.values)
    else:
        values = _texts(column.values, column.offsets)
    if len(values) != len(counts):
        raise ValueError(f"values and counts of column {column.name!r} do not match")
    return Frequencies(values, counts, column.error)


def _texts(data: bytes, offsets: bytes) -> pa.StringArray:
    count = len(offsets) // 4 - 1
    texts = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
    texts.validate(full=True)
    return texts
