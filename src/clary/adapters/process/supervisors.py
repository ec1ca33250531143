"""Starts the program that supervisors are forked from (``source``), and hands plans to them."""

from __future__ import annotations

import hashlib
import marshal
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clary.adapters.process import handover, joblog, linux, programs, remains, shim, source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


_DEFAULT = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
"""What jobs do not inherit: a server under ``nohup`` ignores SIGHUP, for one."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What supervisors are forked from: gone when its socket closes."""

    pid: int
    requests: socket.socket


class Supervisors:
    """The supervisors that this server starts.

    Parameters
    ----------
    folder
        Where their compiled program lies, and a file of what they have to complain about.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._source: _Source | None = None

    def start(self, plan: dict[str, Any], lock: int, *more: int) -> None:
        """Start a process; returns when the claim is durable.

        Parameters
        ----------
        plan
            What the supervisor needs to know; see ``shim``. The process inherits ``contents``, and
            then ``more``, under the numbers ``files`` after the two that the supervisor adds.
        lock
            The open lock of the process's folder.

        Raises
        ------
        OSError
            It was not started, for want of memory, processes or disk.
        """
        self.reap()
        with _opened(plan.pop("contents")) as contents:
            self._start(plan, [lock, *contents, *more])

    def _start(self, plan: dict[str, Any], files: Sequence[int]) -> None:
        answer = self._hand(plan, files)
        if not answer:  # it died; without an answer nothing was run
            self.close()
            answer = self._hand(plan, files)
        if answer != b"ok":
            raise OSError(answer.decode("utf-8", "replace") or "its supervisor died")

    def reap(self) -> None:
        """Take leave of what supervisors are forked from, if it has ended, so it is no zombie."""
        with self._lock:
            if self._source is not None and _has_ended(self._source.pid):
                self._source.requests.close()
                self._source = None

    def close(self) -> None:
        """End what supervisors are forked from; those that run go on, and a start makes another."""
        with self._lock:
            former, self._source = self._source, None
        if former is not None:
            former.requests.close()  # which ends it
            with suppress(ChildProcessError):
                os.waitpid(former.pid, 0)

    @cached_property
    def _program(self) -> Path:
        """The shim and its parts, compiled once a version."""
        text = programs.compiled((linux, remains, joblog, handover, shim, source))
        version = hashlib.sha256(text).hexdigest()[:16]
        program = self._folder / f".shim-{version}"
        if not program.exists():
            draft = self._folder / f".shim-{os.getpid()}-{id(self)}"
            draft.write_bytes(text)
            draft.replace(program)
        return program

    def _spawn(self) -> _Source:
        ours, theirs = socket.socketpair()
        appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with theirs:
            pid = os.posix_spawn(
                os.path.realpath(sys.executable),
                ["clary-job", "-I", "-S", "-c", programs.START, str(self._program)],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(self._folder / ".errors"), appending, 0o600),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULT,
            )
        return _Source(pid, ours)

    def _fork(self) -> socket.socket:
        """Have a supervisor forked; returns the socket to it."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            if self._source is None:
                self._source = self._spawn()
            try:
                socket.send_fds(self._source.requests, [b"\0"], [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return ours

    def _hand(self, plan: dict[str, Any], files: Sequence[int]) -> bytes:
        """Send the plan; returns the answer, empty when there came none."""
        try:
            with self._fork() as to, to.makefile("rb") as answers:
                socket.send_fds(to, [b"\0"], files)
                to.sendall(marshal.dumps(plan))
                to.shutdown(socket.SHUT_WR)
                return answers.readline().strip()
        except ConnectionError:
            return b""


@contextmanager
def _opened(contents: Sequence[bytes | str]) -> Iterator[list[int]]:
    """Open what a process inherits: bytes as files in memory, paths as themselves."""
    with ExitStack() as stack:
        files = []
        for content in contents:
            name = isinstance(content, str)
            file = os.open(content, os.O_RDONLY) if name else os.memfd_create("clary")
            stack.callback(os.close, file)
            files.append(file)
            if isinstance(content, bytes):
                with os.fdopen(file, "wb", closefd=False) as stream:
                    stream.write(content)
                os.lseek(file, 0, os.SEEK_SET)
        yield files


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True
