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
_TOGETHER = 12
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
@pytest.mark.timeout(1700)
def test_a_real_spark_gives_the_same_cells():
    session = local_spark.Spark(local_spark.python())
    source = random.Random(5)
    kinds = (*generate.KINDS[:6], generate.TIMESTAMPTZ, generate.BIGINTS, generate.TEXTS)
    plain = {name: kind for name, kind in generate.SCHEMA.items() if kind in kinds}
    rows = [tuple(generate.value_of(source, kind) for kind in plain.values()) for _ in range(80)]
    table = differential.Table(plain, rows)
    found = {text: one for one, text in _expressions(6, 0, 4)}
    # where the argument differs in its last digit, the angle may be another altogether
    deep = {text: one for one, text in _expressions(7, 1, 2) if not _ANGLES.search(text)}
    cases = [
        case
        for case in (found | deep).items()
        if case[1].columns <= set(plain) and case[1].type.item != generate.TIMESTAMPTZ
    ]
    sure = [case for case in cases if not case[1].tree.fails]
    wrong = [case for case in cases if case[1].tree.fails and _differs(session, table, case)]
    for start in range(0, len(sure), _TOGETHER):
        some = sure[start : start + _TOGETHER]
        theirs = _answers(session, table, some, range(len(rows)))
        if theirs is None:
            wrong += [one for one in some if _differs(session, table, one)]
            continue
        ours = [table.by_row(one.tree) for _, one in some]
        wrong += [
            one
            for one, *both in zip(some, theirs, ours, strict=True)
            if not all(map(_alike, *both))
        ]
    session.close()
    assert len(cases) > 500
    assert not wrong, "\n".join(f"{one.text}\n  {text[:1000]}" for text, one in wrong)


def _differs(session, table, case):
    """Compare the rows that have an answer, and look whether Spark fails for one that has none."""
    ours = table.by_row(case[1].tree)
    held = [place for place, value in enumerate(ours) if value is not differential.FAILED]
    failing = sorted(set(range(len(ours))) - set(held))[:1]
    theirs = _answers(session, table, [case], held) if held else [[]]
    if theirs is None or not all(map(_alike, theirs[0], [ours[place] for place in held])):
        return True
    # where a part decides the answer, Spark does not compute another that fails
    is_deep = any(getattr(one, "arguments", ()) for one in getattr(case[1].tree, "arguments", ()))
    return failing and not is_deep and _answers(session, table, [case], failing) is not None


def _answers(session, table, cases, places):
    """Give what Spark answers to each, for the rows of these places; None where it fails."""
    texts = ", ".join(
        # Python's moments of Spark do not reach the first years
        f"unix_micros({text})" if one.type == generate.TIMESTAMPTZ else text
        for text, one in cases
    )
    rows = [(place, *row) for place, row in enumerate(table.rows)]
    schema = {"place": generate.BIGINT, **table.schema}
    asked = f"SELECT {texts} FROM rows WHERE place IN ({', '.join(map(str, places)) or -1})"
    try:
        found = session.rows({"rows": (schema, rows)}, f"{asked} ORDER BY place")
    except RuntimeError:
        return None
    kinds = [one.type for _, one in cases]
    return [[_told(row[at], kind) for row in found] for at, kind in enumerate(kinds)]


def _told(value, kind):
    if kind == generate.TIMESTAMPTZ and value is not None:
        return _EPOCH + dt.timedelta(microseconds=value)
    return local_spark.zoned(value, kind)


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
