"""When an alarm rings: M of the last N data points breach, whatever is missing."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]
Comparison = Literal[
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
]

SPARE = 2
"""So many periods more than N are looked at, for data points in place of missing ones."""
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """What an alarm goes by.

    Parameters
    ----------
    comparison, threshold
        A data point breaches when it compares so with the threshold.
    periods
        N: how many data points count.
    datapoints
        M: how many of them must breach; at most N.
    missing
        What stands in for data points that are missing.
    """

    comparison: Comparison
    threshold: float
    periods: int
    datapoints: int
    missing: Missing = "missing"

    def breaches(self, value: float) -> bool:
        """Say whether a data point breaches."""
        return COMPARISONS[self.comparison](value, self.threshold)


def judge(criterion: Criterion, values: Sequence[float | None], was: State) -> State:
    """Say what state an alarm is in.

    The last N data points that are there count, if the last ``N + SPARE`` periods have so many.
    Else ``breaching`` and ``notBreaching`` fill the rest. With ``missing`` and ``ignore``, M
    breaches ring, and any other data point that does not breach is OK; when all that are there
    breach, but fewer than M, ``missing`` rings if the oldest of them is M periods old, and else the
    state stays. Without any data point the state is INSUFFICIENT_DATA, or stays (``ignore``).

    Parameters
    ----------
    values
        One for each of the last ``N + SPARE`` periods, the oldest first; None where none is.
    was
        The state before.

    Examples
    --------
    >>> rule = Criterion("GreaterThanThreshold", 5.0, periods=3, datapoints=2)
    >>> judge(rule, [None, None, 9.0, 1.0, 7.0], "OK")
    'ALARM'
    """
    known = [value for value in values if value is not None]
    breaching = [criterion.breaches(value) for value in known[-criterion.periods :]]
    lacking = criterion.periods - len(breaching)
    bad = sum(breaching)
    if criterion.missing == "breaching":
        bad += lacking
    if bad >= criterion.datapoints:
        return "ALARM"
    if not lacking or criterion.missing in ("breaching", "notBreaching"):
        return "OK"
    if not all(breaching):
        return "OK"
    return _undecided(criterion, values, was)


def _undecided(criterion: Criterion, values: Sequence[float | None], was: State) -> State:
    """Judge when too few data points are there, and all of them breach."""
    if criterion.missing == "ignore":
        return was
    ages = [age for age, value in enumerate(reversed(values), 1) if value is not None]
    if not ages:
        return "INSUFFICIENT_DATA"
    return "ALARM" if ages[-1] >= criterion.datapoints else was
