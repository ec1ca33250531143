"""Ranges: texts in, scales, texts out."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.tuning.ranges import (
    Choices,
    Reals,
    choices,
    combination,
    combinations,
    drawn,
    integers,
    reals,
)

WITHIN_ONE = st.floats(0.0, 1.0, exclude_max=True)


@given(st.tuples(WITHIN_ONE, WITHIN_ONE).map(sorted), st.floats(0, 1))
def test_the_reverse_scale_comes_back(bounds, share):
    low, high = bounds
    scaled = reals("x", repr(low), repr(high), "ReverseLogarithmic", field="x")
    least, most = scaled.interval
    assert 0.0 < least <= most <= 1.0
    value = low + share * (high - low)
    point = scaled.drawn(repr(min(value, high)))
    assert least <= point <= most
    assert float(scaled.text(point)) == pytest.approx(min(value, high), abs=1e-15)


@given(st.tuples(WITHIN_ONE, WITHIN_ONE).map(sorted), st.floats(0, 1))
def test_what_is_drawn_lies_within_the_range(bounds, share):
    scaled = Reals("x", *bounds, "ReverseLogarithmic")
    least, most = scaled.interval
    point = min(max(math.exp(math.log(least) + share * math.log(most / least)), least), most)
    assert bounds[0] <= float(scaled.text(point)) <= bounds[1]


@given(st.integers(-(2**53), 2**53), st.integers(-(2**53), 2**53))
def test_whole_numbers_are_read_as_they_are(one, other):
    low, high = sorted((one, other))
    made = integers("n", str(low), str(high), "Linear", field="n")
    assert (made.low, made.high) == (low, high)
    assert made.drawn(made.text(low)) == low
    assert made.drawn(str(high + 1)) is None
    assert made.drawn("none") is None


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), max_size=4))
def test_a_grid_has_every_combination_once(values):
    grid = [Choices(str(place), tuple(one)) for place, one in enumerate(values)]
    expected = [
        dict(zip(map(str, range(len(values))), point, strict=True))
        for point in itertools.product(*values)
    ]
    assert [combination(grid, place) for place in range(combinations(grid))] == expected


@pytest.mark.parametrize(
    ("low", "high", "scaling", "scale"),
    [
        ("1e-5", "1", "Auto", "Logarithmic"),
        ("0.1", "1", "Auto", "Linear"),
        ("0", "1000", "Auto", "Linear"),
        ("0.5", "0.5", "Auto", "Linear"),
        ("1", "10", "Logarithmic", "Logarithmic"),
        ("1e-5", "1", "Linear", "Linear"),
    ],
)
def test_the_scale(low, high, scaling, scale):
    assert reals("x", low, high, scaling, field="x").scale == scale


@pytest.mark.parametrize(
    ("kind", "low", "high", "scaling", "problem"),
    [
        (reals, "2", "1", "Linear", "x.MinValue: 2.0 is above MaxValue 1.0"),
        (integers, "8", "1", "Auto", "x.MinValue: 8 is above MaxValue 1"),
        (reals, "0", "1", "Logarithmic", "x.MinValue: 0.0; legal: above 0"),
        (integers, "0", "4", "Logarithmic", "x.MinValue: 0; legal: above 0"),
        (reals, "0", "1", "ReverseLogarithmic", "0 <= MinValue <= MaxValue < 1"),
        (reals, "-0.5", "0.5", "ReverseLogarithmic", "0 <= MinValue"),
        (integers, "1", "4", "ReverseLogarithmic", "of whole numbers"),
        (integers, "1.5", "4", "Auto", "x.MinValue: '1.5'; legal: a whole number"),
        (integers, "1", "1_0", "Auto", "x.MaxValue: '1_0'"),
        (integers, "1", str(2**60), "Auto", "a whole number, at most"),
        (reals, "some", "1", "Auto", "x.MinValue: 'some'; legal: a number"),
        (reals, "nan", "1", "Auto", "x.MinValue: 'nan'"),
        (reals, "0", "inf", "Auto", "x.MaxValue: 'inf'"),
        (reals, "-1e308", "1e308", "Auto", "a number, at most"),
        (reals, "1_0", "20", "Auto", "a number, at most"),
    ],
)
def test_ranges_that_cannot_be(kind, low, high, scaling, problem):
    with pytest.raises(InvalidInput) as caught:
        kind("n", low, high, scaling, field="x")
    assert problem in caught.value.message


def test_words_are_given_once():
    with pytest.raises(InvalidInput, match="'a' is given twice"):
        choices("w", ["a", "b", "a"], field="x")


def test_values_from_elsewhere_must_lie_within():
    ranges = [Reals("x", 0.0, 1.0), Choices("w", ("a", "b"))]
    assert drawn(ranges, {"x": "0.5", "w": "a", "more": "1"}) == {"x": 0.5, "w": "a"}
    assert drawn(ranges, {"x": "1.5", "w": "a"}) is None
    assert drawn(ranges, {"x": "0.5"}) is None
