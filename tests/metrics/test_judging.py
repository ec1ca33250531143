from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.metrics.judging import SPARE, Criterion, judge

X, _ = 9.0, None
O = 1.0  # noqa: E741 - as the service's documentation draws a data point that does not breach
MISSING = ("missing", "ignore", "breaching", "notBreaching")


def rule(datapoints, missing, periods=3):
    return Criterion("GreaterThanThreshold", 5.0, periods, datapoints, missing)


# The service's own tables for N = 3 over five periods: what is known, then the state
# by missing, ignore, breaching and notBreaching; None: as it was
ALL_OF_THREE = [
    ((O, _, X, _, X), "OK", "OK", "OK", "OK"),
    ((_, _, _, _, O), "OK", "OK", "OK", "OK"),
    ((_, _, _, _, _), "INSUFFICIENT_DATA", None, "ALARM", "OK"),
    ((O, X, X, _, X), "ALARM", "ALARM", "ALARM", "ALARM"),
    ((_, _, X, _, _), "ALARM", None, "ALARM", "OK"),
]
TWO_OF_THREE = [
    ((O, _, X, _, X), "ALARM", "ALARM", "ALARM", "ALARM"),
    ((O, O, X, O, X), "ALARM", "ALARM", "ALARM", "ALARM"),
    ((O, _, X, _, _), "OK", "OK", "ALARM", "OK"),
    ((_, _, _, _, O), "OK", "OK", "ALARM", "OK"),
    ((_, _, _, X, _), "ALARM", None, "ALARM", "OK"),
]


@pytest.mark.parametrize("was", ["OK", "ALARM", "INSUFFICIENT_DATA"])
@pytest.mark.parametrize(
    ("datapoints", "values", "states"),
    [(3, row[0], row[1:]) for row in ALL_OF_THREE] + [(2, row[0], row[1:]) for row in TWO_OF_THREE],
)
def test_the_tables_of_the_service(datapoints, values, states, was) -> None:
    for missing, state in zip(MISSING, states, strict=True):
        assert judge(rule(datapoints, missing), values, was) == (state or was), missing


def test_a_single_new_breach_does_not_ring_too_early() -> None:
    assert judge(rule(2, "missing"), (_, _, _, _, X), "OK") == "OK"


def oracle(criterion: Criterion, values, was) -> str:
    """Say it again by trying every way that the missing data points could have been."""
    newest_first = [value for value in reversed(values) if value is not None][: criterion.periods]
    lacking = criterion.periods - len(newest_first)
    filled = {"breaching": [True], "notBreaching": [False]}.get(criterion.missing, [False, True])
    outcomes = set()
    for fill in itertools.product(filled, repeat=lacking):
        breaching = [criterion.breaches(value) for value in newest_first] + list(fill)
        outcomes.add("ALARM" if sum(breaching) >= criterion.datapoints else "OK")
    if len(outcomes) == 1:
        return outcomes.pop()
    if any(not criterion.breaches(value) for value in newest_first):
        return "OK"  # what is missing does not ring beside what is well
    if criterion.missing == "ignore":
        return was
    if not newest_first:
        return "INSUFFICIENT_DATA"
    oldest = next(n for n, value in enumerate(values) if value is not None)
    return "ALARM" if len(values) - oldest >= criterion.datapoints else was


@given(st.data())
def test_m_of_n_is_what_every_way_to_fill_the_gaps_says(data) -> None:
    periods = data.draw(st.integers(1, 5))
    criterion = Criterion(
        data.draw(
            st.sampled_from(
                [
                    "GreaterThanOrEqualToThreshold",
                    "GreaterThanThreshold",
                    "LessThanThreshold",
                    "LessThanOrEqualToThreshold",
                ]
            )
        ),
        2.0,
        periods,
        data.draw(st.integers(1, periods)),
        data.draw(st.sampled_from(["missing", "ignore", "breaching", "notBreaching"])),
    )
    size = periods + SPARE
    value = st.none() | st.sampled_from([1.0, 2.0, 3.0])
    values = data.draw(st.lists(value, min_size=size, max_size=size))
    was = data.draw(st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"]))
    assert judge(criterion, values, was) == oracle(criterion, values, was)
