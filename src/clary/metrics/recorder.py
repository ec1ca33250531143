"""Measuring inside a process: cheap to add to, written to the store every few seconds."""

from __future__ import annotations

import logging
import math
import threading
import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.errors import LimitExceeded
from clary.metrics.model import FINEST_S, Metric, Slot, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.metrics.ports import SeriesStore

FLUSH_S = 5
"""Values are in the store after so many seconds at most."""
STALE_S = 2.0
MOST_SERIES = 20_000
"""So many series a process measures at a time; the values of more are dropped."""
_MOST_WAITING = 360
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Account:
    """What is known of a series: raw values, slots that are not stored, and the rest so far."""

    values: list[tuple[float, float]] = field(default_factory=list)
    slots: dict[int, Tally] = field(default_factory=dict)
    stored: Tally = field(default_factory=Tally)
    latest: float = 0.0
    latest_at: float = 0.0

    def fold(self, at: float) -> None:
        """Count the raw values in a slot. Other threads go on adding behind them."""
        many = len(self.values)
        if not many:
            return
        taken = Counter(self.values[:many])
        del self.values[:many]
        tally = self.slots.setdefault(int(at // FINEST_S) * FINEST_S, Tally())
        for (value, times), repeated in taken.items():
            if math.isfinite(value) and times > 0:
                tally.add(value, times * repeated)
                self.latest, self.latest_at = value, at

    def ever(self) -> Tally:
        """Sum up everything since the series began in this process."""
        whole = Tally()
        for tally in (self.stored, *self.slots.values()):
            whole.merge(tally)
        return whole

    def settle(self, written: Mapping[int, Tally]) -> None:
        """Forget the slots that are stored."""
        for at, tally in written.items():
            self.stored.merge(tally)
            del self.slots[at]


class Series:
    """A metric of this process.

    Attributes
    ----------
    metric
        Its name.
    """

    __slots__ = ("__weakref__", "_append", "metric")

    def __init__(self, metric: Metric, append: Callable[[tuple[float, float]], None]) -> None:
        self.metric = metric
        self._append = append

    def add(self, value: float, times: float = 1.0) -> None:
        """Count a value now: 0.1 µs, never blocks, safe from any thread.

        What is not finite is dropped.
        """
        self._append((value, times))


@dataclass(frozen=True, slots=True)
class Total:
    """A series since it began in this process.

    ``latest`` is its last value, 0 when there was none for ``STALE_S``.
    """

    metric: Metric
    tally: Tally
    latest: float


class Recorder:
    """Measures what happens in this process and writes it to a store.

    Its thread starts with the first series. A process that is killed loses the last seconds.

    Parameters
    ----------
    store
        Where values go; those of several processes add up there.
    """

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._accounts: dict[Metric, _Account] = {}
        self._series: weakref.WeakValueDictionary[Metric, Series] = weakref.WeakValueDictionary()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._sources: list[Callable[[], None]] = []

    def series(
        self, namespace: str, name: str, dimensions: Mapping[str, str], unit: str, *, near: Ref
    ) -> Series:
        """Return the series of a metric; the same one for the same name while it is held.

        Hold it for as long as values may come: a series that nobody holds ends.

        Parameters
        ----------
        near
            Its account and region are the metric's.
        """
        ordered = tuple(sorted(dimensions.items()))
        metric = Metric(near.account, near.region, namespace, name, ordered, unit)
        with self._lock:
            found = self._series.get(metric)
            if found is None:
                found = self._series[metric] = Series(metric, self._begin(metric))
                self._start()
        return found

    def poll(self, source: Callable[[], None]) -> None:
        """Have ``source`` add what it has every second, and before each reading and writing."""
        with self._lock:
            self._sources.append(source)
            self._start()

    def totals(self) -> Sequence[Total]:
        """Sum up every series since it began in this process."""
        at = now().timestamp()
        self._ask(at)
        with self._lock:
            return [
                Total(
                    one, account.ever(), account.latest if at - account.latest_at < STALE_S else 0.0
                )
                for one, account in self._accounts.items()
            ]

    def flush(self) -> None:
        """Write what has been measured until now.

        Raises
        ------
        Unavailable
            It cannot be written now; it is kept for the next time.
        """
        self._ask(now().timestamp())
        with self._lock:
            self._write()

    def close(self) -> None:
        """Write the rest and end the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self.flush()

    def _begin(self, metric: Metric) -> Callable[[tuple[float, float]], None]:
        account = self._accounts.get(metric)
        if account is None and len(self._accounts) >= MOST_SERIES:
            _log.warning("%s is not measured: there are %d series", metric, MOST_SERIES)
            return _drop
        account = self._accounts.setdefault(metric, account or _Account())
        return account.values.append

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        second = math.floor(now().timestamp())
        while not self._ended.wait(max(0.0, second + 1 - now().timestamp())):
            try:
                self._tick(second)
            except Exception:
                _log.exception("metrics could not be written; trying again")
            second = math.floor(now().timestamp())

    def _tick(self, second: int) -> None:
        """Count what was added since ``second``, and write when it is time."""
        self._ask(second)
        if (second + 1) % FLUSH_S == 0:
            with self._lock:
                self._write()

    def _ask(self, at: float) -> None:
        for source in self._sources:
            source()
        with self._lock:
            for account in self._accounts.values():
                account.fold(at)

    def _write(self) -> None:
        full = {metric: account for metric, account in self._accounts.items() if account.slots}
        try:
            self._store_all(full)
        finally:
            for account in full.values():
                for late in sorted(account.slots)[:-_MOST_WAITING]:
                    del account.slots[late]
        for metric in [one for one in self._accounts if one not in self._series]:
            del self._accounts[metric]

    def _store_all(self, full: Mapping[Metric, _Account]) -> None:
        slots = list(_slots(full))
        if not slots:
            return
        try:
            self._store.add(slots)
        except LimitExceeded as error:
            _log.warning("some metrics are dropped: %s", error)
            self._store_each(full)
        for account in full.values():
            account.settle(dict(account.slots))

    def _store_each(self, full: Mapping[Metric, _Account]) -> None:
        for metric, account in full.items():
            try:
                self._store.add(list(_slots({metric: account})))
            except LimitExceeded as error:
                _log.info("%s: %s", metric, error)


def _slots(full: Mapping[Metric, _Account]) -> Iterator[Slot]:
    for metric, account in full.items():
        for at, tally in account.slots.items():
            yield Slot(metric, at, tally)


def _drop(value: tuple[float, float]) -> None:
    del value
