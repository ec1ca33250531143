"""What experiments need of their own: a place for metrics, which are many and small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric; it may be infinite or not a number."""

    name: str
    value: float
    at: datetime
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a series without reading it.

    Parameters
    ----------
    name
        The metric's.
    count
        How many points it has.
    minimum, maximum
        Over the points that are numbers; not a number when none is.
    mean, deviation
        Average and population standard deviation; not a number once a point was none.
    last, last_at, last_step
        The latest point: by time, then by step, then by arrival.
    """

    name: str
    count: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    last: float
    last_at: datetime
    last_step: int | None = None


class MetricStore(Protocol):
    """Series of points by owner and name; every change is one transaction of its own."""

    def append(self, owner: str, points: Sequence[Point]) -> None:
        """Add points to their series, in this order.

        Raises
        ------
        LimitExceeded
            The owner would have too many series; nothing is added.
        """

    def replace(self, owner: str, points: Sequence[Point]) -> None:
        """Make these the only points of the series they name; others stay.

        Raises LimitExceeded, as ``append`` does.
        """

    def summaries(self, owners: Collection[str]) -> Mapping[str, Sequence[Summary]]:
        """Summarize every series of some owners, by name; an owner without any is left out."""

    def points(
        self,
        owner: str,
        name: str,
        *,
        order: Literal["arrival", "time", "step"] = "arrival",
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[Point]:
        """Yield the points of a series, none when there is no such series.

        Parameters
        ----------
        owner, name
            The series.
        order
            Equal times and steps come in the order of arrival. In the order of steps, points
            without a step are left out.
        start, end
            Bounds of the order's key, both inclusive: microseconds since 1970, steps, or the
            number of the arrival from 0 on.
        """

    def forget(self, owner: str) -> None:
        """Remove every series of an owner."""
