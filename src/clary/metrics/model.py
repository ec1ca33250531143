"""The nouns of metrics: what is measured, and what is known of its values in a stretch of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FINEST_S = 10
"""Values are kept in slots of so many seconds, aligned to 1970 UTC, and in coarser ones."""
KEPT_S: Mapping[int, int] = {FINEST_S: 3 * 3600, 60: 15 * 86_400, 3600: 455 * 86_400}
"""How long slots of each length are kept, in seconds."""
LARGEST = 2.0**360
"""The largest magnitude that a value may have."""
MOST_BUCKETS = 2_048
_GAMMA = 1.01 / 0.99
_LOG_GAMMA = math.log(_GAMMA)
_MIDDLE = 2.0 / (1.0 + _GAMMA)
_OFFSET = 40_000
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """The full name of one series of values.

    Parameters
    ----------
    account, region
        Whose it is.
    namespace, name
        ``AWS/SageMaker``, ``ModelLatency``.
    dimensions
        Names and values, by name.
    unit
        ``Count``, ``Microseconds``, …; the same metric in another unit is another series.
    """

    account: str
    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    unit: str = "None"


@dataclass(slots=True)
class Tally:
    """What is known of many values without keeping them.

    Percentiles come from counts in buckets whose bounds grow by 2 %, and so lie within 1 % of the
    value that has that rank. When values spread over more than ``MOST_BUCKETS`` (17 powers of
    ten), the lowest share a bucket.

    Parameters
    ----------
    count
        How many values; a weight may be a fraction.
    total, minimum, maximum
        Their sum and bounds.
    buckets
        Counts by bucket, in the order of the values' size.

    Examples
    --------
    >>> tally = Tally()
    >>> for value in range(1, 101):
    ...     tally.add(value)
    >>> tally.count, tally.total, tally.minimum, tally.maximum
    (100.0, 5050.0, 1.0, 100.0)
    >>> abs(tally.percentile(99) / 99 - 1) <= 0.01
    True
    """

    count: float = 0.0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    buckets: dict[int, float] = field(default_factory=dict)

    def add(self, value: float, times: float = 1.0) -> None:
        """Count a finite value."""
        self.count += times
        self.total += value * times
        self.minimum = min(self.minimum, float(value))
        self.maximum = max(self.maximum, float(value))
        bucket = _bucket(value)
        self.buckets[bucket] = self.buckets.get(bucket, 0.0) + times
        if len(self.buckets) > MOST_BUCKETS:
            self._share_lowest()

    def merge(self, other: Tally) -> None:
        """Count what another one has counted."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        mine = self.buckets
        for bucket, times in other.buckets.items():
            mine[bucket] = mine.get(bucket, 0.0) + times
        if len(mine) > MOST_BUCKETS:
            self._share_lowest()

    def percentile(self, percent: float) -> float | None:
        """Return the value with a rank, 0 to 100; None when only sums are known of some values."""
        known = sum(self.buckets.values())
        if not known or abs(known - self.count) > _TOLERANCE * self.count:
            return None
        left = self.count * percent / 100.0 - _TOLERANCE
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                break
        return min(max(_value(bucket), self.minimum), self.maximum)

    def at_most(self, bound: float) -> float:
        """Count the values that are ``bound`` or less, to the accuracy of the buckets."""
        last = _bucket(bound)
        return sum(times for bucket, times in self.buckets.items() if bucket <= last)

    def _share_lowest(self) -> None:
        lowest = sorted(self.buckets)[: len(self.buckets) - MOST_BUCKETS + 1]
        self.buckets[lowest[-1]] = sum(self.buckets.pop(bucket) for bucket in lowest)


def _bucket(value: float) -> int:
    if value > 0.0:
        return math.ceil(math.log(value) / _LOG_GAMMA) + _OFFSET
    if value < 0.0:
        return -math.ceil(math.log(-value) / _LOG_GAMMA) - _OFFSET
    return 0


def _value(bucket: int) -> float:
    """Return the value that is within 1 % of all of a bucket's."""
    if bucket == 0:
        return 0.0
    power = (abs(bucket) - _OFFSET) * _LOG_GAMMA
    return math.copysign(math.exp(power) * _MIDDLE, bucket)


@dataclass(frozen=True, slots=True)
class Slot:
    """What was measured of one series from ``at`` on: whole seconds since 1970 UTC.

    In a store's answer it lasts as long as was asked for; given to a store, ``FINEST_S``.
    """

    metric: Metric
    at: int
    tally: Tally
