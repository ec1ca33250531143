"""How much may be read and written of groups with provisioned capacity: token buckets in memory."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from clary.features.values import size_of
from clary.kernel.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.features.model import Record
    from clary.features.records import Group

READ_BYTES, WRITTEN_BYTES = 4096, 1024
"""What a unit stands for; a record is at least one."""
_MOST = 10_000
"""Buckets that are kept; beyond that all begin anew, full."""
_AGAIN_S = 1.0


class Bucket:
    """Units that come at a steady rate and are taken as they are used; it holds those of a second.

    More than it holds can be taken when it is full; it then is in debt for as long as that takes.

    Examples
    --------
    >>> bucket = Bucket(2, at_s=0.0)
    >>> bucket.take(2, at_s=0.0), bucket.take(1, at_s=0.0), bucket.take(1, at_s=0.5)
    (0.0, 0.5, 0.0)
    >>> bucket.take(6, at_s=1.0), bucket.take(6, at_s=1.5), bucket.take(1, at_s=2.0)
    (0.5, 0.0, 2.0)
    """

    def __init__(self, rate: int, at_s: float) -> None:
        self.rate = rate
        self._level = float(rate)
        self._at_s = at_s

    def take(self, units: int, at_s: float) -> float:
        """Take units; return 0, or in how many seconds they can be taken, and take none."""
        self._level = min(self.rate, self._level + (at_s - self._at_s) * self.rate)
        self._at_s = at_s
        missing = min(units, self.rate) - self._level
        if self.rate == 0:
            return _AGAIN_S
        if missing > 0:
            return missing / self.rate
        self._level -= units
        return 0.0


class Throughput:
    """Counts what this process reads and writes online of groups with provisioned capacity.

    Several servers of one home each allow the whole.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def read(self, group: Group, records: Sequence[Record | None]) -> None:
        """Count records that were read: a unit for each 4 KiB of one, and for each that is absent.

        Raises Throttled when the group's capacity does not allow it now.
        """
        if group.read_units is not None:
            self._take(group, "reads", group.read_units, _units(group, records, READ_BYTES))

    def write(self, group: Group, records: Sequence[Record | None]) -> None:
        """Count records that are to be written: a unit for each KiB of one, and for a deletion.

        Raises Throttled when the group's capacity does not allow it now.
        """
        if group.write_units is not None:
            self._take(group, "writes", group.write_units, _units(group, records, WRITTEN_BYTES))

    def _take(self, group: Group, what: str, rate: int, units: int) -> None:
        key, at_s = (group.online_table, what), self._clock()
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None or bucket.rate != rate:
                if len(self._buckets) >= _MOST:
                    self._buckets.clear()
                bucket = self._buckets[key] = Bucket(rate, at_s)
            wait_s = bucket.take(units, at_s)
        if wait_s:
            raise Throttled(
                f"{group.ref.name} has {what} of {rate} units a second",
                retry_after_s=wait_s,
                hint="try again later, or raise the group's ThroughputConfig",
            )


def _units(group: Group, records: Sequence[Record | None], unit: int) -> int:
    names = sum(len(feature.name) for feature in group.schema.features)
    sizes = (names + sum(map(size_of, one.values)) if one else 1 for one in records)
    return sum(-(-size // unit) for size in sizes)
