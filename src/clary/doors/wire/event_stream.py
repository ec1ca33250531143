"""Answers as a stream of events: AWS's binary framing, each event with its length and checksums.

A message is: total length, length of the headers (both 4 bytes, big-endian), CRC-32 of these 8
bytes; headers; payload; CRC-32 of all before. A header is a length-prefixed name (1 byte), the
type 7 (text), and a length-prefixed value (2 bytes).
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clary.doors.wire.model import ShapeDocument

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_TEXT = 7
_LARGEST_PAYLOAD = 1 << 20


def encode(
    events: Iterable[Mapping[str, Any]], shapes: Mapping[str, ShapeDocument], name: str
) -> Iterator[bytes]:
    """Write events, each a mapping of one member of the union shape ``name`` to its value."""
    for event in events:
        for member, value in event.items():
            shape = shapes[shapes[name]["members"][member]["shape"]]
            yield from _messages(member, shape, value)


def _messages(member: str, shape: ShapeDocument, value: Mapping[str, Any]) -> Iterator[bytes]:
    if shape.get("exception"):
        headers = {":exception-type": member, ":content-type": "application/json"}
        yield message({":message-type": "exception", **headers}, msgspec.json.encode(value))
        return
    headers = {":event-type": member, ":content-type": "application/octet-stream"}
    payload = next(iter(value.values()))
    for start in range(0, len(payload), _LARGEST_PAYLOAD) or (0,):
        piece = payload[start : start + _LARGEST_PAYLOAD]
        yield message({":message-type": "event", **headers}, piece)


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Frame one message."""
    written = b"".join(_header(name, value.encode()) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(written) + len(payload), len(written))
    checked = prelude + struct.pack("!I", zlib.crc32(prelude)) + written + payload
    return checked + struct.pack("!I", zlib.crc32(checked))


def _header(name: str, value: bytes) -> bytes:
    return (
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _TEXT, len(value)) + value
    )
