"""Spark's text: read back by SQLGlot as Spark's own, and run where a Spark is installed."""

import datetime as dt
import math
import random
import re
import string

import differential
import generate
import local_spark
import pytest
import sqlglot

from clary.expressions import parse
from clary.kernel.errors import InvalidInput, NotSupported

_ANGLES = re.compile(r"\b(a?sin|a?cos|a?tan)\(")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
OFFERED = tuple(one for one in generate.FUNCTIONS if one.spark is not None)


def _expressions(seed, depth, rounds=1):
    generator = generate.Generator(random.Random(seed), OFFERED)
    for function in OFFERED * rounds:
        kind = generate.BIGINT if function.gives == generate.ANY else function.gives
        try:
            expression = parse(generator.call(function, kind, depth), generate.SCHEMA)
            yield expression, expression.spark()
        except (InvalidInput, NotSupported):
            continue


def test_texts_are_read_back_as_they_are():
    found = [text for depth in (0, 1, 2) for _, text in _expressions(depth, depth, 3)]
    assert len(found) > 500
    for text in found:
        read = sqlglot.parse_one(text, dialect="spark").sql(dialect="spark")
        assert sqlglot.parse_one(read, dialect="spark").sql(dialect="spark") == read


@pytest.mark.long
def test_a_real_spark_gives_the_same_cells():
    session = local_spark.Spark(local_spark.python())
    source = random.Random(5)
    kinds = (*generate.KINDS[:6], generate.TIMESTAMPTZ, generate.BIGINTS, generate.TEXTS)
    plain = {name: kind for name, kind in generate.SCHEMA.items() if kind in kinds}
    rows = [tuple(generate.value_of(source, kind) for kind in plain.values()) for _ in range(100)]
    table = differential.Table(plain, rows)
    found = {text: one for one, text in _expressions(6, 0, 4)}
    # where the argument differs in its last digit, the angle may be another altogether
    deep = {text: one for one, text in _expressions(7, 1, 2) if not _ANGLES.search(text)}
    cases = [(text, one) for text, one in (found | deep).items() if one.columns <= set(plain)]
    wrong = [one for one in cases if _differs(session, table, *one)]
    session.close()
    assert len(cases) > 500
    assert not wrong, "\n".join(f"{one.text}\n  {text[:1000]}" for text, one in wrong)


def _differs(session, table, text, expression):
    """Compare the rows that have an answer, and look whether Spark fails for one that has none."""
    pairs = list(zip(table.rows, table.by_row(expression.tree), strict=True))
    ours = [value for _, value in pairs if value is not differential.FAILED]
    held = [row for row, value in pairs if value is not differential.FAILED]
    failing = [row for row, value in pairs if value is differential.FAILED][:1]
    try:
        theirs = _cells(session, table.schema, held, text, expression.type)
    except RuntimeError:
        return True
    if not all(map(_alike, theirs, ours)):
        return True
    # where a part decides the answer, Spark does not compute another that fails
    parts = getattr(expression.tree, "arguments", ())
    is_deep = any(getattr(one, "arguments", ()) for one in parts)
    return failing and not is_deep and not _fails(session, table, failing, text)


def _fails(session, table, rows, text):
    try:
        _cells(session, table.schema, rows, text, None)
    except RuntimeError:
        return True
    return False


def _cells(session, schema, rows, text, kind):
    if kind == generate.TIMESTAMPTZ:  # Python's moments of Spark do not reach the first years
        text = f"unix_micros({text})"
    found = [one[0] for one in session.rows({"rows": (schema, rows)}, f"SELECT {text} FROM rows")]
    if kind == generate.TIMESTAMPTZ:
        return [None if one is None else _EPOCH + dt.timedelta(microseconds=one) for one in found]
    return [local_spark.zoned(one, kind) for one in found]


def _alike(theirs, ours):
    """Compare cells; the last digits of what Java computes differ, of large angles some more."""
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(_alike, theirs, ours))
    if isinstance(theirs, float) and isinstance(ours, float) and math.isfinite(theirs):
        return math.isclose(theirs, ours, rel_tol=1e-6, abs_tol=1e-6)
    return differential.same(theirs, ours)


def test_text_constants_survive():
    text = parse(
        f"s || '{string.punctuation.replace(chr(39), chr(39) * 2)}'", generate.SCHEMA
    ).spark()
    read = sqlglot.parse_one(text, dialect="spark")
    assert read.find(sqlglot.exp.Literal).this == string.punctuation
