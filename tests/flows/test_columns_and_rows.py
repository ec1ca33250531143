"""Columns and rows as wholes, missing values and types, against what a reader would expect."""

import math

import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput

SCHEMA = {"a": "bigint", "x": "double", "t": "varchar"}
TEXTS = st.one_of(st.none(), st.text("aAbé ß😀0-'{}", max_size=4), st.sampled_from(("", " ", "0")))
NUMBERS = st.one_of(
    st.none(), st.floats(-1e6, 1e6), st.sampled_from((math.nan, math.inf, -math.inf, -0.0))
)
ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(-(2**40), 2**40)), NUMBERS, TEXTS), max_size=25
)
FEW = settings(max_examples=25, deadline=None)
PEOPLE = [(3, 1.5, "b"), (1, math.nan, None), (None, None, ""), (2, -2.0, "b"), (3, 1.5, "b")]


def _missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def test_columns_are_dropped_copied_renamed_and_moved():
    def columns(operator, **with_):
        return list(parity.apply(operator, with_, SCHEMA, PEOPLE).columns)

    assert columns("columns.drop", columns=["X", "a"]) == ["t"]
    assert columns("columns.duplicate", column="a", output="b") == ["a", "x", "t", "b"]
    assert columns("columns.rename", column="a", output="A") == ["A", "x", "t"]
    assert columns("columns.move", columns=["t", "x"]) == ["t", "x", "a"]
    assert columns("columns.move", columns=["a"], to="end") == ["x", "t", "a"]
    assert columns("columns.move", columns=["a"], to="index", index=1) == ["x", "a", "t"]
    assert columns("columns.move", columns=["a"], to="after", after="T") == ["x", "t", "a"]
    made = parity.apply("columns.rename", {"column": "a", "output": "n"}, SCHEMA, PEOPLE)
    assert made["n"] == [3, 1, None, 2, 3]


@pytest.mark.parametrize(
    ("operator", "with_", "told"),
    [
        ("columns.drop", {"columns": ["y"]}, "no column 'y'"),
        ("columns.drop", {"columns": []}, "one or more"),
        ("columns.rename", {"column": "a", "output": "X"}, "'X' is a column already"),
        ("columns.duplicate", {"column": "a", "output": "A"}, "'A' is a column already"),
        ("columns.move", {"columns": ["a"], "to": "index", "index": 3}, "0 … 2"),
        ("columns.move", {"columns": ["a"], "to": "after", "after": "a"}, "is moved itself"),
        ("columns.formula", {"formula": "a +", "output": "n", "dialect": "spark"}, "formula"),
        ("numeric.standard", {"columns": ["t"]}, "'t' is of the type varchar"),
        ("numeric.robust", {"columns": ["a"], "lower": 0.8}, "0 … 1"),
        ("missing.fill", {"columns": ["a"], "value": "x"}, "no value of 'a', which is a bigint"),
        ("missing.fill", {"columns": ["a", "x"], "value": 1, "output": "n"}, "one name for 2"),
        ("parse.cast", {"columns": ["a"], "to": "date"}, "'a', a bigint, does not become a date"),
        (
            "parse.cast",
            {"columns": ["t"], "to": "long", "invalid": "fill", "fill": "?"},
            "no bigint",
        ),
        ("outliers.rare", {"columns": ["t"]}, "a count, or a fraction"),
        ("encode.target", {"columns": ["t"], "target": "t"}, "target"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(operator, with_, told):
    with pytest.raises(InvalidInput, match="made") as caught:
        parity.apply(operator, with_, SCHEMA, PEOPLE)
    assert told in caught.value.message


@FEW
@given(ROWS)
def test_values_are_concatenated_without_missing_ones(rows):
    with_ = {"columns": ["a", "t"], "output": "both", "separator": "-"}
    made = parity.apply("columns.concatenate", with_, SCHEMA, rows)
    assert made["both"] == ["-".join(str(v) for v in (a, t) if v is not None) for a, _, t in rows]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("if(isnull(a), -1, a * 2)", [6, 2, -1, 4, 6]),
        ("CAST(a AS INT) + CAST('1' AS SMALLINT)", [4, 2, None, 3, 4]),
        ("concat(`t`, '!')", ["b!", None, "!", "b!", "b!"]),
        ("nvl(t, 'none')", ["b", "none", "", "b", "b"]),
        ("CAST(x * 1.1 AS INT)", [1, None, None, -2, 1]),
        ("dayofweek(CAST('2024-02-25' AS DATE)) + a", [4, 2, None, 3, 4]),
        ("datediff(CAST('2024-03-01' AS DATE), CAST('2024-02-28' AS DATE))", [2, 2, 2, 2, 2]),
        ("split('x,y', ',')[1]", ["y"] * 5),
        ('t = "b" and a > 2', [True, False, None, False, True]),
        ("CASE WHEN t RLIKE '^b$' THEN 1.0 ELSE 0.0 END", [1.0, 0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_formulas_may_be_written_for_spark(formula, expected):
    with_ = {"formula": formula, "output": "n", "dialect": "spark"}
    found = parity.apply("columns.formula", with_, SCHEMA, PEOPLE)["n"]
    assert [bool(one) if isinstance(one, bool) else one for one in found][:2] == expected[:2]
    assert found[3:] == expected[3:]


@FEW
@given(ROWS, st.integers(0, 9))
def test_rows_are_sorted_shuffled_and_unique(rows, seed):
    made = parity.apply("rows.sort", {"columns": ["a"]}, SCHEMA, rows)
    assert made["a"] == sorted(made["a"], key=lambda a: (a is None, a or 0))
    unique = parity.apply("rows.drop_duplicates", {"columns": ["t", "a"]}, SCHEMA, rows)
    first = {}
    for row in rows:
        first.setdefault((row[2], row[0]), row)
    assert all(map(parity.same, unique.rows, first.values()))
    assert len(unique.rows) == len(first)
    shuffled = [parity.apply("rows.shuffle", {"seed": seed}, SCHEMA, rows).rows for _ in range(2)]
    assert parity.same(*shuffled)
    assert sorted(map(repr, shuffled[0])) == sorted(repr((a, x, t)) for a, x, t in rows)


@FEW
@given(ROWS)
def test_rows_with_nothing_and_with_missing_values_are_dropped(rows):
    empty = parity.apply("rows.drop_empty", {}, SCHEMA, rows)
    assert len(empty.rows) == sum(
        not (_missing(a) and _missing(x) and not (t or "").strip()) for a, x, t in rows
    )
    for how, test in (("any", any), ("all", all)):
        made = parity.apply("missing.drop", {"columns": ["a", "x"], "how": how}, SCHEMA, rows)
        kept = [row for row in rows if not test(map(_missing, row[:2]))]
        assert all(map(parity.same, made.rows, kept))
        assert len(made.rows) == len(kept)


@FEW
@given(ROWS)
def test_missing_values_are_filled_marked_and_imputed(rows):
    filled = parity.apply("missing.fill", {"columns": ["x"], "value": 7}, SCHEMA, rows)
    assert filled["x"] == [7.0 if _missing(x) else x for _, x, _ in rows]
    marked = parity.apply("missing.indicator", {"columns": ["x", "t"]}, SCHEMA, rows)
    assert marked["x_missing"] == [_missing(x) for _, x, _ in rows]
    with_ = {"columns": ["t"], "strategy": "mode"}
    texts = [t for _, _, t in rows if t is not None]
    usual = min(texts, key=lambda t: (-texts.count(t), t), default=None)
    made = parity.apply("missing.impute", with_, SCHEMA, rows)
    assert made["t"] == [usual if t is None else t for _, _, t in rows]


@FEW
@given(ROWS)
def test_means_and_medians_are_of_finite_numbers(rows):
    known = sorted(x for _, x, _ in rows if x is not None and math.isfinite(x))
    for strategy in ("mean", "median"):
        made = parity.apply(
            "missing.impute", {"columns": ["x"], "strategy": strategy}, SCHEMA, rows
        )
        value = made.learned.nodes["made"].state["values"]["x"]
        if not known:
            assert value is None
            continue
        half = len(known) // 2
        median = known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
        expected = math.fsum(known) / len(known) if strategy == "mean" else median
        assert math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-6)
        assert made["x"] == [value if _missing(x) else x for _, x, _ in rows]


def test_columns_that_are_mostly_missing_are_dropped():
    rows = [(None, math.nan, "a"), (1, None, "b"), (2, 1.0, None)]
    made = parity.apply("missing.drop_columns", {"above": 0.5}, SCHEMA, rows)
    assert list(made.columns) == ["a", "t"]
    whole = parity.apply("missing.impute", {"columns": ["a"]}, SCHEMA, rows)
    assert whole["a"] == [1.5, 1.0, 2.0]
    assert str(whole.columns["a"]) == "double"
