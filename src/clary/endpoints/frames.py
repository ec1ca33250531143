"""The server's end of a worker's socket. What comes from there is hostile: bounded and checked."""

from __future__ import annotations

import os
import socket
import stat
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from clary.endpoints.invocations import LARGEST_BODY
from clary.kernel.codec import to_json

if TYPE_CHECKING:
    from pathlib import Path

_LENGTHS = struct.Struct(">II")
_LARGEST_HEADER = 64 << 10
_PIECE = 1 << 20
_BEAT_BYTES = 4096
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Vanished(Exception):
    """The worker is gone, or does not keep to the protocol.

    ``sent`` says whether it may have seen the request.
    """

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


class Late(Exception):
    """The worker has not answered in time."""


class Header(msgspec.Struct, frozen=True):
    """What a worker says beside the body of an answer."""

    status: int = 200
    type: str = ""
    attributes: str = ""
    error: str = ""
    more: bool = False
    end: bool = False


class Beat(msgspec.Struct, frozen=True):
    """What a worker is at.

    ``served`` counts its answers; ``busy_s`` is how long it has sent nothing for the request it is
    at, ``idle_s`` how long ago the last one came where it is at none.
    """

    served: int = 0
    busy_s: float = 0.0
    idle_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an answer."""

    header: Header
    body: bytes


class Channel:
    """A connection to a worker.

    Parameters
    ----------
    path
        Its socket on the host.
    timeout_s
        How long connecting may take.
    largest
        Bytes of a body, at most.

    Raises
    ------
    Vanished
        Nobody listens there.
    """

    def __init__(self, path: Path, timeout_s: float = 5.0, *, largest: int = LARGEST_BODY) -> None:
        self._largest = largest
        self._socket = _connected(path, timeout_s)
        self._buffer = bytearray()

    def send(self, header: dict[str, Any], body: bytes, deadline: float) -> None:
        """Send a request; ``deadline`` is on the monotonic clock. Raises Vanished, Late."""
        head = to_json(header)
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(b"".join((_LENGTHS.pack(len(head), len(body)), head, body)))
        except TimeoutError:
            raise Late from None
        except OSError as error:
            raise Vanished(f"it took no request: {error}", sent=False) from None

    def receive(self, deadline: float) -> Frame:
        """Receive a frame of the answer. Raises Vanished, Late."""
        head, size = _LENGTHS.unpack(self._exactly(_LENGTHS.size, deadline))
        if head > _LARGEST_HEADER or size > self._largest:
            raise Vanished(f"it sent a frame of {head} and {size} bytes")
        whole = self._exactly(head + size, deadline)
        try:
            return Frame(msgspec.json.decode(whole[:head], type=Header), whole[head:])
        except msgspec.DecodeError as error:
            raise Vanished(f"it sent no frame: {error}") from None

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            try:
                self._socket.settimeout(_left(deadline))
                part = self._socket.recv(min(_PIECE, max(size - len(self._buffer), 8192)))
            except TimeoutError:
                raise Late from None
            except OSError as error:
                raise Vanished(str(error)) from None
            if not part:
                raise Vanished("it closed the connection")
            self._buffer += part
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found


def beat(path: Path, timeout_s: float) -> Beat:
    """Ask a worker what it is at.

    Raises
    ------
    Vanished
        Nobody is there, or says what can be understood.
    Late
        It has not said so in time.
    """
    connection = _connected(path, timeout_s)
    until, said = time.monotonic() + timeout_s, b""
    with connection:
        try:
            while len(said) <= _BEAT_BYTES:
                connection.settimeout(_left(until))
                part = connection.recv(_BEAT_BYTES)
                if not part:
                    return msgspec.json.decode(said, type=Beat)
                said += part
        except TimeoutError:
            raise Late from None
        except (OSError, msgspec.DecodeError) as error:
            raise Vanished(f"it says nothing that can be understood: {error}") from None
    raise Vanished("it says too much")


def _connected(path: Path, timeout_s: float) -> socket.socket:
    """Connect to exactly the socket at ``path``: no link leads elsewhere, of any length."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = os.open(path.parent, _PATH | os.O_DIRECTORY)
        try:
            handle = os.open(path.name, _PATH, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            if not stat.S_ISSOCK(os.fstat(handle).st_mode):
                raise Vanished(f"{path.name} is no socket", sent=False)
            connection.settimeout(timeout_s)
            connection.connect(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
    except OSError as error:
        connection.close()
        raise Vanished(f"it cannot be reached: {error}", sent=False) from None
    except Vanished:
        connection.close()
        raise
    return connection


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Late
    return left
