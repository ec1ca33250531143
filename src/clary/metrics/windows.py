"""Stretches of time: which slots a question reads, and which period each belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput, NotSupported
from clary.metrics.model import FINEST_S, KEPT_S, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.metrics.model import Slot

MOST_POINTS = 100_800
"""So many periods a question may ask for."""
PERIODS = "10, 20, 30 or a multiple of 60"
STATISTICS = "Average, Sum, Minimum, Maximum, SampleCount, p0.0 to p100"
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{0,10})?|100)")
_NOT_OFFERED = re.compile(r"(IQM|(TM|WM|PR|TC|TS)\(.*\)|(tm|wm|tc|ts)[0-9.]+)")


def check_period(period_s: int, *, field: str = "Period") -> None:
    """Refuse a period that cannot be asked for. Raises InvalidInput."""
    if period_s % 60 and period_s not in (FINEST_S, 2 * FINEST_S, 3 * FINEST_S):
        raise InvalidInput(field, f"{period_s} seconds", legal=PERIODS)
    if period_s <= 0:
        raise InvalidInput(field, f"{period_s} seconds", legal=PERIODS)


@dataclass(frozen=True, slots=True)
class Window:
    """Periods one behind the other.

    Parameters
    ----------
    start, end
        Whole seconds since 1970: the first period begins at ``start``, the last before ``end``.
    period_s
        How long each is.
    length_s
        The length of the slots to read, a key of ``KEPT_S`` that divides all of them.
    """

    start: int
    end: int
    period_s: int
    length_s: int

    @property
    def periods(self) -> range:
        """When each period begins."""
        return range(self.start, self.end, self.period_s)

    def group(self, slots: Iterable[Slot]) -> Mapping[int, Mapping[str, Tally]]:
        """Add slots up by the beginning of their period, in order, and by unit."""
        found: dict[int, dict[str, Tally]] = {}
        for slot in slots:
            begins = slot.at - (slot.at - self.start) % self.period_s
            by_unit = found.setdefault(begins, {})
            by_unit.setdefault(slot.metric.unit, Tally()).merge(slot.tally)
        return found


def window(start: float, end: float, period_s: int, *, at: float) -> Window:
    """Choose how to read what was measured in ``[start, end)``, seconds since 1970, at ``at``.

    The start is rounded down to the minute, or to a period that is shorter; to the hour where
    only hours are kept and the period is made of them.

    Raises
    ------
    InvalidInput
        The period is not legal, the end not behind the start, or the periods are too many.

    Examples
    --------
    >>> window(3_600_065, 3_600_500, 60, at=3_600_500)
    Window(start=3600060, end=3600500, period_s=60, length_s=60)
    """
    check_period(period_s)
    if not start < end:
        raise InvalidInput("EndTime", "is not behind StartTime")
    if (end - start) / period_s > MOST_POINTS:
        raise InvalidInput("Period", f"makes more than {MOST_POINTS} data points of this time")
    unit = min(period_s, 60)
    begins = int(start // unit) * unit
    if period_s % 3600 == 0 and begins < at - KEPT_S[60]:
        begins -= begins % 3600
    fitting = [length for length in KEPT_S if period_s % length == 0 and begins % length == 0]
    return Window(begins, -int(-end // 1), period_s, max(fitting))


def statistic(tally: Tally, name: str, *, field: str = "Stat") -> float | None:
    """Read a statistic; None when its values are not known well enough.

    Raises
    ------
    InvalidInput, NotSupported
        There is none of this name, or clary has it not.
    """
    match name:
        case "Average":
            return tally.total / tally.count
        case "Sum":
            return tally.total
        case "Minimum":
            return tally.minimum
        case "Maximum":
            return tally.maximum
        case "SampleCount":
            return tally.count
    if found := _PERCENTILE.fullmatch(name):
        return tally.percentile(float(found[1]))
    if _NOT_OFFERED.fullmatch(name):
        raise NotSupported(f"{field}: clary has no {name!r}", hint=f"legal: {STATISTICS}")
    raise InvalidInput(field, f"{name!r} is no statistic", legal=STATISTICS)


def check_statistic(name: str, *, field: str = "Stat") -> None:
    """Refuse a statistic that cannot be read. Raises InvalidInput, NotSupported."""
    one = Tally()
    one.add(1.0)
    statistic(one, name, field=field)
