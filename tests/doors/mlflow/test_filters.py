"""The language of search, against naive ways to do the same."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.mlflow.filters import LONGEST, Names, like, ordered, parse, parse_order
from clary.kernel.errors import InvalidInput

NAMES = Names(
    {"run_id": "run_id", "start_time": "start_time"},
    frozenset({"start_time"}),
    (
        "metric",
        "param",
        "tag",
    ),
)


@given(st.text("ab%_.\n", max_size=12), st.text("ab%_.", max_size=8))
def test_like_is_its_regular_expression(text, pattern):
    pieces = {"%": ".*", "_": "."}
    expression = "".join(pieces.get(one) or re.escape(one) for one in pattern)
    assert like(text, pattern) == bool(re.fullmatch(expression, text, re.DOTALL))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["metrics.a", "metrics.`b c`", 'metric."d.e"']),
            st.sampled_from(["<", "<=", "=", "!=", ">=", ">"]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_read(clauses):
    text = "  and ".join(f"{name} {word} {value}" for name, word, value in clauses)
    read = parse(text, NAMES)
    assert [(one.operator, one.value) for one in read] == [clause[1:] for clause in clauses]


@given(st.lists(st.one_of(st.none(), st.floats(width=16)), max_size=20), st.booleans())
def test_what_has_no_value_is_last(values, descending):
    orders = parse_order([f"metrics.x {'DESC' if descending else 'asc'}"], NAMES)
    found = ordered(values, orders, lambda one: lambda kind, key: [one] if one is not None else [])
    numbers = [one for one in values if one is not None and not math.isnan(one)]
    absent = values.count(None)
    assert found[: len(numbers)] == sorted(numbers, reverse=descending)
    assert found[len(found) - absent :] == [None] * absent


def test_texts_lists_and_nulls():
    found = {"param": {"a": "x'y"}, "tag": {"mlflow.user": "me"}, "attribute": {"run_id": "r1"}}

    def look(kind, key):
        return [found[kind][key]] if key in found.get(kind, {}) else []

    def holds(text):
        return all(one.holds(look) for one in parse(text, NAMES))

    assert holds("""params.a = "x'y" AND tags.mlflow.user IN ('me', 'you')""")
    assert holds("run_id NOT IN ('r2') and tags.`x y` IS NULL and param.a is  not null")
    assert not holds("params.b != 'x'")
    assert holds("")
    assert holds("   ")


@pytest.mark.parametrize(
    "text",
    [
        *("metrics.a", "metrics.a <", "metrics.a < 'x'", "params.a = 1", "params.a < 'x'"),
        *("run_id = 'a' OR run_id = 'b'", "nothing = 'a'", "traces.x = 'a'", "metrics.a = 1.2.3"),
        *("run_id IN ()", "run_id IN 'a'", "params.a = 'open", "= 1", "metrics.a LIKE 'x'"),
        *("x" * (LONGEST + 1), " AND ".join(["params.a = 'b'"] * 101), "params.a = 'b' junk"),
    ],
)
def test_what_is_wrong_is_said(text):
    with pytest.raises(InvalidInput, match="filter") as caught:
        parse(text, NAMES)
    assert caught.value.legal
