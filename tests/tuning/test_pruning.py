"""Early stopping, against what the definitions say."""

from __future__ import annotations

import statistics
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clary.tuning.pruning import Hyperband, falls_behind

VALUES = st.floats(-1e6, 1e6)
CURVES = st.lists(VALUES, max_size=8)


@given(CURVES, st.lists(CURVES, max_size=8), st.booleans())
def test_the_median_rule(curve, others, maximize):
    averages = []
    for other in others:
        if len(other) >= len(curve) > 0:
            averages.append(sum(other[: len(curve)]) / len(curve))
    expected = False
    if len(averages) >= 3:
        median = statistics.median(averages)
        if abs(curve[-1] - median) < 1e-6 * max(1.0, abs(median)):
            return  # the sum of floats decides
        expected = curve[-1] < median if maximize else curve[-1] > median
    assert falls_behind(curve, others, maximize=maximize) == expected


@given(st.integers(1, 50), st.integers(1, 500), st.integers(0, 10_000))
def test_rungs_climb_to_the_most(one, other, number):
    least, most = sorted((one, other))
    rungs = Hyperband(least, most).rungs(number)
    assert rungs[-1] == most
    assert all(least <= rung <= most for rung in rungs)
    assert rungs == sorted(rungs)
    assert all(after // before in {3, 4, 5} for before, after in pairwise(rungs))


def test_every_bracket_is_used_and_the_first_begins_lowest():
    band = Hyperband(1, 9)
    first = [band.rungs(number) for number in range(17)]
    assert first[0] == [1, 3, 9]
    assert [len(one) for one in first] == [3] * 9 + [2] * 5 + [1] * 3
    assert band.rungs(17) == first[0]


def test_one_in_three_goes_on():
    band = Hyperband(1, 9)
    curves = {number: [float(number)] for number in range(9)}
    kept = [
        number
        for number, curve in curves.items()
        if not band.loses(
            number, curve, [one for one in curves.items() if one[0] != number], maximize=False
        )
    ]
    assert kept == [0, 1, 2]


def test_the_first_at_a_rung_goes_on_and_nobody_goes_beyond_the_last():
    band = Hyperband(1, 9)
    assert not band.loses(0, [5.0], [], maximize=True)
    assert band.loses(0, [5.0] * 10, [], maximize=True)


def test_who_reaches_the_last_may_end_by_itself_and_write_its_model():
    band = Hyperband(1, 9)
    rivals = [(number, [9.0] * 9) for number in range(1, 40)]
    assert not band.loses(0, [5.0] * 9, [], maximize=True)
    assert not band.loses(0, [5.0] * 9, rivals, since=8, maximize=True)


def test_a_trial_is_compared_when_it_reaches_a_rung_only():
    band = Hyperband(1, 9)
    rivals = [(1, [9.0, 9.0]), (2, [9.0])]
    assert band.loses(0, [5.0, 6.0], rivals, maximize=True)
    assert not band.loses(0, [5.0, 6.0], rivals, since=1, maximize=True)


def test_nothing_ends_before_the_least():
    band = Hyperband(4, 20)
    others = [(number, [0.0] * 20) for number in range(1, 60)]
    assert not any(band.loses(number, [9.0] * 3, others, maximize=False) for number in range(20))
