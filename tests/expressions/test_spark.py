"""Spark's text: read back by SQLGlot as Spark's own, and run where a Spark is installed."""

import importlib.util
import math
import random
import re
import string

import differential
import generate
import pytest
import sqlglot

from clary.expressions import parse
from clary.kernel.errors import InvalidInput, NotSupported

_ANGLES = re.compile(r"\b(sin|cos|tan)\(")
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
@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="no Spark is installed")
def test_a_real_spark_gives_the_same_cells():
    session = (
        importlib.import_module("pyspark.sql").SparkSession.builder.master("local[1]").getOrCreate()
    )
    session.conf.set("spark.sql.session.timeZone", "UTC")
    source = random.Random(5)
    plain = {name: kind for name, kind in generate.SCHEMA.items() if kind in generate.KINDS[:6]}
    rows = [tuple(generate.value_of(source, kind) for kind in plain.values()) for _ in range(100)]
    types = ", ".join(f"{name} {kind.spark}" for name, kind in plain.items())
    frame = session.createDataFrame(rows, types)
    table = differential.Table(plain, rows)
    found = {text: one for one, text in _expressions(6, 0, 4)}
    # where the argument differs in its last digit, the angle may be another altogether
    deep = {text: one for one, text in _expressions(7, 1, 2) if not _ANGLES.search(text)}
    for text, expression in (found | deep).items():
        if expression.columns <= set(plain) and not expression.tree.fails:
            theirs = [one[0] for one in frame.selectExpr(text).collect()]
            ours = table.by_row(expression.tree)
            assert all(map(_alike, theirs, ours)), text


def _alike(theirs, ours):
    """Compare cells; the last digits of what Java computes differ, of large angles some more."""
    if isinstance(theirs, float) and isinstance(ours, float) and math.isfinite(theirs):
        return math.isclose(theirs, ours, rel_tol=1e-6, abs_tol=1e-6)
    return differential.same(theirs, ours)


def test_text_constants_survive():
    text = parse(
        f"s || '{string.punctuation.replace(chr(39), chr(39) * 2)}'", generate.SCHEMA
    ).spark()
    read = sqlglot.parse_one(text, dialect="spark")
    assert read.find(sqlglot.exp.Literal).this == string.punctuation
