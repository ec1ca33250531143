"""What goes over a worker's socket: two lengths, a JSON header, a body.

Standard library of any Python from 3.9 on; the server has its own side of this.
"""

from __future__ import annotations

import json
import os
import struct

LENGTHS = struct.Struct(">II")
LARGEST_HEADER = 64 << 10
LARGEST_BODY = int(os.environ.get("CLARY_LARGEST_BODY") or 6 << 20)
PIECE = 1 << 20


def send(connection, header, body=b""):
    """Send one frame."""
    head = json.dumps(header).encode()
    connection.sendall(b"".join((LENGTHS.pack(len(head), len(body)), head, body)))


def receive(connection):
    """Receive one frame: (header, body); None when the other side has closed."""
    lengths = _exactly(connection, LENGTHS.size)
    if lengths is None:
        return None
    head, size = LENGTHS.unpack(lengths)
    if head > LARGEST_HEADER or size > LARGEST_BODY:
        raise ConnectionError(f"a frame of {head} and {size} bytes is too large")
    whole = _exactly(connection, head + size)
    if whole is None:
        raise ConnectionError("the other side closed within a frame")
    return json.loads(whole[:head]), whole[head:]


def _exactly(connection, size):
    """Receive so many bytes; None when there come fewer."""
    parts, missing = [], size
    while missing:
        part = connection.recv(min(missing, PIECE))
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
