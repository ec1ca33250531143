"""Captured requests that wait in memory to be written, without a lock on their way in."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clary.endpoints.capture_records import Shape
    from clary.endpoints.captures import Sampler
    from clary.endpoints.invocations import Invocation

Body = bytes | tuple["Invocation", str]
"""What a request said; the request itself and its id where it has more to tell than its body."""
Run = tuple["Kind", list[Body], list[bytes]]
"""What requests of one kind said and were told, in order."""
_BATCH = 1024
"""Lines of a write, in which other threads get their turn."""
_OVERHEAD = 300
"""Bytes that a request takes beside its bodies while it waits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held where, and for how long.

    Parameters
    ----------
    waiting_bytes
        Of requests that may wait in memory to be written.
    every_s
        They are written so often; what a crash loses at most.
    file_bytes, file_s
        Size and age at which a file becomes an object; it does so at its hour's end in any case.
    spooled_bytes
        Files of all processes that may wait to become objects.
    """

    waiting_bytes: int = 32 << 20
    every_s: float = 0.25
    file_bytes: int = 8 << 20
    file_s: float = 10.0
    spooled_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """Whose requests, and of which shape."""

    sampler: Sampler
    shape: Shape


class Waiting:
    """What has been taken and not written yet; ``wake`` is called when that becomes much.

    Nothing is locked on the way in: three items a request are added to a list at once, most of
    them bytes, in which the garbage collector has no interest. ``size`` may miss a little of what
    threads add at once; it begins anew with each ``take_all``.
    """

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self._most = limits.waiting_bytes
        self._wake = wake
        self._items: list[Body | bytes | Kind] = []
        self._add = self._items.extend
        self._size = 0
        self._lock = threading.Lock()
        self._lost: Counter[Sampler] = Counter()

    def put(self, kind: Kind, body: Body, answer: bytes, size: int) -> None:
        """Keep a request whose bodies have so many bytes, or count it as lost."""
        size = self._size = self._size + size + _OVERHEAD
        if size > self._most:
            self._lose(kind.sampler)
            return
        self._add((kind, body, answer))
        if size > self._most >> 3:
            self._wake()

    def _lose(self, sampler: Sampler) -> None:
        with self._lock:
            self._lost[sampler] += 1

    def take_all(self, *, close: bool = False) -> tuple[list[Run], Mapping[Sampler, int]]:
        """Hand out what has been kept, and how much was lost; after ``close`` nothing is kept."""
        if close:
            self._most = -1
        self._size = 0
        items: list[Any] = self._items[: len(self._items)]
        del self._items[: len(items)]
        with self._lock:
            lost, self._lost = self._lost, Counter()
        return list(_runs(items[::3], items[1::3], items[2::3])), lost


def _runs(kinds: list[Kind], bodies: list[Body], answers: list[bytes]) -> Iterator[Run]:
    """Cut requests where their kind changes, and where it is another thread's turn."""
    start = 0
    for _, same in groupby(kinds, key=id):
        end = start + sum(1 for _ in same)
        for cut in range(start, end, _BATCH):
            until = min(end, cut + _BATCH)
            yield kinds[cut], bodies[cut:until], answers[cut:until]
        start = end
