"""The server's side of a sandbox that steps share: one process, one socket, one step at a time.

The program in the sandbox is ``containers/step_host.py``. Only it writes below its ``/opt/ml``
once it runs: a server that wrote there could be led astray by links that a step has made.
"""

from __future__ import annotations

import marshal
import os
import socket
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated

import msgspec

from clary.jobs.launch import CONTAINERS
from clary.kernel.errors import ClaryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from clary.jobs.ports import JobRunner, ProcessSpec

MOST_BYTES = 96 << 10
"""How large a step may be as one packet."""
_LAST = b"last"
_PACKET = 1 << 18


_START = """\
import marshal, sys, types
with open(sys.argv[1], "rb") as file:
    modules = marshal.load(file)
for name, code in modules:
    module = sys.modules[name] = types.ModuleType(name)
    exec(code, module.__dict__)
module.main()
"""
COMMAND = ("python3", "-c", _START, "/opt/ml/program")
"""What runs in the sandbox: modules of ours, compiled once a server and not once a sandbox."""


class Reply(msgspec.Struct, frozen=True):
    """How a step ended: its exit code, the lines of its log, and what it left, if that is little.

    ``files`` are by path below its folder. What is None must be looked for there; the log in a
    file of that name.
    """

    code: Annotated[int, msgspec.Meta(ge=0, le=255)]
    log: bytes | None
    files: dict[str, bytes] | None


class HostLostError(ClaryError):
    """The process behind the socket has ended."""


class Host:
    """One sandbox.

    Parameters
    ----------
    runner
        What runs it.
    name
        Its process id there.

    Attributes
    ----------
    ml
        The host directory that is ``/opt/ml`` inside.
    stored
        The numbers of the steps whose files are of no more use there.
    """

    def __init__(self, runner: JobRunner, name: str) -> None:
        self._runner = runner
        self.name = name
        self.ml = runner.workspace(name)
        self._codes: set[str] = set()
        self.stored: list[str] = []
        self._to: socket.socket | None = None
        self._listener = _listener(self.ml)

    @property
    def is_connected(self) -> bool:
        """Whether it takes steps by now."""
        return self._to is not None

    def fileno(self) -> int:
        """Return the file that becomes readable when something has happened."""
        return (self._to or self._listener).fileno()

    def start(self, spec: ProcessSpec) -> None:
        """Start the process, which is to run COMMAND; returns before it is connected.

        Raises ClaryError or OSError.
        """
        (self.ml / "program").write_bytes(_program())
        self._runner.start(spec)

    def is_running(self) -> bool:
        """Whether the process lives; this looks at files."""
        status = self._runner.status(self.name)
        return status is not None and status.state == "running"

    def accept(self) -> None:
        """Take the connection that is there."""
        self._to, _ = self._listener.accept()
        self._listener.close()

    def run(self, step: Mapping[str, Any], code: tuple[str, Mapping[str, bytes]]) -> None:
        """Begin a step; ``code`` is sent when it is not there yet. Raises HostLostError."""
        name, files = code
        sent = {**step, "code": name, "files": {} if name in self._codes else dict(files)}
        sent["stored"], self.stored = self.stored, []
        self._send(marshal.dumps(sent))
        self._codes.add(name)

    def end(self) -> Reply:
        """Return how the step that runs has ended. Raises HostLostError."""
        if self._to is None:
            raise HostLostError(f"{self.name} is not there")
        try:
            packet = self._to.recv(_PACKET)
        except OSError:
            packet = b""
        if not packet:
            raise HostLostError(f"{self.name} has ended")
        try:
            reply = msgspec.json.decode(packet, type=Reply)
        except msgspec.DecodeError as error:
            raise HostLostError(f"{self.name} talks nonsense: {error}") from None
        if not all(map(_is_below, reply.files or ())):
            raise HostLostError(f"{self.name} names files that cannot be")
        return reply

    def let_go(self, log: Path) -> None:
        """Have it end with the step that it runs, whose log is here. Raises HostLostError."""
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            self._send(_LAST, file)
        finally:
            os.close(file)
        self.disconnect()

    def disconnect(self) -> None:
        """Close the socket; the process ends, unless it was let go."""
        for one in (self._to, self._listener):
            if one is not None:
                one.close()

    def discard(self) -> None:
        """End the process and remove what it leaves. Raises Unavailable."""
        self.disconnect()
        self._runner.discard(self.name)

    def _send(self, packet: bytes, *files: int) -> None:
        if self._to is None:
            raise HostLostError(f"{self.name} is not there")
        try:
            socket.send_fds(self._to, [packet], files)
        except OSError as error:
            raise HostLostError(f"{self.name} has ended: {error}") from None


@cache
def _program() -> bytes:
    modules = [(name, CONTAINERS / f"{name}.py") for name in ("step_worker", "step_host")]
    return marshal.dumps(
        [(name, compile(path.read_bytes(), str(path), "exec")) for name, path in modules]
    )


def _is_below(path: str) -> bool:
    return "\0" not in path and not {"", ".", ".."}.intersection(path.split("/"))


def _listener(ml: Path) -> socket.socket:
    """Bind a socket in a folder, by way of its handle: a socket's path may have 107 bytes."""
    handle = os.open(ml, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with suppress(FileNotFoundError):
            (ml / "socket").unlink()
        listener.bind(f"/proc/self/fd/{handle}/socket")
        listener.listen(1)
    finally:
        os.close(handle)
    return listener
