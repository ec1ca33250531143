"""Words counted and vectors made as in plain Python, over tables and records alike."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.expressions.functions.words import bucket
from clary.kernel.errors import InvalidInput

few = settings(max_examples=15, deadline=None)
word = st.sampled_from(["a", "A", "bé", "bé", "it's", "c3", "{0}", "😀"])
texts = (
    st.none() | st.lists(word, max_size=6).map(" ".join) | st.sampled_from(["", "  \t", "ÄÖ ß-1!"])
)
columns = st.lists(st.tuples(texts), min_size=1, max_size=8)
SCHEMA = {"s": "varchar"}


@few
@given(columns)
def test_statistics_of_texts(rows):
    found = parity.apply("text.statistics", {"column": "s"}, SCHEMA, rows)
    for text, words, size, upper, lower, digits, special in found.rows:
        if text is None:
            assert words is size is upper is lower is digits is special is None
            continue
        assert (words, size) == (len(text.split()), len(text))
        counts = (
            sum(one.isupper() for one in text),
            sum(one.islower() for one in text),
            sum(one.isdigit() for one in text),
            sum(not one.isalnum() and not one.isspace() for one in text),
        )
        assert (upper, lower, digits, special) == tuple(one / max(size, 1) for one in counts)


def test_letters_of_no_case_are_special():
    found = parity.apply("text.statistics", {"column": "s"}, SCHEMA, [("中A",)])
    assert found.rows[0][3:] == (0.5, 0.0, 0.0, 0.5)


def words_of(text, least=1, *, is_binary=False):
    found = [one for one in (text or "").lower().split() if len(one) >= least]
    return sorted(set(found)) if is_binary else found


@few
@given(columns, st.booleans(), st.integers(1, 2))
def test_words_are_counted_and_weighed(rows, is_binary, least):
    given = {"column": "s", "output": "v", "is_binary": is_binary, "least_length": least}
    having = Counter(one for (text,) in rows for one in set(words_of(text, least)))
    if not having:
        with pytest.raises(InvalidInput, match="no word"):
            parity.apply("text.vectorize", given, SCHEMA, rows)
        return
    found = parity.apply("text.vectorize", given, SCHEMA, rows)
    state = found.learned.nodes["made"].state
    assert dict(zip(state["words"], state["counts"], strict=True)) == having
    assert state["counts"] == sorted(state["counts"], reverse=True)
    for (text,), vector in zip(rows, found["v"], strict=True):
        counts = Counter(words_of(text, least, is_binary=is_binary))
        weights = [math.log((len(rows) + 1) / (having[one] + 1)) for one in state["words"]]
        assert vector == [counts[one] * by for one, by in zip(state["words"], weights, strict=True)]


@few
@given(columns)
def test_words_are_hashed(rows):
    given = {"column": "s", "by": "hash", "size": 7, "weighs": False}
    found = parity.apply("text.vectorize", given, SCHEMA, rows)
    for (text,), vector in zip(rows, found["s"], strict=True):
        counts = Counter(bucket(one, 7) for one in words_of(text))
        assert vector == [float(counts[place]) for place in range(7)]


def test_hashed_words_are_weighed_by_texts():
    rows = [("a b",), ("a a",), (None,)]
    found = parity.apply("text.vectorize", {"column": "s", "by": "hash", "size": 50}, SCHEMA, rows)
    assert found["s"][1][bucket("a", 50)] == pytest.approx(2 * math.log(4 / 3))
    assert found["s"][0][bucket("b", 50)] == pytest.approx(math.log(4 / 2))


def test_words_by_a_pattern_become_columns():
    rows = [("x-1, y: it's",), ("Y x",)]
    given = {
        "column": "s", "pattern": r"[a-z']+", "matches_words": True, "style": "columns",
        "weighs": False, "size": 2,
    }  # fmt: skip
    found = parity.apply("text.vectorize", given, SCHEMA, rows)
    assert list(found.columns) == ["s", "s_x", "s_y"]
    assert [row[1:] for row in found.rows] == [(1.0, 1.0), (1.0, 1.0)]
    new = parity.apply("text.vectorize", given, SCHEMA, [("x x z",)], fit=rows)
    assert new.rows == [("x x z", 2.0, 0.0)]
    given = {"column": "s", "lowercase": False, "pattern": "[^A-Z]+", "weighs": False}
    assert re.split("[^A-Z]+", "Y x")[0] == "Y"
    assert parity.apply("text.vectorize", given, SCHEMA, rows)["s"] == [[0.0], [1.0]]


NUMBERS = {"a": "bigint", "b": "double", "c": "boolean", "v": "double[]"}
numbers = st.tuples(
    st.none() | st.integers(-9, 9),
    st.none() | st.sampled_from([0.5, -2.0, math.nan]),
    st.booleans(),
    st.none() | st.lists(st.none() | st.floats(-5, 5), max_size=3),
)


@few
@given(st.lists(numbers, min_size=1, max_size=6))
def test_vectors_are_put_together_and_taken_apart(rows):
    size = max((len(row[3] or ()) for row in rows), default=0)
    given = {"columns": ["a", "b", "c", "v"], "output": "all", "missing": "keep"}
    if not size:
        with pytest.raises(InvalidInput, match="vectors of 0"):
            parity.apply("vectors.assemble", given, NUMBERS, rows)
        return
    kept = parity.apply("vectors.assemble", given, NUMBERS, rows)
    skipped = parity.apply("vectors.assemble", {**given, "missing": "skip"}, NUMBERS, rows)
    flat = parity.apply("vectors.flatten", {"column": "v"}, NUMBERS, rows)
    for at, (a, b, c, v) in enumerate(rows):
        places = [*(v or []), None, None, None][:size]
        cells = [a, b, c, *places]
        assert parity.same(
            kept["all"][at], [math.nan if one is None else float(one) for one in cells]
        )
        expected = None if None in cells else [float(one) for one in cells]
        assert parity.same(expected, skipped["all"][at]) if expected else skipped["all"][at] is None
        assert flat.rows[at][3:] == tuple(places)


def test_principal_components():
    random = np.random.default_rng(3)
    hidden = random.normal(0, 1, (200, 2)) @ random.normal(0, 1, (2, 4)) + 5
    data = hidden + random.normal(0, 0.01, hidden.shape)
    rows = [(*map(float, row[:3]), [float(row[3])]) for row in data]
    rows += [(None, 1.0, 1.0, [1.0]), (math.nan, 1.0, 1.0, [1.0]), (1.0, 1.0, 1.0, None)]
    schema = {"a": "double", "b": "double", "c": "double", "v": "double[]"}
    given = {"columns": ["a", "b", "c", "v"], "output": "pca"}
    found = parity.apply("vectors.principal_components", given, schema, rows)
    assert list(found.columns) == ["pca"]
    made = np.array(found["pca"][:200])
    assert made.shape == (200, 2)
    assert found["pca"][200:] == [None] * 3
    values, vectors = np.linalg.eigh(np.cov(data.T))
    expected = (data - data.mean(axis=0)) @ vectors[:, ::-1][:, :2]
    assert np.abs(made) == pytest.approx(np.abs(expected))
    state = found.learned.nodes["made"].state
    assert state["variance"] == pytest.approx(list(values[::-1][:2] / values.sum()))
    assert all(max(row, key=abs) > 0 for row in state["components"])
    three = parity.apply("vectors.principal_components", {**given, "components": 3}, schema, rows)
    assert len(three["pca"][0]) == 3
    with pytest.raises(InvalidInput, match="5 components"):
        parity.apply("vectors.principal_components", {**given, "components": 5}, schema, rows)
    with pytest.raises(InvalidInput, match="rows have all numbers"):
        parity.apply("vectors.principal_components", given, schema, rows[:1])


def test_many_columns_have_components_too():
    random = np.random.default_rng(4)
    data = random.normal(0, 1, (50, 25))
    schema = {f"x{at}": "double" for at in range(25)}
    given = {"columns": list(schema), "output": "pca", "variance": 1.0}
    rows = [tuple(map(float, row)) for row in data]
    found = parity.apply("vectors.principal_components", given, schema, rows)
    assert np.array(found["pca"]).shape == (50, 25)
