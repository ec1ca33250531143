"""Quick steps of one execution, run in sandboxes that they share, without a job's own machinery.

A sandbox is a process of the job runner, used by one execution only and as long as one process
holds that. A step that takes longer than a moment becomes an ordinary job, whose process its
sandbox is from then on; one whose sandbox vanished is started the ordinary way.
"""

from __future__ import annotations

import secrets
import select
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.jobs.hosting import COMMAND, Host, HostLostError
from clary.jobs.launch import specification
from clary.jobs.shared import Known, Task, prepare
from clary.kernel.errors import ClaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.jobs.ports import JobRunner
    from clary.jobs.runs import Tools
    from clary.kernel.names import Ref
    from clary.kernel.steps import Done, StepRun

LONG_S = 0.3
"""What takes longer is a job of its own."""
_PATIENCE_S = 20.0
"""How long a sandbox may take to be there."""
_LIMIT_S = 2.0 * 86_400
"""How long one may last: what it runs at last has a day."""


class JobCrew:
    """Implements ``kernel.steps.Crew`` for the jobs of steps.

    Parameters
    ----------
    tools
        What jobs work with.
    most
        How many sandboxes there may be at once; those that have become jobs count.
    """

    def __init__(self, tools: Tools, most: int) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._free = most
        self._jobs: set[str] = set()

    def hands(self, execution: Ref, keep: Callable[[Sequence[str]], None]) -> JobHands:
        """Give an execution hands."""
        return JobHands(self._tools, self, execution, keep)

    def clear(self, names: Sequence[str]) -> None:
        """Discard sandboxes that nobody holds."""
        for name in names:
            self._tools.runner.discard(name)

    def reserve(self) -> bool:
        """Take the right to a sandbox, if there is one to be had."""
        with self._lock:
            if self._free == 0:
                for name in [one for one in self._jobs if not _runs(self._tools.runner, one)]:
                    self._jobs.discard(name)
                    self._free += 1
            has_room = self._free > 0
            self._free -= has_room
            return has_room

    def give_back(self, name: str, *, is_job: bool) -> None:
        """Give the right back, once the job has ended that the sandbox became."""
        with self._lock:
            if is_job:
                self._jobs.add(name)
            else:
                self._free += 1


class JobHands:
    """Implements ``kernel.steps.Hands``."""

    def __init__(
        self, tools: Tools, crew: JobCrew, execution: Ref, keep: Callable[[Sequence[str]], None]
    ) -> None:
        self._tools, self._crew, self._keep = tools, crew, keep
        self._name = f"{execution.name.rpartition('/')[2]}-{secrets.token_hex(4)}"
        self._known = Known()
        self._queue: deque[Task] = deque()
        self._running: dict[str, Task] = {}
        self._hosts: dict[str, Host] = {}
        self._begun: dict[str, float] = {}
        self._done: list[Done] = []
        self._started = self._numbered = 0

    @property
    def names(self) -> Sequence[str]:
        """The sandboxes that are this execution's."""
        return tuple(self._hosts)

    @property
    def is_busy(self) -> bool:
        """Whether steps were taken that ``wait`` has not told of."""
        return bool(self._queue or self._running or self._done)

    def take(self, run: StepRun) -> bool:
        """Begin a step, or say that it is not for hands."""
        self._numbered += 1
        task = prepare(self._tools, self._known, run, str(self._numbered))
        if task is None:
            return False
        self._queue.append(task)
        self._dispatch()
        if len(self._queue) and not self._hosts:
            self._queue.remove(task)
            return False
        return True

    def wait(self, timeout_s: float) -> Sequence[Done]:
        """Return the steps that have ended, as soon as there are any, or after ``timeout_s``."""
        until = time.monotonic() + timeout_s
        while not self._done and (self._queue or self._running):
            left = min(self._patience_s(), until - time.monotonic())
            self._hear(max(0.0, left))
            self._hand_on()
            self._dispatch()
            self._yield_up()
            if time.monotonic() >= until:
                break
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Discard every sandbox."""
        while self._hosts:
            self._drop(next(iter(self._hosts)))

    def _patience_s(self) -> float:
        """Say when the first step will have taken long."""
        now = time.monotonic()
        return min((one.since + LONG_S - now for one in self._running.values()), default=LONG_S)

    def _hear(self, timeout_s: float) -> None:
        """Wait for hosts to connect, and for steps to end."""
        poll = select.poll()
        files = {host.fileno(): host for host in self._hosts.values()}
        for file in files:
            poll.register(file, select.POLLIN)
        for file, _ in poll.poll(1 + 1000 * timeout_s):
            host = files[file]
            if host.is_connected:
                self._end(host)
            else:
                host.accept()

    def _end(self, host: Host) -> None:
        """Take in that a step has ended; its sandbox gets the next one before all else."""
        task = self._running.pop(host.name, None)
        try:
            reply = host.end()
        except HostLostError:
            reply = None
        if task is None or reply is None:  # nothing was asked of one that says something
            self._drop(host.name)
            self._done += [task.lost()] if task else []
            return
        self._dispatch()
        try:
            done = task.end(host, reply)
        except (ClaryError, OSError):  # what it left cannot be read; it gets another try
            done = task.lost()
        self._done.append(done)

    def _dispatch(self) -> None:
        """Send steps to sandboxes that are idle, and start as many as there is work for."""
        idle = [host for host in self._hosts.values() if host.name not in self._running]
        for host in idle:
            if self._queue and host.is_connected:
                task = self._queue.popleft()
                try:
                    task.send(host)
                    self._running[host.name] = task
                except HostLostError:
                    self._drop(host.name)
                    self._done.append(task.lost())
        waiting = sum(not host.is_connected for host in self._hosts.values())
        if len(self._queue) > waiting and self._crew.reserve():
            self._start()

    def _start(self) -> None:
        """Start a sandbox for the first step of the queue and those after it."""
        name = f"{self._name}-{self._started}"
        self._started += 1
        try:
            self._keep([*self._hosts, name])
        except BaseException:
            self._crew.give_back(name, is_job=False)
            raise
        host = self._hosts[name] = Host(self._tools.runner, name)
        self._begun[name] = time.monotonic()
        task = self._queue[0]
        path = {"PYTHONPATH": task.packet["environment"].get("PYTHONPATH", "")}
        plan = replace(task.plan, argv=COMMAND, cwd="/opt/ml", limit_s=_LIMIT_S)
        spec = specification(
            plan,
            plan.hosts[0],
            path,
            process=name,
            ml=host.ml,
            log=host.ml / "log",
            memory_bytes=self._tools.memory_bytes,
        )
        try:
            host.start(spec)
        except (ClaryError, OSError):
            self._drop(name)

    def _hand_on(self) -> None:
        """Make jobs of what takes long; give up sandboxes that do not come."""
        now = time.monotonic()
        for name, task in list(self._running.items()):
            if now - task.since > LONG_S:
                host = self._hosts[name]
                del self._running[name]
                try:
                    done = task.go_on(host)
                except HostLostError:
                    self._drop(name)
                    done = task.lost()
                else:
                    del self._hosts[name]
                    self._crew.give_back(name, is_job=True)
                self._done.append(done)
        for host in [one for one in self._hosts.values() if not one.is_connected]:
            late = now - self._begun[host.name]
            if late > _PATIENCE_S or (late > 1.0 and not host.is_running()):
                self._drop(host.name)

    def _yield_up(self) -> None:
        """Give back the steps that no sandbox is there for."""
        if self._queue and not self._hosts:
            self._done += [task.lost() for task in self._queue]
            self._queue.clear()

    def _drop(self, name: str) -> None:
        """Discard a sandbox."""
        self._crew.give_back(name, is_job=False)
        self._hosts.pop(name).discard()


def _runs(runner: JobRunner, name: str) -> bool:
    status = runner.status(name)
    return status is not None and status.state == "running"
