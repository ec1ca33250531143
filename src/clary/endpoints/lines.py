"""Lines to the instances of a fleet: one request at a time has one, the others wait in a row."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from clary.kernel.errors import LimitExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clary.endpoints.frames import Channel
    from clary.endpoints.instances import Instance

    Key = tuple[str, str]
    """A model and its etag; both empty where there is one model for all."""

_LOOK_S = 0.05
_REVIVE_S = 0.5
"""After what time an instance that failed a request is tried again, if it is still there."""


class Line:
    """An instance, as one request at a time uses it; connected when it is used first."""

    def __init__(self, one: Instance) -> None:
        self.instance = one
        self.key: Key = (one.model, one.etag)
        self.channels: list[Channel] = []
        self.gone = False

    def disconnect(self) -> None:
        """Close its connections; the next request makes new ones."""
        for channel in self.channels:
            channel.close()
        self.channels = []


class _Waiter:
    """A request that waits for a line."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.line: Line | None = None
        self.served = threading.Event()


class Lines:
    """The lines of one fleet.

    Parameters
    ----------
    max_waiting
        How many requests may wait, for each instance.
    max_busy
        How many requests may wait or be answered at once; 0: any number.
    """

    def __init__(self, max_waiting: float, max_busy: int = 0) -> None:
        self._max_waiting = max_waiting
        self._max_busy = max_busy
        self._lock = threading.Lock()
        self._lines: dict[int, Line] = {}
        self._free: dict[Key, list[Line]] = {}
        self._lost: dict[int, float] = {}
        self._ready: dict[int, Instance] = {}
        self._waiters: deque[_Waiter] = deque()

    def refresh(self, ready: Iterable[Instance]) -> None:
        """Learn which instances take requests."""
        with self._lock:
            self._ready = {one.serial: one for one in ready}
            for serial in self._lost.keys() - self._ready.keys():
                del self._lost[serial]
            for serial in self._lines.keys() - self._ready.keys():
                self._drop(self._lines[serial])
            self._add()

    def close(self) -> None:
        """Let go of every instance."""
        self.refresh(())

    def count(self, key: Key) -> tuple[int, int]:
        """Say how many instances of a model there are, and how many requests have or want one."""
        with self._lock:
            there = sum(line.key == key for line in self._lines.values())
            waiting = sum(waiter.key == key for waiter in self._waiters)
            return there, there - len(self._free.get(key, ())) + waiting

    def take(self, key: Key, deadline: float, look: Callable[[], None]) -> Line:
        """Get a line, after those who have waited longer.

        Parameters
        ----------
        deadline
            Until when to wait, on the monotonic clock.
        look
            Called again and again while waiting; may raise to give up.

        Raises
        ------
        LimitExceeded
            As many requests as may be are under way.
        Unavailable
            Too many wait already, or none has become free in time.
        """
        with self._lock:
            self._add()
            free = self._free.get(key)
            self._refuse_too_many(has_free=bool(free))
            if free:
                return free.pop()
            waiter = _Waiter(key)
            self._waiters.append(waiter)
        try:
            look()
            while not waiter.served.wait(_left(deadline)):
                look()
                with self._lock:
                    self._add()
        except BaseException:
            self._withdraw(waiter)
            raise
        assert waiter.line is not None  # noqa: S101 - for the type checker: it is served
        return waiter.line

    def give(self, line: Line) -> None:
        """Give a line back, to who waits longest for one like it."""
        with self._lock:
            self._give(line)

    def lose(self, line: Line, *, again: bool) -> None:
        """Give back a line whose instance failed; ``again``: it may be tried again."""
        with self._lock:
            self._drop(line)
            if again:
                self._lost[line.instance.serial] = time.monotonic()
            else:
                self._ready.pop(line.instance.serial, None)
        line.disconnect()

    def _refuse_too_many(self, *, has_free: bool) -> None:
        free = sum(map(len, self._free.values()))
        busy = len(self._lines) - free + len(self._waiters)
        if self._max_busy and busy >= self._max_busy:
            raise LimitExceeded(f"{busy} requests are under way, at most {self._max_busy} may be")
        if not has_free and len(self._waiters) >= self._max_waiting * max(1, len(self._lines)):
            raise Unavailable("too many requests wait for a worker", retry_after_s=1.0)

    def _add(self) -> None:
        """Open lines to the instances that have none."""
        if len(self._lines) == len(self._ready):
            return
        for serial, one in self._ready.items():
            lost_at = self._lost.get(serial)
            if serial in self._lines or (lost_at and time.monotonic() - lost_at < _REVIVE_S):
                continue
            self._lost.pop(serial, None)
            line = self._lines[serial] = Line(one)
            self._give(line)

    def _give(self, line: Line) -> None:
        if line.gone:
            line.disconnect()
            return
        for waiter in self._waiters:
            if waiter.key == line.key:
                self._waiters.remove(waiter)
                waiter.line = line
                waiter.served.set()
                return
        self._free.setdefault(line.key, []).append(line)

    def _drop(self, line: Line) -> None:
        """Offer a line no more; who has it keeps it until it is given back."""
        line.gone = True
        if self._lines.get(line.instance.serial) is line:
            del self._lines[line.instance.serial]
        free = self._free.get(line.key, [])
        if line in free:
            free.remove(line)
            line.disconnect()
        if not free:
            self._free.pop(line.key, None)

    def _withdraw(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.line is not None:
                self._give(waiter.line)


def _left(deadline: float) -> float:
    """Say how long to wait now. Raises Unavailable."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unavailable("no worker has become free in time", retry_after_s=1.0)
    return min(_LOOK_S, left)
