"""The program that supervisors are forked from, of which a server starts one.

Starting Python is most of what an isolated process costs, so supervisors are forked, each in a
session of its own, so that they outlive the server. One waits for the next socket that comes over
standard input. Over that socket come one byte with open files (the lock, then those that the job
inherits), then a marshalled dictionary. One line goes back: ``ok`` once the claim is durable, else
what went wrong. A socket closed without a plan ends it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal costs as much as all else
import _socket
import marshal
import os
import time

from clary.adapters.process import linux
from clary.adapters.process.joblog import Log
from clary.adapters.process.remains import memory_kills
from clary.adapters.process.shim import CHUNK, Job, Vanished, finish, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from clary.adapters.process.shim import Plan


def rehearse() -> None:
    """Do once, while there is time, what takes longer the first time."""
    Log("/dev/null", 0).feed(b"\n", final=True)
    memory_kills("/proc/vmstat")
    try:
        os.close(linux.detached("/", writable=False))
    except OSError:
        return  # an ordinary user's supervisor makes mounts in a child


def receive(server: _socket.socket) -> tuple[Plan, int, list[int]] | None:
    """Wait for a plan, the lock and what the job inherits; None when there will be none."""
    _, sent, *_ = server.recvmsg(1, _socket.CMSG_SPACE(4 * 64), _socket.MSG_CMSG_CLOEXEC)
    text = bytearray()
    while data := server.recv(CHUNK):
        text += data
    if not (sent and text):
        return None
    lock, *files = memoryview(sent[0][2]).cast("i").tolist()
    return marshal.loads(text), lock, files  # noqa: S302 - written by the runner that started us


def answer(server: _socket.socket, text: str) -> None:
    """Answer whoever sent the plan, if it still lives."""
    try:
        server.send(text.encode() + b"\n")
    except OSError:
        return  # a claim that is made holds, whether or not anybody waits for it


def begin(server: _socket.socket, plan: Plan, lock: int) -> Job | None:
    """Write the claim and say so; None, and the lock let go of, when that cannot be."""
    groups = ", ".join(f'"{group}"' for group in plan["cgroups"])
    claim = f'"pid": {os.getpid()}, "started_at": {time.time():.6f}, "cgroups": [{groups}]'
    try:
        job = Job(plan, Log(plan["log"], plan["log_limit"]))
        job.prepare()
        start(plan["directory"], f"{{{claim}}}")
    except OSError as error:
        os.close(lock)
        answer(server, str(error))
        return None
    answer(server, "ok")
    return job


def hold(job: Job, files: list[int]) -> None:
    """Run it and record its end; one that vanished leaves no record, and counts as lost."""
    try:
        job.launch(files)
        job.supervise()
    except OSError as error:
        job.log.feed(f"clary: cannot run: {error}\n".encode())
        job.kill()
    try:
        code, ended_by = job.end()
    except Vanished:
        job.log.feed(b"clary: the process was killed from outside\n", final=True)
        return
    record = f'{{"exit_code": {code}, "ended_by": "{ended_by}", "ended_at": {time.time():.6f}}}'
    finish(job.plan["directory"], record)


def release(taken: int) -> None:
    """Say that there is time to fork the next supervisor, to who may have been killed."""
    try:
        os.write(taken, b"1")
    except OSError:
        return
    finally:
        os.close(taken)


def supervise(requests: _socket.socket, taken: int) -> None:
    """Wait for a request and its plan, claim, run, record."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    os.setsid()
    linux.prctl(linux.SUBREAPER, 1)
    rehearse()
    _, sent, *_ = requests.recvmsg(1, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    if not sent:
        return
    requests.close()
    [file] = memoryview(sent[0][2]).cast("i").tolist()
    server = _socket.socket(fileno=file)
    job: Job | None = None
    files: list[int] = []
    if received := receive(server):
        plan, lock, files = received
        job = begin(server, plan, lock)
    release(taken)
    if job is not None:
        hold(job, files)


def main() -> None:
    """Have one supervisor wait for the next request, until the server is gone.

    A supervisor ends without what an interpreter does at its end.
    """
    os.closerange(3, 1 << 20)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP))
    _signal.signal(_signal.SIGUSR1, lambda *_: None)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel buries them
    requests = _socket.socket(fileno=os.dup(0))
    os.dup2(1, 0)  # 1 is /dev/null
    while True:
        taken, take = os.pipe()
        if os.fork() == 0:
            os.close(taken)
            supervise(requests, take)
            os._exit(0)
        os.close(take)
        if not os.read(taken, 1):
            os._exit(0)
        os.close(taken)
