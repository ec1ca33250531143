"""The checksums that S3 clients send, as running digests."""

from __future__ import annotations

import functools
import hashlib
import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SHORT = 64


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the checksum so far."""


class Crc32:
    """CRC-32 as a running checksum."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Return the checksum so far, big-endian."""
        return self._value.to_bytes(4, "big")


class FoldedCrc:
    """A reflected CRC with all ones before and after, for which Python has no compiled function.

    The data are one long polynomial over GF(2), the first bit its highest power. With ``n`` powers
    below its upper half, that half times ``x**n mod p`` is congruent to it and half as long; the
    product is a few shifts and exclusive-ors of big integers, which run at the speed of memory.

    Parameters
    ----------
    polynomial
        The generator without its highest power, reflected.
    width
        Its degree, bits.
    """

    def __init__(self, polynomial: int, width: int) -> None:
        self._polynomial = polynomial
        self._width = width
        self._ones = (1 << width) - 1
        self._value = self._ones

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        size = len(data)
        bits = int.from_bytes(data, "little")
        if size > _SHORT:
            bits ^= self._value
            self._value = 0
        while size > _SHORT:
            upper = (size - _SHORT // 4) // 2
            below = 8 * (size - upper)
            half = bits & ((1 << 8 * upper) - 1)
            bits >>= 8 * upper
            for shift in _shifts(self._polynomial, self._width, below, 8 * upper):
                bits ^= half << shift
            size -= upper
        table = _table(self._polynomial)
        for byte in bits.to_bytes(size, "little"):
            self._value = (self._value >> 8) ^ table[(self._value ^ byte) & 0xFF]

    def digest(self) -> bytes:
        """Return the checksum so far, big-endian."""
        return (self._value ^ self._ones).to_bytes(self._width // 8, "big")


CHECKSUMS: Mapping[str, Callable[[], Digest]] = {
    "x-amz-checksum-crc32": Crc32,
    "x-amz-checksum-crc32c": functools.partial(FoldedCrc, 0x82F63B78, 32),
    "x-amz-checksum-crc64nvme": functools.partial(FoldedCrc, 0x9A6C9329AC4BC9B5, 64),
    "x-amz-checksum-sha1": hashlib.sha1,
    "x-amz-checksum-sha256": hashlib.sha256,
}
"""The checksums that are verified, by the header or trailer that carries them."""


@functools.cache
def _table(polynomial: int) -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        return value

    return tuple(entry(byte) for byte in range(256))


@functools.lru_cache(4096)
def _shifts(polynomial: int, width: int, below: int, upper: int) -> tuple[int, ...]:
    """Where the upper half lands in the lower: a shift for each power of ``x**below mod p``."""
    residue = _power(polynomial, width, below)
    return tuple(
        below - upper - power for power in range(width) if residue >> (width - 1 - power) & 1
    )


def _power(polynomial: int, width: int, exponent: int) -> int:
    """Return ``x**exponent mod p``, reflected: bit ``width - 1 - k`` is the power ``k``."""
    result = 1 << (width - 1)
    for bit in f"{exponent:b}":
        result = _product(polynomial, width, result, result)
        if bit == "1":
            result = (result >> 1) ^ (polynomial if result & 1 else 0)
    return result


def _product(polynomial: int, width: int, left: int, right: int) -> int:
    result = 0
    for power in range(width):
        if right >> (width - 1 - power) & 1:
            result ^= left
        left = (left >> 1) ^ (polynomial if left & 1 else 0)
    return result
