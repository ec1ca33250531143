"""Runs the commands of steps that share a sandbox: one after another, each in a forked process.

Over the socket come packets, each a marshalled step; back goes how it ended, with what it printed
and what it made, unless that is much. A process waits, forked ahead, for the next step: so every
step begins with the same clean interpreter, and forking costs it nothing. What a step leaves
running is killed before the next one begins. Its files lie below ``/opt/ml/<number>``, which it
knows by SAGEMAKER_BASE_DIR.

The packet ``last``, with the file of a log, says that the step that runs becomes a job of its own:
this program then ends as the step does. When the other side is gone without having said so,
everything ends.
"""

from __future__ import annotations

import ctypes
import gc
import json
import marshal
import os
import select
import signal
import socket
import sys
import time
import traceback
from base64 import b64encode
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from step_worker import BASE, CODE, IS_ALONE, Step, run, take_on

LAST = b"last"
_PACKET = 1 << 18
_LONGEST_LINE = 256 * 1024
_LOG_BYTES = 1 << 30
_MOST_BYTES = 1 << 16
"""How much a reply holds of a log, and of files."""
_CHUNK = 1 << 16
_LONGEST_REPLY = 160 << 10
_KILLED = 128 + 9
_SUBREAPER, _DUMPABLE = 36, 4

_libc = ctypes.CDLL(None)


class Log:
    """A step's log: every line with its time, in milliseconds; kept until there is a file."""

    def __init__(self) -> None:
        self._file = -1
        self._partial = b""
        self._room = _LOG_BYTES
        self.kept = b""

    @property
    def is_full(self) -> bool:
        """Whether there is no file, and what is kept is as much as a reply holds."""
        return self._file < 0 and len(self.kept) + len(self._partial) > _MOST_BYTES

    def open(self, file: int) -> None:
        """Write to a file from here on."""
        self._file = file
        self._write(self.kept)
        self.kept = b""

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take output; whole lines are written at once, a partial one when it is ``final``."""
        *lines, rest = (self._partial + data).split(b"\n")
        if rest and (final or len(rest) > _LONGEST_LINE):
            lines.append(rest)
            rest = b""
        self._partial = rest
        if not lines or self._room <= 0:
            return
        stamp = b"%d " % (time.time_ns() // 1_000_000)
        texts = (line.decode("utf-8", "replace").encode() for line in lines)
        out = b"".join(
            stamp + text[start : start + _LONGEST_LINE] + b"\n"
            for text in texts
            for start in range(0, max(1, len(text)), _LONGEST_LINE)
        )
        self._room -= len(out)
        if self._room <= 0:
            out += stamp + b"clary: this log is full; what follows is not kept\n"
        self._write(out)

    def _write(self, out: bytes) -> None:
        if self._file < 0:
            self.kept += out
            return
        with suppress(OSError):  # the disk is full: the step goes on without its log
            os.write(self._file, out)


class Worker:
    """A forked process: it waits for its step, or runs it."""

    def __init__(self, pid: int, control: socket.socket, output: int) -> None:
        self.pid, self.ending = pid, os.pidfd_open(pid)
        self.control, self.output = control, output

    def carry(self, log: Log) -> bool:
        """Move some of what it has written into the log; False when that is all for now."""
        data = os.read(self.output, _CHUNK)
        log.feed(data)
        return bool(data) and not log.is_full

    def drain(self, log: Log) -> None:
        """Move all that it has written into the log."""
        with suppress(BlockingIOError):
            while data := os.read(self.output, _CHUNK):
                log.feed(data)

    def code(self) -> int:
        """Return the exit code of one that has ended without a word."""
        info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        if info is None:
            return _KILLED
        return info.si_status + (0 if info.si_code == os.CLD_EXITED else 128)

    def end(self) -> int:
        """Kill it if it lives, and give its files back; returns its wait status."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        self.control.close()
        for file in (self.ending, self.output):
            os.close(file)
        return status


class Host:
    """Serves one connection."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._running: Worker | None = None
        self._ended: tuple[int, Log] | None = None
        self._is_last = False
        signal.signal(signal.SIGTERM, lambda *_: self._pass_on())

    def serve(self) -> NoReturn:
        """Run steps until the connection ends, or one of them was the last."""
        spare = fork(self._server)
        while True:
            packet, files = receive(self._server)
            if packet == LAST and self._ended is not None:  # it ended while that was on its way
                code, log = self._ended
                log.open(files[0])
                os._exit(code)
            if not packet:
                os._exit(0)
            step = marshal.loads(packet)  # noqa: S302 - of the server that started this
            CODE.likely = step["code"]
            if CODE.install(step["code"], step["files"]):  # the one that waits does not know it
                spare.end()
                spare = fork(self._server)
            self._running, log = spare, Log()
            spare.control.send(packet)
            take_on(step["environment"])
            spare = fork(self._server, self._running.control, self._running.output)
            for number in step["stored"]:
                remove(f"{BASE}/{number}")
            code = self._attend(self._running, log)
            if self._is_last:
                os._exit(code)
            with suppress(OSError):  # gone: the next receive says so
                self._server.send(reply(step, code, log.kept))
            self._ended = code, log
            self._running.end()
            self._running = None
            kill_strays(spare.pid)
            empty_shared()

    def _attend(self, worker: Worker, log: Log) -> int:
        """Carry its output to the log until it has ended; returns its exit code."""
        poll = select.poll()
        for file in (worker.control, worker.ending, worker.output, self._server):
            poll.register(file, select.POLLIN)
        code = -1
        while code < 0:
            ready = {file for file, _ in poll.poll()}
            if self._server.fileno() in ready:
                self._hear(log)
                poll.unregister(self._server)
                poll.register(worker.output, select.POLLIN)
            if worker.output in ready and not worker.carry(log):
                poll.unregister(worker.output)
            if worker.control.fileno() in ready:
                poll.unregister(worker.control)
                code = int(worker.control.recv(16) or code)
            elif worker.ending in ready:
                code = worker.code()
        worker.drain(log)
        log.feed(b"", final=True)
        return code

    def _hear(self, log: Log) -> None:
        packet, files = receive(self._server)
        if packet != LAST:
            os._exit(1)
        self._is_last = True
        log.open(files[0])

    def _pass_on(self) -> None:
        """Ask the step to end when this program is asked to."""
        if self._running is None:
            os._exit(128 + signal.SIGTERM)
        with suppress(ProcessLookupError):
            os.kill(self._running.pid, signal.SIGTERM)


def kill_strays(spare: int) -> None:
    """End the processes that a step has left behind, and those that they leave."""
    while strays := set(children()) - {spare}:
        for pid in strays:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in strays:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def empty_shared() -> None:
    """Remove what a step has left in the places that the sandbox has once."""
    for place in ("/tmp", "/dev/shm") if IS_ALONE else ():  # noqa: S108 - inside
        remove(place)  # the place itself is a mount, and stays


def receive(server: socket.socket) -> tuple[bytes, list[int]]:
    """Wait for a packet and the file with it; an empty one when there will be none."""
    try:
        packet, files, _, _ = socket.recv_fds(server, _PACKET, 1)
    except ConnectionResetError:  # it has not read our answer; said once, and then what it sent
        packet, files, _, _ = socket.recv_fds(server, _PACKET, 1)
    return packet, files


def reply(step: Step, code: int, log: bytes) -> bytes:
    """Write how a step ended; what is too much for a packet is left in its folder."""
    files = made(step)
    said = {"code": code, "log": b64encode(log).decode(), "files": None}
    if files is not None:
        said["files"] = {name: b64encode(data).decode() for name, data in files.items()}
    packet = json.dumps(said).encode()
    if len(packet) <= _LONGEST_REPLY:
        return packet
    with open(f"{BASE}/{step['number']}/log", "wb") as file:
        file.write(log)
    return json.dumps({"code": code, "log": None, "files": None}).encode()


def made(step: Step) -> dict[str, bytes] | None:
    """Read what a step made; None when that is much, or not only plain files."""
    found: dict[str, bytes] = {}
    top, room = f"{BASE}/{step['number']}", _MOST_BYTES
    pending = list(step["made"])
    while pending:
        folder = pending.pop()
        try:
            entries = list(os.scandir(f"{top}/{folder}"))
        except OSError:
            return None
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{folder}/{entry.name}")
                continue
            room -= entry.stat(follow_symlinks=False).st_size
            if room < 0 or not entry.is_file(follow_symlinks=False):
                return None
            with open(entry.path, "rb") as file:
                found[f"{folder}/{entry.name}"] = file.read(_MOST_BYTES)
    return found


def children() -> list[int]:
    """List the processes below this one."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii")
    return [int(word) for word in text.split()]


def remove(path: str, device: int = 0) -> None:
    """Remove a folder with all that is below it, as far as that can be done.

    What is mounted below it, on another ``device``, is let be: the source code of a user who works
    in ``/tmp`` is there.
    """
    with suppress(OSError), os.scandir(path) as entries:
        device = device or os.lstat(path).st_dev
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    os.unlink(entry.path)
            elif entry.stat(follow_symlinks=False).st_dev == device:
                remove(entry.path, device)
    with suppress(OSError):
        os.rmdir(path)


def fork(*foreign: Any) -> Worker:
    """Fork a process that waits for its step; ``foreign`` is what it has no business with."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        os.close(output)
        for one in foreign:
            if isinstance(one, int):
                os.close(one)
            else:
                one.close()
        become(there, inlet)
    there.close()
    os.close(inlet)
    os.set_blocking(output, False)
    return Worker(pid, here, output)


def become(control: socket.socket, output: int) -> NoReturn:
    """Wait for a step and be it."""
    code = 1
    try:
        prctl(_DUMPABLE, 1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        CODE.rehearse()
        packet = control.recv(_PACKET)
        if not packet:
            os._exit(0)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(output)
        code = run(marshal.loads(packet))  # noqa: S302 - of the server
        with suppress(OSError):  # the step has closed it
            control.send(b"%d" % code)
    except OSError:  # as when there is no room for its files
        with suppress(OSError, ValueError):
            traceback.print_exc()
            sys.stderr.flush()
    finally:
        os._exit(code)


def prctl(option: int, value: int) -> None:
    """Set a property of this process."""
    _libc.prctl(option, value, 0, 0, 0)


def main() -> NoReturn:
    """Connect, settle, serve."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(str(BASE / "socket"))
    with suppress(ImportError):  # what functions were pickled with
        import_module("cloudpickle")
    prctl(_SUBREAPER, 1)  # what steps leave behind becomes ours to kill
    prctl(_DUMPABLE, 0)  # and no step may trace us
    gc.collect()
    gc.freeze()
    Host(server).serve()


if __name__ == "__main__":
    main()
