import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire.checksums import CHECKSUMS, FoldedCrc

CRC32 = 0xEDB88320


def bit_by_bit(data, polynomial, width):
    """The definition."""
    value = ones = (1 << width) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return (value ^ ones).to_bytes(width // 8, "big")


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
    ],
)
def test_published_values(name, check):
    """The checksum of ``123456789``, by which the catalogue of CRCs names each."""
    digest = CHECKSUMS[f"x-amz-checksum-{name}"]()
    digest.update(b"1234")
    digest.update(b"56789")
    assert digest.digest().hex() == check


@given(
    pieces=st.lists(st.binary(max_size=400), max_size=5),
    which=st.sampled_from([(CRC32, 32), (0x82F63B78, 32), (0x9A6C9329AC4BC9B5, 64)]),
)
def test_pieces_of_any_size(pieces, which):
    folded = FoldedCrc(*which)
    for piece in pieces:
        folded.update(piece)
    assert folded.digest() == bit_by_bit(b"".join(pieces), *which)


def test_large_pieces():
    data = bytes(range(256)) * 12_345
    folded = FoldedCrc(CRC32, 32)
    folded.update(data[:1_000_003])
    folded.update(data[1_000_003:])
    assert folded.digest() == zlib.crc32(data).to_bytes(4, "big")
    assert base64.b64encode(folded.digest())
