from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.metrics.model import LARGEST, MOST_BUCKETS, Tally

numbers = st.one_of(
    st.floats(-1e12, 1e12, allow_nan=False).filter(lambda one: one == 0 or abs(one) > 1e-12),
    st.sampled_from([0.0, 1.0, -1.0, 1.01 / 0.99]),
)


def tally(values) -> Tally:
    made = Tally()
    for value in values:
        made.add(value)
    return made


def ranked(values, percent):
    """Return the value of nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100 - 1e-9) - 1)]


@given(st.lists(numbers, min_size=1, max_size=60), st.floats(0, 100))
def test_percentiles_lie_within_one_percent(values, percent) -> None:
    made = tally(values)
    assert (made.count, made.minimum, made.maximum) == (len(values), min(values), max(values))
    assert made.total == pytest.approx(sum(values), abs=1e-3)
    exact = ranked(values, percent)
    assert made.percentile(percent) == pytest.approx(exact, rel=0.0101, abs=0)


@given(st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=5))
def test_parts_merged_are_the_whole(parts) -> None:
    whole = Tally()
    for part in parts:
        whole.merge(tally(part))
    direct = tally([value for part in parts for value in part])
    assert whole.buckets == direct.buckets
    assert (whole.count, whole.minimum, whole.maximum) == (
        *(direct.count, direct.minimum, direct.maximum),
    )


def test_buckets_are_bounded_whatever_comes_and_the_highest_stay_exact() -> None:
    made, power = Tally(), 1e-100
    values = []
    while power < LARGEST:
        values.append(power)
        made.add(power)
        power *= 1.03
    assert len(made.buckets) == MOST_BUCKETS
    assert sum(made.buckets.values()) == made.count
    assert made.percentile(99) == pytest.approx(ranked(values, 99), rel=0.0101)


def test_values_of_which_only_the_sum_is_known_have_no_percentiles() -> None:
    made = tally([1.0])
    made.merge(Tally(10, 50, 1, 9))
    assert made.percentile(50) is None
    assert Tally().percentile(50) is None
