"""How many different values a stream has: exact while they are few, HyperLogLog beyond."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from clary.analysis.arrow_arrays import offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    import pyarrow as pa
    from numpy.typing import NDArray

    Hashes: TypeAlias = NDArray[np.uint64]

EXACT = 2048
_BITS = 14
REGISTERS = 1 << _BITS
_LONGEST_RUN = 64 - _BITS + 1
_NO_HASHES = np.empty(0, dtype=np.uint64)
_NO_REGISTERS = np.empty(0, dtype=np.uint8)
_LONGEST_IN_WORDS = 1024
_MASKS = np.array([(1 << 8 * used) - 1 for used in range(9)], dtype=np.uint64)


@dataclass(frozen=True, eq=False, slots=True)
class Distinct:
    """A sketch of a set of 64-bit hashes; merging is associative and commutative, exactly.

    Parameters
    ----------
    hashes
        All of them, ascending, while there are at most 2,048.
    registers
        Beyond that: 2**14 registers, standard error 0.8 %; else empty.
    """

    hashes: Hashes = field(default_factory=lambda: _NO_HASHES)
    registers: NDArray[np.uint8] = field(default_factory=lambda: _NO_REGISTERS)

    @property
    def count(self) -> int:
        """How many different values there are."""
        if not len(self.registers):
            return len(self.hashes)
        return round(_estimate(self.registers))

    def add(self, hashes: Hashes) -> Distinct:
        """Take hashes; repeats are free to stand in them."""
        return self.merge([Distinct(hashes)])

    def merge(self, others: Iterable[Distinct]) -> Distinct:
        """Join with sketches of other values."""
        every = [self, *others]
        hashes = np.concatenate([one.hashes for one in every])
        dense = [one.registers for one in every if len(one.registers)]
        if not dense:
            hashes = np.unique(hashes)
            if len(hashes) <= EXACT:
                return Distinct(hashes)
        return Distinct(registers=_registers(hashes, dense))


def _registers(hashes: Hashes, dense: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    registers = np.zeros(REGISTERS, dtype=np.uint8)
    for one in dense:
        np.maximum(registers, one, out=registers)
    places = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    ranks = _leading(hashes)
    is_more = ranks > registers[places]  # few are, once the registers have seen something
    np.maximum.at(registers, places[is_more], ranks[is_more])
    return registers


def _leading(hashes: Hashes) -> NDArray[np.uint8]:
    """Count the zeros before the first one in the bits after the register's, plus one."""
    rest = (hashes << np.uint64(_BITS)) >> np.uint64(_BITS)
    _, exponents = np.frexp(rest.astype(np.float64))
    ranks: NDArray[np.uint8] = (_LONGEST_RUN - exponents).astype(np.uint8)
    return ranks


def _estimate(registers: NDArray[np.uint8]) -> float:
    """Estimate a cardinality without bias at any size (Ertl 2017, the improved raw estimator)."""
    counts = np.bincount(registers, minlength=_LONGEST_RUN + 1)
    z = REGISTERS * _tau(1 - counts[_LONGEST_RUN] / REGISTERS)
    for count in counts[_LONGEST_RUN - 1 : 0 : -1]:
        z = (z + float(count)) / 2
    z += REGISTERS * _sigma(counts[0] / REGISTERS)
    return REGISTERS**2 / (2 * math.log(2) * z)


def _sigma(x: float) -> float:
    z, y, before = x, 1.0, -1.0
    while z != before:
        x, before = x * x, z
        z, y = z + x * y, y * 2
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    z, y, before = 1 - x, 1.0, -1.0
    while z != before:
        x, before, y = math.sqrt(x), z, y / 2
        z -= (1 - x) ** 2 * y
    return z / 3


def mix(values: Hashes) -> Hashes:
    """Spread 64-bit values over all bits (the finaliser of splitmix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def of_numbers(values: NDArray[np.float64] | NDArray[np.int64]) -> Hashes:
    """Hash numbers; equal numbers hash alike whatever their type."""
    floats = values.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    hashes = mix(floats.view(np.uint64))
    if values.dtype == np.int64:
        with np.errstate(invalid="ignore"):  # 2**63 has no int64, and differs as it should
            is_rounded = floats.astype(np.int64) != values
        hashes[is_rounded] = mix(values[is_rounded].view(np.uint64))
    return hashes


def of_texts(texts: pa.StringArray) -> Hashes:
    """Hash texts: their UTF-8 in words of 8 bytes, one after the other, and their length."""
    offsets = offsets_of(texts)
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    hashes = mix(lengths.astype(np.uint64))
    longest = int(lengths.max(initial=0))
    if longest > _LONGEST_IN_WORDS:
        for at in order[: int(np.count_nonzero(lengths > _LONGEST_IN_WORDS))]:
            digest = hashlib.blake2b(texts[int(at)].as_buffer(), digest_size=8).digest()
            hashes[at] = int.from_bytes(digest, "little")
    words = _words(texts.buffers()[2])
    is_short = order[int(np.count_nonzero(lengths > _LONGEST_IN_WORDS)) :]
    for start in range(0, min(longest, _LONGEST_IN_WORDS), 8):
        rest = lengths[is_short] - start
        some = is_short[: int(np.count_nonzero(rest > 0))]
        used = np.minimum(rest[: len(some)], 8).astype(np.uint64)
        cells = words[offsets[some] + start] & _MASKS[used]
        hashes[some] = mix(hashes[some] ^ cells)
    return hashes


def _words(data: pa.Buffer | None) -> Hashes:
    """Show the 8 bytes from each byte on as a little-endian word."""
    padded = np.zeros((data.size if data else 0) + 8, np.uint8)
    if data:
        padded[: data.size] = np.frombuffer(data, np.uint8)
    return np.ndarray((len(padded) - 7,), "<u8", padded.data, strides=(1,))
