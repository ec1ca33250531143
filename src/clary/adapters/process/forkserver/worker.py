"""A forked process on its way to be a job: takes its namespaces, its user, its place, its program.

All of it before the supervisor's word to go, and without any effect outside of its namespaces; what
fails before that word is told by ending, and the job is started the ordinary way instead.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import resource
import signal
import socket
import struct
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from clary.adapters.process import linux
from clary.adapters.process.forkserver import program

if TYPE_CHECKING:
    from collections.abc import Sequence

CANNOT_EXECUTE, INSIDE_UID = 126, 1000
_SIOCSIFFLAGS, _IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x8914, 1, 8, 64


def main(plans: socket.socket, first_file: int, users: int, foreign: set[int]) -> NoReturn:
    """Wait for a job and become it, in the namespaces of its first process."""
    try:
        linux.prctl(linux.PDEATHSIG, signal.SIGKILL)
        _restore_signals()
        os.setsid()
        linux.setns(first_file, linux.NEWNS | linux.NEWIPC | linux.NEWUTS)
        plans.send(b"1")
        program.rehearse()
        _close_others({plans.fileno(), users, *foreign})
        message, files, _, _ = socket.recv_fds(plans, 1, 64)
        if not message:
            os._exit(0)
        holder = socket.socket(fileno=files[0])
        holder.settimeout(None)
        farewell = files.pop(3)
        fcntl.fcntl(farewell, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        given, output = _become(files[1:], users, plans)
        holder.send(b"ready")
        if not holder.recv(8):
            os._exit(0)
        holder.close()
        _take_output(output)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(CANNOT_EXECUTE)
    environment = {**given["environment"], "PWD": given["cwd"]}
    program.execute(given["argv"], environment, given["cwd"], farewell)


def _restore_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _close_others(kept: set[int]) -> None:
    """Close what the mold has open, but not what the preloaded modules opened."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                continue  # it was the listing's own


def _become(files: Sequence[int], users: int, plans: socket.socket) -> tuple[dict[str, Any], int]:
    """Take on everything that the plan says; returns it, and where the output is to go."""
    plan_file, output, *others = files
    with os.fdopen(plan_file, "rb") as file:
        plan: dict[str, Any] = marshal.load(file)  # noqa: S302 - from our own supervisor
    mounts, groups = others[: len(plan["targets"])], others[len(plan["targets"]) :]
    for group in groups:
        os.write(group, b"0")
    for place, target in enumerate(plan["targets"]):
        linux.attach(mounts[place], target)
    socket.sethostname(plan["hostname"])
    linux.unshare(linux.NEWCGROUP | (0 if plan["network"] else linux.NEWNET))
    if not plan["network"]:
        _raise_loopback()
    for kind, limit in plan["rlimits"]:
        resource.setrlimit(kind, (limit, limit))
    if not plans.recv(1):  # what says that the user ids are set
        os._exit(0)
    plans.close()
    linux.setns(users, linux.NEWUSER)
    for file_number in (users, *mounts, *groups):
        os.close(file_number)
    linux.become(INSIDE_UID)
    linux.prctl(linux.DUMPABLE, 1)
    if plan["seccomp"]:
        linux.filter_calls(plan["seccomp"])
    return plan, output


def _take_output(output: int) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(output)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", _IFF_UP | _IFF_LOOPBACK | _IFF_RUNNING)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
