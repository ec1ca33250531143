"""The supervisor of one job process: holds it, logs it, limits it and records its end.

Files in the process's directory: ``lock`` (locked while the supervisor lives), ``started.json``
(the claim: from here on the process counts as started), ``stop`` (a request, grace in seconds),
``exit.json`` (how it ended), ``reserve`` (room for that when the disk is full).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal costs as much as all else
import os
import resource
import select
import time

from clary.adapters.process import linux
from clary.adapters.process.handover import Offer
from clary.adapters.process.remains import kill_orphans, leave, memory_kills, read, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from clary.adapters.process.joblog import Log

    Plan = dict[str, Any]

CHUNK = 64 * 1024
NEVER = float("inf")
CANNOT_EXECUTE, KILLED = 126, 128 + 9


class Vanished(Exception):
    """The job's processes were killed from outside; nobody knows how it would have ended."""


class Job:
    """A process, from before its launch up to its end."""

    def __init__(self, plan: Plan, log: Log) -> None:
        self.plan, self.log = plan, log
        self.pid = 0  # bwrap, or the plain process
        self.init = self.initfd = 0  # the sandbox's first process
        self.ended_by, self.terminated, self.kill_at = "itself", False, NEVER
        self.deadline = NEVER
        self.kills_before = 0
        self.wake, wake = os.pipe()
        os.set_blocking(wake, False)
        _signal.set_wakeup_fd(wake)
        self.output, self.inlet = os.pipe()
        os.set_blocking(self.output, False)
        self.offer: Offer | None = None
        self.has_left = False  # forked, and done but for freeing its memory

    def prepare(self) -> None:
        """Offer it to the fork server, if it may have one, while the claim is being written."""
        if "warm" in self.plan:
            try:
                self.offer = Offer(self.plan["warm"], self.inlet, self.plan["cgroups"])
            except OSError:
                return  # it is not there yet, or no more

    def launch(self, files: list[int]) -> None:
        """Start it: forked where it was prepared, else by bwrap or plainly. Raises OSError."""
        self.deadline = time.monotonic() + self.plan["timeout_s"]
        if self.offer is not None and self.offer.is_taken():
            self.initfd = self.offer.initfd
            self.ending = self.offer.fileno()
        else:
            self.offer = None
            self.execute(files)
        for file in (self.inlet, *files):
            os.close(file)

    def execute(self, files: list[int]) -> None:
        """Start a process of its own, and learn who is the first in its sandbox."""
        told, info = os.pipe()
        wait, block = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            become_job(self.plan, self.inlet, [info, wait, *files])
        os.close(info)
        os.close(wait)
        self.ending = os.pidfd_open(self.pid)
        said = os.read(told, 4096) if self.plan["sandboxed"] else b""
        if said:
            self.init = int(said.split(b'"child-pid":')[1].split(b",")[0].strip(b" }\n"))
            self.initfd = os.pidfd_open(self.init)
            for name in ("uid_map", "gid_map") if self.plan["uid_map"] else ():
                write(f"/proc/{self.init}/{name}", self.plan["uid_map"])
            os.write(block, b"1")

    def supervise(self) -> None:
        """Carry output to the log, obey stop and timeout; returns when the first process ended."""
        poll = select.poll()
        for file in (self.output, self.ending, self.wake):
            poll.register(file, select.POLLIN)
        if self.offer is not None:
            poll.register(self.offer.farewell, select.POLLIN)
        self.kills_before = memory_kills("/proc/vmstat")  # slow; the job is on its way meanwhile
        self.check_stop()
        while True:
            ready = {file for file, _ in poll.poll(self.patience_ms())}
            if self.output in ready and not self.drain():
                poll.unregister(self.output)
            if self.is_over(ready, poll):
                return
            if self.wake in ready:
                os.read(self.wake, 64)
                self.check_stop()
            self.keep_time()

    def is_over(self, ready: set[int], poll: select.poll) -> bool:
        """Say whether it has ended; a forked one's last words are heard once."""
        if self.offer is not None and self.offer.farewell in ready:
            poll.unregister(self.offer.farewell)
            self.has_left = self.offer.is_leaving()
        return self.has_left or self.ending in ready

    def patience_ms(self) -> float:
        """Say how long nothing is due."""
        if self.kill_at < NEVER and not self.terminated:
            return 10
        left: float = min(self.deadline, self.kill_at) - time.monotonic()
        return 1 + 1000 * min(max(0.0, left), 3600.0)

    def keep_time(self) -> None:
        """Do what has become due."""
        now = time.monotonic()
        if now >= self.deadline:
            self.deadline = NEVER
            self.request_stop("timeout", self.plan["grace_s"])
        if now >= self.kill_at:
            self.kill_at = now + 1.0
            self.kill()
        elif self.kill_at < NEVER:
            self.terminate()

    def check_stop(self) -> None:
        """Obey the stop file, if there is one."""
        grace = read(self.plan["directory"] + "/stop")
        if grace:
            self.request_stop("stop", float(grace))

    def request_stop(self, reason: str, grace_s: float) -> None:
        """Begin to end it: SIGTERM now, SIGKILL after the grace."""
        if self.ended_by == "itself":
            self.ended_by = reason
        self.kill_at = min(self.kill_at, time.monotonic() + grace_s)
        self.terminate()

    def terminate(self) -> None:
        """Send SIGTERM to the job's own first process, once there is one."""
        if self.terminated:
            return
        if self.offer is not None:
            signal(self.offer.jobfd, _signal.SIGTERM, _signal.pidfd_send_signal)
        elif self.init:
            children = read(f"/proc/{self.init}/task/{self.init}/children").split()
            if not children:
                return
            signal(int(children[0]), _signal.SIGTERM)
        else:
            signal(self.pid, _signal.SIGTERM)
        self.terminated = True

    def kill(self) -> None:
        """SIGKILL everything in the sandbox."""
        if self.initfd or self.pid:
            signal(self.initfd or self.ending, _signal.SIGKILL, _signal.pidfd_send_signal)

    def drain(self) -> bool:
        """Move some of what the job wrote into the log; False when there is no more."""
        try:
            data = os.read(self.output, CHUNK)
        except BlockingIOError:
            return False
        self.log.feed(data, final=not data)
        return bool(data)

    def drain_all(self) -> None:
        """Move the rest."""
        while self.drain():
            pass
        self.log.feed(b"", final=True)

    def end(self) -> tuple[int, str]:
        """Make sure that nothing of it lives on; returns (exit code, ended by). Raises Vanished."""
        if self.has_left:
            self.kill()
            self.drain_all()
            return 0, self.ended_by
        status, most = self.reap()
        if self.initfd:
            self.kill()
            select.select([self.initfd], [], [])
        most = max(most, kill_orphans()) * 1024
        kills = leave(self.plan["cgroups"])
        self.drain_all()
        if status < 0:
            if self.ended_by == "itself" and not kills:
                raise Vanished
            status = _signal.SIGKILL
        code = os.waitstatus_to_exitcode(status)
        code = 128 - code if code < 0 else code
        kills += most >= self.plan["memory_bytes"]
        kills += code == KILLED and memory_kills("/proc/vmstat") > self.kills_before
        if self.ended_by == "itself" and code and kills:
            return KILLED, "memory"
        return code, self.ended_by

    def reap(self) -> tuple[int, int]:
        """Return the first process's wait status, -1 when nobody can tell, and its most KiB."""
        if self.offer is not None:
            return self.offer.ending() or (-1, 0)
        if not self.pid:
            return -1, 0
        _, status, usage = os.wait4(self.pid, 0)
        return status, usage.ru_maxrss


def become_job(plan: Plan, output: int, files: list[int]) -> NoReturn:
    """Execute the job in the forked child."""
    try:
        for source, target in ((1, 0), (output, 1), (output, 2)):  # 1 was /dev/null
            os.dup2(source, target)
        for source, target in zip(files, plan["files"], strict=False):
            os.dup2(source, target)
        for group in plan["cgroups"]:
            write(group + "/cgroup.procs", str(os.getpid()))
        write("/proc/self/oom_score_adj", "500")
        for kind, limit in plan["rlimits"]:
            resource.setrlimit(kind, (limit, limit))
        execute(plan)
    except BaseException as error:
        os.write(output, f"clary: cannot start: {error}\n".encode("utf-8", "replace"))
    os._exit(CANNOT_EXECUTE)


def execute(plan: Plan) -> NoReturn:
    """Take on the job's rights and execute it."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python ignores them; exec would keep that
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    os.umask(0o022)
    program = os.open(plan["bwrap"], os.O_PATH | os.O_CLOEXEC) if plan["sandboxed"] else -1
    os.setsid()
    os.chdir(plan["cwd"])
    if uid := plan["uid"]:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    if plan["sandboxed"]:
        os.execve(program, plan["argv"], plan["environment"])
    linux.prctl(linux.PDEATHSIG, _signal.SIGKILL)
    linux.prctl(linux.NO_NEW_PRIVS, 1)
    os.execvpe(plan["argv"][0], plan["argv"], plan["environment"])


def write(path: str, text: str, *, durably: bool = False) -> None:
    """Write a small file; ``durably``: whole after a power failure, or not at all."""
    with open(path + ".new" if durably else path, "w", encoding="utf-8") as file:
        file.write(text)
        if durably:
            file.flush()
            os.fsync(file.fileno())
    if durably:
        os.rename(path + ".new", path)


def start(directory: str, claim: str) -> None:
    """Write the claim, and hold back room for the record of the end."""
    write(directory + "/started.json", claim, durably=True)
    write(directory + "/reserve", " " * 4096)


def finish(directory: str, record: str) -> None:
    """Write how it ended; a full disk first gives back the reserve, then has ten minutes."""
    for _ in range(600):
        try:
            return write(directory + "/exit.json", record, durably=True)
        except OSError:
            write(directory + "/reserve", "")
            time.sleep(1)
    return None
