"""Categories as numbers, numbers scaled and bounded, against a naive oracle."""

import math
import statistics

import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.expressions import VARCHAR
from clary.flows import documents, fitted
from clary.flows.fitted import Fitted
from clary.flows.plans import plan
from clary.kernel.errors import InvalidInput

FEW = settings(max_examples=25, deadline=None)
TEXTS = st.lists(st.one_of(st.none(), st.text("aAbéß{0}' ", max_size=2)), max_size=20)
NUMBERS = st.lists(
    st.one_of(
        st.none(),
        st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6),
        st.sampled_from((math.nan, math.inf, -math.inf)),
    ),
    max_size=20,
)


def _encode(operator, texts, new=None, **with_):
    def rows(values):
        return [(one,) for one in values]

    fit = None if new is None else rows(texts)
    with_ = {"column": "c", **with_}
    return parity.apply(
        operator, with_, {"c": "varchar"}, rows(texts if new is None else new), fit=fit
    )


def _ranked(texts):
    known = [one for one in texts if one is not None]
    return sorted(set(known), key=lambda one: (-known.count(one), one.encode()))


@FEW
@given(TEXTS, TEXTS)
def test_categories_are_numbered_by_how_frequent_they_are(texts, new):
    order = _ranked(texts)
    for unseen in ("keep", "nan", "skip"):
        other = {"keep": float(len(order)), "nan": math.nan, "skip": None}[unseen]
        made = _encode("encode.ordinal", texts, new, unseen=unseen)["c"]
        expected = [float(order.index(one)) if one in order else other for one in new]
        assert parity.same(made, [one for one in expected if one is not None])
    if set(new) <= set(order):
        assert len(_encode("encode.ordinal", texts, new, unseen="error")["c"]) == len(new)
    else:
        with pytest.raises(InvalidInput, match="known values"):
            _encode("encode.ordinal", texts, new, unseen="error")


@FEW
@given(TEXTS, TEXTS, st.booleans())
def test_one_hot_vectors_and_columns_hold_the_same(texts, new, drop_last):
    order = _ranked(texts)
    labels = [*order, "unknown"][: -1 if drop_last else None]
    if not labels:
        with pytest.raises(InvalidInput, match="no column is left"):
            _encode("encode.one_hot", texts, new, drop_last=drop_last)
        return
    columns = _encode("encode.one_hot", texts, new, drop_last=drop_last)
    assert len(columns.columns) == len(labels)
    places = [order.index(one) if one in order else len(order) for one in new]
    expected = [tuple(float(n == place) for n in range(len(labels))) for place in places]
    assert columns.rows == expected
    vector = _encode("encode.one_hot", texts, new, drop_last=drop_last, style="vector")
    assert vector["c"] == [list(one) for one in expected]


def test_one_hot_columns_are_named_by_their_category():
    made = _encode("encode.one_hot", ["b", "b", "B", None, "unknown"])
    assert list(made.columns) == ["c_b", "c_B_1", "c_unknown", "c_unknown_1"]
    skipped = _encode("encode.one_hot", ["b", "a", "b"], ["a", None, "z"], unseen="skip")
    assert skipped.rows == [(0.0, 1.0)]
    many = [str(one) for one in range(1001)]
    with pytest.raises(InvalidInput, match="at most 1000 columns"):
        _encode("encode.one_hot", many)
    assert len(_encode("encode.one_hot", many, style="vector")["c"][0]) == 1002


@FEW
@given(st.lists(st.tuples(st.sampled_from(("a", "b", "é", None)), st.booleans()), min_size=1))
def test_targets_are_smoothed_means(rows):
    with_ = {"columns": ["c"], "target": "y", "smoothing": 2.0}
    made = parity.apply("encode.target", with_, {"c": "varchar", "y": "boolean"}, rows)
    mean = sum(y for _, y in rows) / len(rows)
    for (category, _), value in zip(rows, made["c"], strict=True):
        same = [y for c, y in rows if c == category]
        expected = mean if category is None else (sum(same) + 2 * mean) / (len(same) + 2)
        assert math.isclose(value, expected)


@pytest.mark.parametrize("state", [{}, {"categories": 5}, {"categories": [1]}])
def test_a_state_that_was_tampered_with_is_refused_by_its_node(state):
    nodes = [
        {"id": "rows", "operator": "source"},
        {"id": "n", "operator": "encode.ordinal", "with": {"column": "c"}, "inputs": ["rows"]},
    ]
    flow = documents.read({"nodes": nodes})
    learned = Fitted({"n": fitted.learned(flow.node("n"), {}, state)})
    with pytest.raises(InvalidInput, match="node n"):
        plan(flow, "n", learned, {"rows": {"c": VARCHAR}})


def test_similar_texts_are_near():
    rows = [("officer",), ("officers",), ("teacher",), (None,)]
    made = parity.apply("encode.similarity", {"columns": ["c"]}, {"c": "varchar"}, rows)["c"]
    near = sum(map(float.__eq__, made[0], made[1]))
    assert near > sum(map(float.__eq__, made[0], made[2]))
    assert len(made[3]) == 30
    with_ = {"columns": ["c"], "dimensions": 2, "style": "columns"}
    spread = parity.apply("encode.similarity", with_, {"c": "varchar"}, rows)
    assert list(spread.columns) == ["c_0", "c_1"]
    assert spread.rows[0] == tuple(made[0][:2])


def _number(operator, numbers, **with_):
    rows = [(one,) for one in numbers]
    return parity.apply(operator, {"columns": ["x"], **with_}, {"x": "double"}, rows)["x"]


def _alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None or math.isnan(other) or math.isinf(other):
            assert parity.same(one, other)
        else:
            assert math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)


def _quantile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def _mapped(numbers, function):
    known = [one for one in numbers if one is not None and math.isfinite(one)]
    return [one if one is None or not known else function(one, known) for one in numbers]


@FEW
@given(NUMBERS)
def test_numbers_are_scaled(numbers):
    def standard(x, known):
        deviation = statistics.stdev(known) if len(known) > 1 else 0
        return (x - statistics.fmean(known)) / (deviation if deviation > 1e-9 else 1)

    def robust(x, known):
        spread = _quantile(known, 0.75) - _quantile(known, 0.25)
        return (x - _quantile(known, 0.5)) / (spread or 1)

    def min_max(x, known):
        low, high = min(known), max(known)
        return x * 0 + 0.5 if low == high else (x - low) / (high - low)

    def max_abs(x, known):
        return x / (max(map(abs, known)) or 1)

    if len({one for one in numbers if one is not None}) > 1:
        _alike(_number("numeric.standard", numbers), _mapped(numbers, standard))
    _alike(_number("numeric.robust", numbers), _mapped(numbers, robust))
    _alike(_number("numeric.min_max", numbers), _mapped(numbers, min_max))
    _alike(_number("numeric.max_abs", numbers), _mapped(numbers, max_abs))


@pytest.mark.parametrize(
    ("operator", "with_"),
    [
        ("standard_deviation", {"deviations": 1.0}),
        ("robust", {"deviations": 1.0}),
        ("quantile", {"lower": 0.1, "upper": 0.8}),
        ("min_max", {"lower": -5.0, "upper": 9.0}),
    ],
)
@settings(max_examples=15, deadline=None)
@given(NUMBERS)
def test_outliers_are_clipped_removed_or_invalidated(operator, with_, numbers):
    rows = [(one,) for one in numbers]
    found = {
        fix: parity.apply(
            f"outliers.{operator}", {"columns": ["x"], "fix": fix, **with_}, {"x": "double"}, rows
        )
        for fix in ("clip", "remove", "invalidate")
    }
    learned = found["clip"].learned.nodes["made"].state.get("x", with_)
    low, high = learned["lower"], learned["upper"]
    if low is None:
        assert all(parity.same(one["x"], numbers) for one in found.values())
        return

    def plain(x):
        return x is None or math.isnan(x) or low <= x <= high

    assert parity.same(found["remove"]["x"], [x for x in numbers if plain(x)])
    assert parity.same(found["invalidate"]["x"], [x if plain(x) else None for x in numbers])
    clipped = [x if plain(x) else min(max(x, low), high) for x in numbers]
    assert parity.same(found["clip"]["x"], clipped)


@FEW
@given(TEXTS, TEXTS)
def test_rare_categories_are_one(texts, new):
    def rows(values):
        return [(one,) for one in values]

    with_ = {"columns": ["c"], "count": 2}
    made = parity.apply("outliers.rare", with_, {"c": "varchar"}, rows(new), fit=rows(texts))
    assert made["c"] == [one if one is None or texts.count(one) >= 2 else "Other" for one in new]
    share = parity.apply(
        "outliers.rare", {"columns": ["c"], "fraction": 0.5}, {"c": "varchar"}, rows(texts)
    )
    known = [one for one in texts if one is not None]
    assert share["c"] == [
        one if one is None or known.count(one) * 2 >= len(known) else "Other" for one in texts
    ]
