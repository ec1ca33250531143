"""The supervisor of one job process: holds it, logs it, limits it and records its end.

Started by the runner as a program of its own, in a session of its own, so that it outlives the
server. Only cheap built-in modules are imported, because starting Python is most of what a
sandboxed process costs. The runner sends a marshalled plan through standard input and reads one
line back: ``ok`` once the claim is durable, else what went wrong.

Files in the process's directory: ``lock`` (held while this program lives), ``started.json``
(the claim: from here on the process counts as started), ``stop`` (a request, grace in seconds),
``exit.json`` (how it ended).
"""

from __future__ import annotations

import _signal
import codecs
import marshal
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

MAX_LINE = 256 * 1024
CHUNK = 64 * 1024
TERM, KILL = 128 + 15, 128 + 9


class Log:
    """Writes a byte stream as timestamped lines, bounded in total."""

    def __init__(self, path: str, limit: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._room = limit - os.fstat(self._file).st_size
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._partial = b""
        self._lost = 0
        self._at = 0

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take bytes; whole lines are written at once, a partial one when it is ``final``."""
        *lines, rest = (self._partial + self._decode(data, final).encode()).split(b"\n")
        while len(rest) > MAX_LINE:
            cut = _boundary(rest)
            lines.append(rest[:cut])
            rest = rest[cut:]
        if final and rest:
            lines.append(rest)
            rest = b""
        self._partial = rest
        if lines:
            self._write(lines)

    def say(self, text: str) -> None:
        """Write a line of our own."""
        self._write([f"clary: {text}".encode("utf-8", "replace")])

    def _write(self, lines: list[bytes]) -> None:
        self._at = max(self._at, time.time_ns() // 1_000_000)
        stamp = b"%d " % self._at
        out = bytearray()
        for line in lines:
            while len(line) > MAX_LINE:
                cut = _boundary(line)
                out += stamp + line[:cut] + b"\n"
                line = line[cut:]  # noqa: PLW2901 - the rest of a line that is too long
            out += stamp + line + b"\n"
        if self._room <= 0:
            return
        if len(out) > self._room:
            out = out[: out.rfind(b"\n", 0, self._room) + 1]
            out += stamp + b"clary: this log is full; what follows is not kept\n"
            self._room = 0
        else:
            self._room -= len(out)
        self._append(bytes(out))

    def _append(self, data: bytes) -> None:
        if self._lost:
            data = b"%d clary: %d bytes were lost: disk full\n" % (self._at, self._lost) + data
        try:
            done = os.write(self._file, data)
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            self._lost += len(data)
        else:
            self._lost = 0


def _boundary(data: bytes) -> int:
    """Return the last place at or before MAX_LINE that splits no UTF-8 character."""
    cut = MAX_LINE
    while data[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def write_durably(path: str, text: str) -> None:
    """Replace a file's text so that it is there whole after a power failure, or not at all."""
    temporary = path + ".new"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(file, text.encode())
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(temporary, path)


def read_text(path: str) -> str | None:
    """Return a small file's text, or None when there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, CHUNK).decode("utf-8", "replace")
    finally:
        os.close(file)


class Job:
    """The process and what surrounds it."""

    def __init__(self, plan: dict[str, Any], log: Log) -> None:
        self.plan = plan
        self.log = log
        self.monitor = (
            0,
            -1,
        )  # (pid, pidfd) of the child of this program: bwrap, or the job itself
        self.init: tuple[int, int] | None = None  # (pid, pidfd) of the first process in the sandbox
        self.output = -1
        self.ended_by = "itself"
        self.kill_at: float | None = None
        self.terminated = False

    def launch(self) -> None:
        """Fork and execute; read from the sandbox who its first process is."""
        self.output, output = os.pipe()
        info, info_write = os.pipe()
        block_read, block = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                enter(self.plan, output, info_write, block_read)
            except BaseException as error:
                os.write(output, f"clary: cannot start: {error!r}\n".encode())
            os._exit(126)
        for file in (output, info_write, block_read):
            os.close(file)
        os.set_blocking(self.output, False)
        self.monitor = (pid, os.pidfd_open(pid))
        if self.plan["sandboxed"]:
            self._adopt(info, block)
        os.close(info)
        os.close(block)

    def _adopt(self, info: int, block: int) -> None:
        text = b""
        while b"}" not in text:
            data = os.read(info, 4096)
            if not data:
                return
            text += data
        pid = int(text.split(b'"child-pid":')[1].split(b",")[0].strip(b" }\n"))
        try:
            self.init = (pid, os.pidfd_open(pid))
            if self.plan["uid_map"]:
                for name in ("uid_map", "gid_map"):
                    with open(f"/proc/{pid}/{name}", "w") as file:  # noqa: PTH123 - no pathlib here
                        file.write(self.plan["uid_map"])
        except OSError as error:
            self.log.say(f"the sandbox could not be set up: {error}")
        else:
            os.write(block, b"1")

    def first_process(self) -> int | None:
        """Return the pid of the job's own first process, None while there is none."""
        if not self.plan["sandboxed"]:
            return self.monitor[0]
        if self.init is None:
            return None
        children = read_text(f"/proc/{self.init[0]}/task/{self.init[0]}/children")
        return int(children.split()[0]) if children and children.split() else None

    def request_stop(self, reason: str, grace_s: float) -> None:
        """Begin to end it: SIGTERM now, SIGKILL after the grace."""
        if self.ended_by == "itself":
            self.ended_by = reason
        at = time.monotonic() + grace_s
        self.kill_at = at if self.kill_at is None else min(at, self.kill_at)
        self.terminate()

    def terminate(self) -> None:
        """Send SIGTERM once, as soon as there is somebody to send it to."""
        pid = None if self.terminated else self.first_process()
        if pid is not None:
            self.terminated = True
            signal(pid, _signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL everything in the sandbox."""
        pid = self.monitor[0] if self.init is None else self.init[0]
        if not self.plan["sandboxed"]:
            kill_group(pid)
        signal(pid, _signal.SIGKILL)

    def supervise(self) -> None:
        """Carry output to the log, obey stop and timeout; returns when the first process ended."""
        plan = self.plan
        wake_read, wake = os.pipe()
        for file in (wake_read, wake):
            os.set_blocking(file, False)
        _signal.set_wakeup_fd(wake)
        poll = select.poll()
        for file in (self.output, self.monitor[1], wake_read):
            poll.register(file, select.POLLIN)
        deadline = time.monotonic() + plan["timeout_s"]
        self.check_stop()
        while True:
            ready = {file for file, _ in poll.poll(self._patience_ms(deadline))}
            if self.output in ready and not self.drain(once=True):
                poll.unregister(self.output)
            if self.monitor[1] in ready:
                return
            if wake_read in ready:
                os.read(wake_read, 64)
                self.check_stop()
            self._keep_time(deadline)

    def _patience_ms(self, deadline: float) -> float:
        now = time.monotonic()
        if self.kill_at is None:
            return max(0, min(deadline - now, 86_400)) * 1000 + 1
        if not self.terminated:
            return 10
        return max(0, self.kill_at - now) * 1000 + 1

    def _keep_time(self, deadline: float) -> None:
        now = time.monotonic()
        if self.kill_at is None:
            if now >= deadline:
                self.request_stop("timeout", self.plan["grace_s"])
        elif now >= self.kill_at:
            self.kill_at = now + 1.0
            self.kill()
        else:
            self.terminate()

    def check_stop(self) -> None:
        """Obey the stop file, if there is one."""
        grace = read_text(self.plan["directory"] + "/stop")
        if grace:
            self.request_stop("stop", float(grace))

    def drain(self, *, once: bool = False) -> bool:
        """Move what the job wrote into the log; False at the end of it."""
        while True:
            try:
                data = os.read(self.output, CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.log.feed(data)
            if once:
                return True

    def end(self) -> tuple[int, str]:
        """Reap, make sure that nothing of it lives on, and return (exit code, ended by)."""
        _, status, usage = os.wait4(self.monitor[0], 0)
        if self.init is not None:
            signal(self.init[0], _signal.SIGKILL)
            select.select([self.init[1]], [], [])
        if not self.plan["sandboxed"]:
            kill_group(self.monitor[0])
        kills = leave(self.plan["cgroups"])
        self.drain()
        self.log.feed(b"", final=True)
        code = os.waitstatus_to_exitcode(status)
        code = 128 - code if code < 0 else code
        over = not self.plan["cgroups"] and usage.ru_maxrss * 1024 >= (
            self.plan["memory_bytes"] or float("inf")
        )
        if self.ended_by == "itself" and code and (kills or over):
            return KILL, "memory"
        return code, self.ended_by


def signal(pid: int, number: int) -> None:
    """Send a signal; one that is gone already needs none."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def kill_group(leader: int) -> None:
    """SIGKILL the process group that a plain job leads."""
    try:
        os.killpg(leader, _signal.SIGKILL)
    except ProcessLookupError:
        return


def enter(plan: dict[str, Any], output: int, info: int, block: int) -> NoReturn:
    """Become the job, in the forked child: limits, rights, then execute."""
    for group in plan["cgroups"]:
        write_value(group + "/cgroup.procs", str(os.getpid()))
    write_value("/proc/self/oom_score_adj", "500")
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    argv, environment = list(plan["argv"]), dict(plan["environment"])
    if plan["sandboxed"]:
        binary = os.open(plan["bwrap"], os.O_PATH | os.O_CLOEXEC)
        keep = ["--info-fd", inherit(info)]
        keep += ["--args", inherit(in_memory(plan["arguments"]))]
        if plan["seccomp"]:
            keep += ["--seccomp", inherit(in_memory(plan["seccomp"]))]
        if plan["uid_map"]:
            keep += ["--userns-block-fd", inherit(block)]
        libraries = [os.open(path, os.O_RDONLY) for path in plan["libraries"]]
        environment["LD_PRELOAD"] = " ".join("/proc/self/fd/" + inherit(lib) for lib in libraries)
        argv[1:1] = keep
    else:
        os.setsid()
        os.chdir(plan["cwd"])
    for name, soft in plan["rlimits"]:
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)  # noqa: PLW2901 - capped
        resource.setrlimit(kind, (soft, soft))
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python ignores them; exec would keep that
        _signal.signal(number, _signal.SIG_DFL)
    os.umask(0o022)
    if plan["uid"]:
        os.setgroups([])
        os.setresgid(plan["uid"], plan["uid"], plan["uid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    if plan["sandboxed"]:
        os.execve(binary, argv, environment)
    os.execvpe(argv[0], argv, environment)  # noqa: S606 - the job's own command


def inherit(file: int) -> str:
    """Let an open file survive the exec; returns its number as an argument."""
    os.set_inheritable(file, True)  # noqa: FBT003 - positional only
    return str(file)


def in_memory(data: bytes) -> int:
    """Return an open file in memory that holds ``data``."""
    file = os.memfd_create("clary", 0)
    done = 0
    while done < len(data):
        done += os.write(file, data[done:])
    os.lseek(file, 0, os.SEEK_SET)
    return file


def write_value(path: str, text: str) -> None:
    """Write a kernel file."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def leave(cgroups: list[str]) -> int:
    """Kill what is left in the groups and remove them; returns how often memory ran out."""
    kills = 0
    for group in cgroups:
        for name in ("memory.events", "memory.oom_control"):
            for line in (read_text(f"{group}/{name}") or "").splitlines():
                key, _, value = line.partition(" ")
                kills += int(value) if key == "oom_kill" else 0
        for _ in range(200):
            for pid in (read_text(group + "/cgroup.procs") or "").split():
                signal(int(pid), _signal.SIGKILL)
            try:
                os.rmdir(group)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.005)
    return kills


def run(plan: dict[str, Any], log: Log) -> tuple[int, str]:
    """Run the job to its end; returns (exit code, ended by)."""
    if read_text(plan["directory"] + "/stop"):
        leave(plan["cgroups"])
        return TERM, "stop"
    job = Job(plan, log)
    try:
        job.launch()
    except OSError as error:
        log.say(f"cannot start: {error}")
        leave(plan["cgroups"])
        return 126, "itself"
    job.supervise()
    return job.end()


def main() -> None:
    """Claim, run, record."""
    with os.fdopen(0, "rb", closefd=False) as pipe:
        plan = marshal.loads(pipe.read())  # noqa: S302 - written by the runner that started us
    directory = plan["directory"]
    os.set_inheritable(plan["lock"], False)  # noqa: FBT003 - positional only
    for number in (_signal.SIGUSR1, _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, lambda *_: None)
    log = Log(plan["log"], plan["log_limit"])
    started = f'{{"pid": {os.getpid()}, "started_at": {time.time():.6f}}}'
    write_durably(directory + "/started.json", started)
    os.write(1, b"ok\n")
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    code, ended_by = run(plan, log)
    record = f'{{"exit_code": {code}, "ended_by": "{ended_by}", "ended_at": {time.time():.6f}}}'
    for _ in range(600):
        try:
            write_durably(directory + "/exit.json", record)
            return
        except OSError:  # a full disk may be emptied again
            time.sleep(1)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        os.write(1, f"{error}\n".encode())
        sys.exit(1)
