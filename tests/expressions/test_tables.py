"""Lookups, one-hot vectors and min-hashes: the same cells by row and in DuckDB."""

import random
import string

import differential
import generate
import pytest

from clary.expressions import BIGINT, DOUBLE, VARCHAR, lookup, parse
from clary.expressions.expression import Expression
from clary.kernel.errors import InvalidInput, LimitExceeded

ALPHABET = string.ascii_lowercase + "éßÉ{}0'\\😀 "


def _words(source, count):
    made = {"".join(source.choices(ALPHABET, k=source.randrange(6))) for _ in range(count)}
    return sorted(made | {"{0}", "{*}", "'"})


def _both(expression: Expression, rows):
    schema = {"k": VARCHAR if any(isinstance(row[0], str) for row in rows) else BIGINT}
    table = differential.Table(schema, rows)
    ours = table.by_row(expression.tree)
    theirs = table.literally(expression.sql())
    assert all(map(differential.same, theirs, ours))
    return ours


@pytest.mark.parametrize("size", [0, 1, 5, 199, 201, 3_000])
def test_a_lookup_finds_every_key(size):
    source = random.Random(size)
    words = _words(source, size)[: size or 0]
    values = {word: source.choice((source.random(), float("inf"), -0.0)) for word in words}
    rows = [(one,) for one in [*words, None, "not there", "", "{0}", "{1}"]]
    key = parse("k", {"k": VARCHAR})
    for default in (None, 7.0):
        found = _both(lookup(key, values, default, gives=DOUBLE), rows)
        assert found == [None if k is None else values.get(k, default) for (k,) in rows]
    found = _both(lookup(key, values, ..., gives=DOUBLE), rows)
    assert found == [None if k is None else values.get(k, differential.FAILED) for (k,) in rows]


def test_a_lookup_of_whole_numbers_gives_texts():
    table = {one * one - 3: f"t{one}" for one in range(500)}
    rows = [(one,) for one in [*table, None, 5, -(2**63)]]
    found = _both(lookup(parse("k", {"k": BIGINT}), table), rows)
    assert found == [table.get(k) for (k,) in rows]


def test_ten_thousand_categories_are_found():
    table = {f"category {one}": one for one in range(10_000)}
    expression = lookup(parse("k", {"k": VARCHAR}), table, -1)
    rows = [(f"category {one}",) for one in range(0, 12_000, 7)]
    assert _both(expression, rows) == [table.get(k, -1) for (k,) in rows]


def test_a_lookup_is_written_as_text_too():
    expression = parse("lookup(k, ['a', 'b'], [1, 2.5], 0.0)", {"k": VARCHAR})
    assert _both(expression, [("a",), ("b",), ("c",), (None,)]) == [1.0, 2.5, 0.0, None]
    assert "map_from_arrays" in expression.spark()


@pytest.mark.parametrize(
    "text", ["lookup(x, ['a'], [1])", "lookup(k, ['a'], [k])", "lookup(k, [1], [1])", "lookup(k)"]
)
def test_what_is_no_lookup_is_refused(text):
    with pytest.raises(InvalidInput):
        parse(text, {"k": VARCHAR, "x": DOUBLE})


def test_a_table_of_more_keys_is_refused():
    with pytest.raises(LimitExceeded, match="100000"):
        lookup(parse("k", {"k": BIGINT}), dict.fromkeys(range(100_001), 1))


def test_min_hashes_are_the_same_and_near_for_similar_texts():
    source = random.Random(5)
    texts = [generate.value_of(source, VARCHAR) for _ in range(200)]
    rows = [(one,) for one in [*texts, "police officer", "police officers", "librarian", "", None]]
    found = _both(parse("min_hash(k, 30)", {"k": VARCHAR}), rows)
    *_, officer, officers, librarian, empty, missing = found
    assert missing is None
    assert len(empty) == 30
    assert all(0 <= one <= 1 for one in officer)
    agreeing = sum(map(float.__eq__, officer, officers))
    assert agreeing > 15 > sum(map(float.__eq__, officer, librarian))


@pytest.mark.parametrize("name", ["n", "f", "h", "v", "k", "t"])
def test_columns_may_be_called_as_what_texts_name(name):
    numbers = differential.Table({name: BIGINT}, [(one,) for one in (None, 0, 1, 5)])
    assert not numbers.differences(f"one_hot({name}, 3)")
    texts = differential.Table({name: VARCHAR}, [(one,) for one in (None, "", "abc")])
    assert not texts.differences(f"min_hash({name}, 2)")
