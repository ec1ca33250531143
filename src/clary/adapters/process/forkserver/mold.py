"""The preloaded process: forks a worker ahead of need, hands it the next job, tells its end.

It has one thread, and never reads what a job is given: it passes the files on.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from clary.adapters.process import linux
from clary.adapters.process.forkserver import program, worker

RETIRE = b"retire"
MORE, DONE, NONE = b"1", b"0", b"-"
"""What the keeper hears: make another first process; all has ended well. And says: it cannot."""
_MOST_FILES = 64
_INSIDE_UID = 1000
_PATIENCE_S = 1.0
_QUIET_S = 0.25


@dataclass(frozen=True)
class _Spare:
    """A worker that waits, in namespaces that wait for their user ids."""

    pid: int
    plans: socket.socket
    first: int
    first_file: int
    release: int


@dataclass(frozen=True)
class _Running:
    """A worker with a job: the file of its namespaces' first process, and who holds it."""

    first_file: int
    holder: socket.socket


def main(
    keeper: socket.socket, own: int, listener: socket.socket, idle_s: float, modules: list[str]
) -> NoReturn:
    """Preload, listen, serve until idle or told to retire."""
    before = _open_files()
    _preload(modules)
    _let_threads_go()
    foreign = _open_files() - before
    if len(os.listdir("/proc/self/task")) > 1:
        sys.stderr.write("a module has started a thread; what has threads cannot be forked\n")
        sys.stderr.flush()
        os._exit(3)
    program.settle()
    gc.collect()
    gc.freeze()
    server = Mold(keeper, own, listener, foreign)
    listener.listen(512)
    server.serve(idle_s)
    keeper.send(DONE)
    os._exit(0)


def _open_files() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}


def _let_threads_go() -> None:
    """Fork once: numerical libraries end their threads then, and start them anew when needed."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _preload(modules: list[str]) -> None:
    """Import what there is; the environment need not have all of it."""
    for name in modules:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                traceback.print_exc()
        except Exception:
            traceback.print_exc()


class Mold:
    """Serves supervisors: one connection a job.

    A connection brings a user id with files: the plan, where the output goes, the mounts, the
    control groups. Back go ``init`` with the files of the first process and of the job itself,
    ``ready`` from the worker, and at the end its wait status and the most memory it had, in KiB.
    When the supervisor is gone, so is the job.
    """

    def __init__(
        self, keeper: socket.socket, own: int, listener: socket.socket, foreign: set[int]
    ) -> None:
        self._keeper, self._own, self._listener = keeper, own, listener
        self._foreign = foreign
        self._spare: _Spare | None = None
        self._running: dict[int, _Running] = {}
        self._ended, wake = os.pipe()
        os.set_blocking(self._ended, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._is_open = True

    def serve(self, idle_s: float) -> None:
        """Serve until retired, or idle for so long, and no job is left."""
        deadline = time.monotonic() + idle_s
        while self._is_open or self._running:
            if self._is_open and not self._running and time.monotonic() > deadline:
                self._retire()
                continue
            ready = self._wait(deadline)
            if self._ended in ready:
                os.read(self._ended, 4096)
                self._bury()
            self._abandon(ready)
            if self._is_open and self._listener.fileno() in ready:
                self._take()
            elif not ready or self._ended in ready:
                self._prepare()
            if self._running or ready:
                deadline = time.monotonic() + idle_s

    def _wait(self, deadline: float) -> set[int]:
        """Wait for something to happen; nothing for a moment is the time to prepare a worker."""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        for one in self._running.values():
            poll.register(one.holder, 0)  # hang-ups are always told
        if self._is_open:
            poll.register(self._listener, select.POLLIN)
        left = max(0.0, deadline - time.monotonic())
        is_lacking = self._is_open and self._spare is None
        return {file for file, _ in poll.poll(1000 * (_QUIET_S if is_lacking else left) + 1)}

    def _prepare(self) -> _Spare | None:
        """Fork a worker ahead of need; None when there is none, and cannot be now."""
        if self._spare is None and self._is_open:
            try:
                self._spare = self._new_worker()
            except OSError:
                traceback.print_exc()
        return self._spare

    def _new_worker(self) -> _Spare:
        """Fork a worker into namespaces that the keeper makes for it. Raises OSError."""
        self._keeper.send(MORE)
        told, files, _, _ = socket.recv_fds(self._keeper, 64, 3)
        if not told:
            sys.exit("the keeper is gone")
        if told == NONE:
            raise OSError("the keeper could make no namespaces")
        first_file, users, release = files
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            linux.setns(first_file, linux.NEWPID)
            try:
                if (pid := os.fork()) == 0:
                    worker.main(there, first_file, users, self._foreign)
            finally:
                linux.setns(self._own, linux.NEWPID)
                os.close(users)
        return _Spare(pid, here, int(told), first_file, release)

    def _take(self) -> None:
        """Accept a connection and hand it, with the files it brings, to a worker."""
        holder, _ = self._listener.accept()
        holder.settimeout(_PATIENCE_S)
        files: list[int] = []
        try:
            message, files, _, _ = socket.recv_fds(holder, 64, _MOST_FILES)
            if message == RETIRE:
                self._retire()
            elif message:
                self._hand_over(holder, int(message), files)
        except (OSError, ValueError):
            traceback.print_exc()
        finally:
            for file in files:
                os.close(file)

    def _hand_over(self, holder: socket.socket, uid: int, files: list[int]) -> None:
        spare = self._prepare()
        if spare is None or not spare.plans.recv(1):  # it says when it is in its namespaces
            self._drop_spare()
            return
        self._spare = None
        self._running[spare.pid] = _Running(spare.first_file, holder)
        socket.send_fds(spare.plans, [b"1"], [holder.fileno(), *files])
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{spare.first}/{name}", "w", encoding="ascii") as file:
                file.write(f"{_INSIDE_UID} {uid} 1\n")
        os.write(spare.release, b"1")
        os.close(spare.release)
        job = os.pidfd_open(spare.pid)
        socket.send_fds(holder, [b"init"], [spare.first_file, job])
        os.close(job)
        spare.plans.send(b"1")  # it has its user ids
        spare.plans.close()

    def _bury(self) -> None:
        """Tell the ends of workers, and end whatever they left behind."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._spare is not None and pid == self._spare.pid:
                self._drop_spare()
            elif pid in self._running:
                self._tell(self._running.pop(pid), status, usage)

    def _tell(self, ended: _Running, status: int, usage: resource.struct_rusage) -> None:
        shared = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with suppress(OSError):  # it died; nobody asks any more
            ended.holder.send(b"%d %d" % (status, max(0, usage.ru_maxrss - shared)))
        ended.holder.close()
        self._end(ended.first_file)
        os.close(ended.first_file)

    def _abandon(self, ready: set[int]) -> None:
        """End the jobs whose supervisors are gone."""
        for one in self._running.values():
            if one.holder.fileno() in ready:
                self._end(one.first_file)

    def _end(self, first_file: int) -> None:
        try:
            signal.pidfd_send_signal(first_file, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _drop_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.plans.close()
            os.close(spare.release)
            os.close(spare.first_file)

    def _retire(self) -> None:
        """Take no more jobs; those that wait at the door find it closed, and go elsewhere."""
        self._is_open = False
        self._listener.close()
        self._drop_spare()
