"""The metrics of components: log them, summarize them, read them back over time or steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from clary.experiments.model import COMPONENT
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clary.experiments.ports import MetricStore, Point, Summary
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource

Statistic = Literal["Min", "Max", "Avg", "Count", "StdDev", "Last"]
MOST_VALUES = 10_000
"""So many values one question is answered with."""
MOST_STEPS = 2**62
LONGEST_NAME = 255
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class CurveQuery:
    """How points are gathered into the values of a curve.

    Parameters
    ----------
    statistic
        What the points of a bucket become.
    period_s
        The width of a bucket of time; None: a bucket is a step, and points without one count not.
    by_step
        Whether the axis counts steps, else seconds since 1970.
    start, end
        Bounds of the axis, both inclusive.
    """

    statistic: Statistic
    period_s: int | None = None
    by_step: bool = True
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """The values of a metric along an axis; ``truncated`` when there would be more."""

    axis: Sequence[int]
    values: Sequence[float]
    truncated: bool = False


class Metrics:
    """The metrics of components.

    Parameters
    ----------
    store, points
        Where components are, and where points are.
    """

    def __init__(self, store: MetadataStore, points: MetricStore) -> None:
        self._store = store
        self._points = points

    def log(self, component: Ref, points: Sequence[Point]) -> None:
        """Add points to a component's metrics.

        Raises
        ------
        NotFound
            There is no such component.
        InvalidInput
            A name is empty or too long, or a step out of bounds.
        LimitExceeded
            It would have too many metrics.
        """
        for point in points:
            check(point)
        self._points.append(self._owner(component), points)

    def replace(self, uid: str, points: Sequence[Point]) -> None:
        """Make these the only points of the metrics they name, of the component with this uid."""
        self._points.replace(uid, points)

    def of(self, components: Sequence[Resource]) -> Mapping[Ref, Sequence[Summary]]:
        """Summarize the metrics of some components, by name; one without any is left out."""
        owners = {one.body["uid"]: one.ref for one in components}
        found = self._points.summaries(owners)
        return {owners[uid]: summaries for uid, summaries in found.items()}

    def history(self, component: Ref, name: str, *, after: int = 0) -> Iterator[Point]:
        """Yield a metric's points as they were logged, but the first ones. Raises NotFound."""
        return self._points.points(self._owner(component), name, start=after)

    def curve(self, component: Ref, name: str, query: CurveQuery) -> Curve:
        """Read a metric along steps or time. Raises NotFound."""
        start, end = query.start, query.end
        if query.by_step and query.period_s is None:
            order: Literal["step", "time"] = "step"
        elif query.period_s is not None and not query.by_step:
            order = "time"
            start, end = start and start * _SECOND, end and end * _SECOND + _SECOND - 1
        else:  # gathered along one, shown along the other
            order, start, end = ("step" if query.period_s is None else "time"), None, None
        owner = self._owner(component)
        points = self._points.points(owner, name, order=order, start=start, end=end)
        return _gathered((point for point in points if _is_inside(point, query)), query)

    def forget(self, component: Resource) -> None:
        """Remove the metrics of a component that has been deleted."""
        self._points.forget(component.body["uid"])

    def _owner(self, component: Ref) -> str:
        found = self._store.get(component)
        if found is None or component.kind != COMPONENT:
            raise NotFound(component)
        uid: str = found.body["uid"]
        return uid


def check(point: Point) -> None:
    """Refuse a point that cannot be kept. Raises InvalidInput."""
    if not 1 <= len(point.name) <= LONGEST_NAME:
        legal = f"1 to {LONGEST_NAME} characters"
        raise InvalidInput("MetricName", f"{point.name[:40]!r} has {len(point.name)}", legal=legal)
    if point.step is not None and not -MOST_STEPS <= point.step <= MOST_STEPS:
        legal = f"{-MOST_STEPS} to {MOST_STEPS}"
        raise InvalidInput("Step", f"{point.step} is out of bounds", legal=legal)


def _is_inside(point: Point, query: CurveQuery) -> bool:
    place = _place(point, query)
    return place is not None and (
        (query.start is None or query.start <= place) and (query.end is None or place <= query.end)
    )


def _place(point: Point, query: CurveQuery) -> int | None:
    return point.step if query.by_step else math.floor(point.at.timestamp())


def _gathered(points: Iterable[Point], query: CurveQuery) -> Curve:
    def bucket(point: Point) -> int | None:
        if query.period_s is None:
            return point.step
        return math.floor(point.at.timestamp()) // query.period_s

    axis: list[int] = []
    values: list[float] = []
    for number, group in groupby(points, bucket):
        if len(axis) == MOST_VALUES:
            return Curve(axis, values, truncated=True)
        last, value = _statistic(group, query.statistic)
        place = _place(last, query)
        if query.period_s is not None and not query.by_step and number is not None:
            place = number * query.period_s
        axis.append(place or 0)
        values.append(value)
    return Curve(axis, values)


def _statistic(points: Iterable[Point], statistic: Statistic) -> tuple[Point, float]:
    """Return the last of some points, of which there is one, and what they all amount to."""
    last, count, mean, squares = None, 0, 0.0, 0.0
    least, most = math.inf, -math.inf
    for last in points:
        count += 1
        before = mean
        mean += (last.value - before) / count
        squares += (last.value - before) * (last.value - mean)
        least, most = min(least, last.value), max(most, last.value)
    if last is None:
        raise ValueError("no points")
    amounts: dict[Statistic, float] = {
        "Min": least,
        "Max": most,
        "Avg": mean,
        "Count": count,
        "StdDev": math.sqrt(squares / count) if squares >= 0 else math.nan,
        "Last": last.value,
    }
    return last, amounts[statistic]
