"""Makes what every job gets before it is forked: namespaces, and a first process to reap in them.

The tree, all inside one bwrap: this program (waits) > the keeper (first process of a process
namespace of ours) > the mold and the jobs' first processes; jobs are forked from the mold into the
namespaces of their first process. Whoever dies takes what is below with it.

The user namespace is one more below bwrap's, because bwrap keeps the mounts for itself; in it we
may mount, and set the jobs' user ids, and outside of it nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from contextlib import suppress

from clary.adapters.process import linux
from clary.adapters.process.forkserver import mold

INSIDE_UID = 1000
_QUIET = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def main() -> None:
    """Run with the arguments: ids to map, seconds to idle, number of the listener, modules."""
    ids, idle_s, listener, *modules = sys.argv[1:]
    _enter(ids)
    child = os.fork()
    if child == 0:
        linux.prctl(linux.PDEATHSIG, signal.SIGKILL)
        _keep(float(idle_s), int(listener), modules)
    os.close(int(listener))
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)


def _enter(ids: str) -> None:
    """Enter namespaces in which we are root; only a process outside may map several ids."""
    ready, tell = os.pipe()
    parent = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.read(ready, 1)
        _map(parent, ids)
        os._exit(0)
    linux.unshare(linux.NEWUSER | linux.NEWNS | linux.NEWPID)
    os.write(tell, b"1")
    if os.waitpid(helper, 0)[1]:
        sys.exit("the user ids cannot be mapped")
    os.close(ready)
    os.close(tell)


def _map(pid: int, ids: str) -> None:
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
            file.write(ids)


def _keep(idle_s: float, listener: int, modules: list[str]) -> None:
    """Make first processes as the mold wishes, for as long as it lives."""
    linux.mount("proc", "/proc", _QUIET)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        linux.prctl(linux.PDEATHSIG, signal.SIGKILL)
        here.close()
        mold.main(there, own, socket.socket(fileno=listener), idle_s, modules)
    there.close()
    os.close(listener)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    has_served = False
    while (wish := here.recv(1)) == mold.MORE:
        _make_first(here, own)
        has_served = True
    os._exit(wish != mold.DONE and not has_served)  # one that was killed may be started again


def _make_first(mold_socket: socket.socket, own: int) -> None:
    """Make a job's namespaces; send the mold its first process and what releases it."""
    opened: list[int] = []
    try:
        opened += os.pipe()
        opened += os.pipe()
        _, _, _, release = opened
        pid = _fork_first(own, opened)
        opened.append(handle := os.pidfd_open(pid))
        opened.append(users := os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC))
        socket.send_fds(mold_socket, [b"%d" % pid], [handle, users, release])
    except OSError:
        traceback.print_exc()
        mold_socket.send(mold.NONE)
    finally:
        for file in opened:
            os.close(file)


def _fork_first(own: int, opened: list[int]) -> int:
    """Fork it; returns when it has its namespaces. Raises OSError."""
    ready, tell, wait, _ = opened
    linux.unshare(linux.NEWPID)
    try:
        if (pid := os.fork()) == 0:
            try:
                _be_first(tell, wait)
            finally:
                os._exit(1)
    finally:
        linux.setns(own, linux.NEWPID)
    opened.remove(tell)
    os.close(tell)
    if not os.read(ready, 1):
        raise OSError("a job's first process has ended before its time")
    return pid


def _be_first(tell: int, wait: int) -> None:
    """Be the first process of a job's namespaces: its user, without any right; reaps."""
    linux.prctl(linux.PDEATHSIG, signal.SIGKILL)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in (tell, wait):
            with suppress(OSError):  # it was the listing's own
                os.close(int(name))
    linux.unshare(linux.NEWNS | linux.NEWIPC | linux.NEWUTS)
    linux.mount("proc", "/proc", _QUIET)
    linux.mount("tmpfs", "/dev/shm", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")  # noqa: S108 - a mount of its own
    linux.mount("devpts", "/dev/pts", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=0620,ptmxmode=0666")
    linux.unshare(linux.NEWUSER)
    os.write(tell, b"1")
    os.close(tell)
    if not os.read(wait, 1):
        os._exit(0)
    os.close(wait)
    linux.become(INSIDE_UID)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
    while True:
        signal.sigwait((signal.SIGCHLD,))
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
