"""Which rows are outside a baseline, and which values gained: against a naive look at each row."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.analysis import deviations
from clary.analysis.constraints import Feature, Numbers, Strings
from clary.analysis.deviations import Range, column, gained, outside, shifts
from clary.analysis.samples import Categories, of_values

TEXTS = st.one_of(
    st.none(),
    st.integers(-30, 30).map(str),
    st.floats(-30, 30).map(repr),
    st.sampled_from(["a", "b", "inf", "-inf", "1e3", "nan", "", " 1", "é"]),
)
COLUMNS = st.lists(TEXTS, min_size=1, max_size=40)


def number(text):
    plain = text is not None and re.fullmatch(
        r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf", text
    )
    return float(text) if plain else None


def found(values, feature, known=None):
    groups = outside(column(pa.array(values, pa.string())), feature, known)
    return {one.what: np.flatnonzero(one.is_in).tolist() for one in groups}


def places(values, is_out):
    return [at for at, one in enumerate(values) if is_out(one)]


@given(COLUMNS)
def test_rows_are_outside_as_one_would_say_of_each(values):
    feature = Feature(
        name="x",
        inferred_type="Fractional",
        completeness=1.0,
        num_constraints=Numbers(is_non_negative=True),
    )
    naive = {
        "have no value": places(values, lambda one: one is None),
        "are no number": places(values, lambda one: one is not None and number(one) is None),
        "are negative": places(values, lambda one: (number(one) or 0) < 0),
        "lie below -5, the baseline's least": places(values, lambda one: (number(one) or 0) < -5),
        "lie above 7, the baseline's most": places(values, lambda one: (number(one) or 0) > 7),
    }
    assert found(values, feature, Range(-5, 7)) == {k: v for k, v in naive.items() if v}


@given(COLUMNS)
def test_unknown_values_and_other_types_are_told(values):
    known = Feature(name="x", string_constraints=Strings(domains=("a", "1")))
    unknown = places(values, lambda one: one is not None and one not in {"a", "1"})
    what = "have a value that the baseline does not know"
    assert found(values, known) == ({what: unknown} if unknown else {})
    whole = places(values, lambda one: one is not None and not re.fullmatch(r"[+-]?\d+", one))
    integral = found(values, Feature(name="x", inferred_type="Integral"))
    assert integral == ({"are no whole number": whole} if whole else {})


def test_numbers_where_texts_are_expected_are_told_if_all_are():
    feature = Feature(name="x", inferred_type="String")
    assert found(["1", "a"], feature) == {}
    assert list(found(["1", None, "2"], feature).values()) == [[0, 2]]
    assert found([None], feature) == {}


def test_missing_values_that_the_baseline_has_too_are_no_deviation():
    assert found(["1", None], Feature(name="x", completeness=0.5)) == {}
    assert found([None, None, "1"], Feature(name="x", completeness=0.5))["have no value"] == [0, 1]


FLOATS = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)


@settings(deadline=None)
@given(FLOATS, FLOATS)
def test_bins_hold_each_row_once_and_shares_are_counted(before, now):
    every = shifts(of_values(before), of_values(now), most=100)
    texts = column(pa.array(map(str, now), pa.string()))
    told = column(pa.array(map(str, before), pa.string()))
    for one in every:
        assert gained(texts, one).rows / len(now) == pytest.approx(one.now)
        assert gained(told, one).rows / len(before) == pytest.approx(one.before)
    assert [abs(one.gained) for one in every] == sorted(
        (abs(x.gained) for x in every), reverse=True
    )


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1))
def test_shares_of_categories_are_counted(now):
    before = Categories({"a": 1, "b": 1})
    texts = column(pa.array([name for name, often in now.items() for _ in range(often)]))
    for one in shifts(before, Categories(now)):
        assert gained(texts, one).rows / len(texts.texts) == pytest.approx(one.now)
        assert one.before == (0.5 if one.what in "ab" else 0)


def test_bins_are_named_for_people():
    named = {one.what for one in shifts(of_values(range(100)), of_values([500.0]), most=20)}
    assert {"up to 9", "19 to 29", "above 89"} <= named
    few = shifts(of_values([0, 0, 1, 1]), of_values([1, 1, 2]))
    assert [(one.what, round(one.gained, 2)) for one in few] == [
        ("0", -0.5),
        ("above 1", 0.33),
        ("1", 0.17),
    ]


def test_what_is_of_another_sort_or_empty_has_not_shifted():
    assert shifts(of_values([1.0]), Categories({"a": 1})) == ()
    assert shifts(of_values([]), of_values([1.0])) == ()
    assert deviations.shifts(Categories({}), Categories({"a": 1})) == ()
