"""Starts supervisors (``shim``), keeps one waiting, and hands plans to them."""

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

from clary.adapters.process import handover, joblog, linux, programs, remains, shim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """One that waits: ours to hand a plan to, gone when its socket closes."""

    pid: int
    plans: socket.socket


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
        self._waiting: _Supervisor | None = None
        self._children: set[int] = set()

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
        with self._lock:
            waiting = self._waiting
            self._waiting = None
        answer = self._hand(waiting, plan, files) if waiting else b""
        if not answer:  # none waited, or it died waiting; without an answer nothing was run
            with self._lock:
                waiting = self._spawn()
            answer = self._hand(waiting, plan, files)
        if answer != b"ok":
            raise OSError(answer.decode("utf-8", "replace") or "its supervisor died")

    def reap(self) -> None:
        """Take leave of supervisors that have ended, so that they are no zombies.

        Where one has ended the next job is near, and this moment is quieter than its start: the
        supervisor that it will find waiting is started here.
        """
        with self._lock:
            ended = [pid for pid in self._children if _has_ended(pid)]
            self._children.difference_update(ended)
            if ended and self._waiting is None:
                with suppress(OSError):  # then the next start will say why
                    self._waiting = self._spawn()

    @cached_property
    def _program(self) -> Path:
        """The shim and its parts, compiled once a version."""
        text = programs.compiled((linux, remains, joblog, handover, shim))
        version = hashlib.sha256(text).hexdigest()[:16]
        program = self._folder / f".shim-{version}"
        if not program.exists():
            draft = self._folder / f".shim-{os.getpid()}-{id(self)}"
            draft.write_bytes(text)
            draft.replace(program)
        return program

    def _spawn(self) -> _Supervisor:
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
                setsigdef=(signal.SIGCHLD,),
            )
        self._children.add(pid)
        return _Supervisor(pid, ours)

    def _hand(self, to: _Supervisor, plan: dict[str, Any], files: Sequence[int]) -> bytes:
        """Send the plan; returns the answer, empty when there came none."""
        with to.plans:
            try:
                socket.send_fds(to.plans, [b"\0"], files)
                to.plans.sendall(marshal.dumps(plan))
                to.plans.shutdown(socket.SHUT_WR)
                answer = to.plans.makefile("rb").readline().strip()
            except ConnectionError:
                answer = b""
        if answer != b"ok":
            self._await_end(to.pid)
        return answer

    def _await_end(self, pid: int) -> None:
        """Let one that refused let go of the lock."""
        with self._lock:
            self._children.discard(pid)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


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
