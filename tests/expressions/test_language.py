"""What the language takes, what it refuses, and what it says then."""

import itertools
import subprocess
import sys

import duckdb
import pytest

from clary.expressions import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    TIMESTAMP,
    VARCHAR,
    Type,
    col,
    compile_all,
    fn,
    lit,
    parse,
    when,
)
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported

SCHEMA = {
    "a": BIGINT,
    "b": BIGINT,
    "x": DOUBLE,
    "s": VARCHAR,
    "t": BOOLEAN,
    "m": TIMESTAMP,
    "l": Type("list", BIGINT),
}
REFUSED = {
    "uper(s)": "the nearest there is: upper",
    "(SELECT 1)": "subquery",
    "count(*)": "star",
    "sum(a) OVER ()": "window",
    "sum(a)": "sum is not a function",
    "random()": "random is not a function",
    "a -> 'x'": "jsonextract",
    "a; DROP TABLE x": "not one expression",
    "a AS b": "alias",
    "0x1F": "alias",
    "$1": "placeholder",
    "upper(DISTINCT s)": "distinct",
    "lower(s) COLLATE NOCASE": "collate",
    "list_transform(l, v -> v + 1)": "lambda",
    "a +": "'a +': something is missing after '+' (line 1, column 3)",
    "a b x": "'x' does not fit there (line 1, column 5)",
    "upper('s": "a quote is open",
    "": "not one expression",
    "nobody": "there is no column nobody; legal: a, b, x, s, t, m, l",
    "a + s": "+ does not take (a: bigint, s: varchar); legal: +(bigint, bigint) → bigint",
    "9223372036854775808": "does not fit into 64 bits",
    "CAST(s AS INTERVAL)": "not a type",
    "CAST('x' AS BIGINT)": "'x' is not a bigint",
    "CASE WHEN t THEN a ELSE s END": "the values of a CASE are of the types bigint, varchar",
    "regexp_matches(s, s)": "argument 2 of regexp_matches must be a constant",
    "regexp_matches(s, '(?i)a')": "flags and look-around",
    "regexp_matches(s, '(a+)+')": "a quantifier of a group with",
    "regexp_matches(s, '(a|a)*')": "a quantifier of a group with",
    "regexp_matches(s, '(a*)?')": "may match the empty text",
    "regexp_matches(s, 'a++')": "a quantifier of a quantifier",
    "regexp_matches(s, '\\p{L}')": "the escape",
    "regexp_replace(s, 'a*', 'b')": "matches the empty text",
    "regexp_replace(s, 'a', '\\1')": "names no group",
    "regexp_extract(s, 'a', 1)": "has no group 1",
    "timezone('Nowhere', m)": "'Nowhere' is unknown",
    "timezone('../../etc/passwd', m)": "is unknown",
    "timezone('Africa/Casablanca', m)": "public tables differ",
    "date_trunc('eon', m)": "'eon'",
    "m + INTERVAL 'x' DAY": "not a whole number",
    "extract(eon FROM m)": "not a part of a date",
    "repeat(s, 1000000)": "a length of 1000000",
    "s LIKE 'a\\' ESCAPE '\\'": "ends with its escape",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_part_of_the_language_is_refused_by_name(text):
    with pytest.raises(InvalidInput) as error:
        parse(text, SCHEMA)
    assert REFUSED[text] in error.value.message


@pytest.mark.parametrize(
    "text", ["(" * 3_000 + "a" + ")" * 3_000, " + ".join(["a"] * 500), "a" * 30_000]
)
def test_large_expressions_are_refused(text):
    with pytest.raises(LimitExceeded):
        parse(text, SCHEMA)


def test_long_chains_run():
    expression = parse(" || ".join(["s"] * 90), SCHEMA)
    assert expression.row()({"s": "ab"}) == "ab" * 90


OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "&", "|", "=", "<>", "<", ">=", "AND", "OR")
UNARY = (
    "-{}",
    "NOT {}",
    "- - {}",
    "{} IS NULL",
    "NOT {} IS NULL",
    "{} BETWEEN 1 AND 5",
    "{}::BIGINT",
    "-{}::DOUBLE",
)


def _same_as_raw(text, connection):
    """Compare with what DuckDB makes of the text as it is written, where both take it."""
    try:
        sql = parse(text, SCHEMA).sql()
        raw = connection.execute(f"SELECT {text} FROM v").fetchone()
    except (InvalidInput, duckdb.Error):
        return None
    return connection.execute(f"SELECT {sql} FROM v").fetchone() == raw


def test_operators_bind_as_in_duckdb():
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE v AS SELECT 7::BIGINT a, 2::BIGINT b, 2.5::DOUBLE x, true t, 'q' s"
    )
    texts = [f"a {one} b {two} 3" for one, two in itertools.product(OPERATORS, repeat=2)]
    texts += [f"t {one} a {two} b" for one, two in itertools.product(OPERATORS, repeat=2)]
    texts += [one.format("a") + f" {two} b" for one, two in itertools.product(UNARY, OPERATORS)]
    texts += [
        "a " + two + " " + one.format("b") for one, two in itertools.product(UNARY, OPERATORS)
    ]
    results = {text: _same_as_raw(text, connection) for text in texts}
    assert [text for text, same in results.items() if same is False] == []
    assert sum(same is True for same in results.values()) > 150


def test_the_builder_makes_the_same_tree():
    pairs = [
        (col("a") / col("b") ** 2, "a / b ** 2"),
        ((col("a") + 1) * -col("x"), "(a + 1) * -x"),
        (1 - col("a") % 3, "1 - a % 3"),
        ((col("a") > 1) & ~(col("s") == "it's"), "a > 1 AND NOT s = 'it''s'"),
        (
            when(col("a") > 1).then("x").when(col("t")).then("y").otherwise("z"),
            "CASE WHEN a > 1 THEN 'x' WHEN t THEN 'y' ELSE 'z' END",
        ),
        (when(col("t")).then(1), "CASE WHEN t THEN 1 END"),
        (col("s").cast("bigint", tries=True).otherwise(-1), "coalesce(TRY_CAST(s AS BIGINT), -1)"),
        (col("a").is_in(1, 2) | col("a").is_null(), "a IN (1, 2) OR a IS NULL"),
        (col("a").between(1, 2), "a BETWEEN 1 AND 2"),
        (fn("upper", col("s")).like("A%"), "upper(s) LIKE 'A%'"),
        (col("l")[1] + lit(None), "l[1] + NULL"),
    ]
    for built, text in pairs:
        assert parse(built, SCHEMA).tree == parse(text, SCHEMA).tree, text
    with pytest.raises(TypeError, match="combine with"):
        bool(col("a") == 1)


def test_names_ignore_case_and_quote():
    expression = parse('UPPER("My Col")', {"my col": VARCHAR})
    assert expression.columns == {"my col"}
    assert expression.row()({"my col": "x"}) == "X"


def test_rows_that_fail_say_why():
    division = parse("a // b", SCHEMA).row()
    with pytest.raises(InvalidInput, match="1 // 0: division by zero"):
        division({"a": 1, "b": 0})
    with pytest.raises(InvalidInput, match="does not fit into 64 bits"):
        parse("a + b", SCHEMA).row()({"a": 2**63 - 1, "b": 1})


def test_many_expressions_run_as_one_function():
    run = compile_all([parse("a + 1", SCHEMA), parse("s || 'x'", SCHEMA)], ["s", "a"])
    assert run(("q", 1)) == (2, "qx")
    assert run((None, None)) == (None, None)


def test_spark_has_a_text_or_says_that_it_has_none():
    assert parse("a // 2 + length(s)", SCHEMA).spark() == (
        "((`a` DIV CAST(2 AS BIGINT)) + CAST(length(`s`) AS BIGINT))"
    )
    with pytest.raises(NotSupported, match="chr has no text in Spark"):
        parse("chr(a)", SCHEMA).spark()


def test_wide_choices_run():
    branches = " ".join(f"WHEN a = {number} THEN 'v{number}'" for number in range(500))
    choose = parse(f"CASE {branches} ELSE 'none' END", SCHEMA).row()
    assert [choose({"a": a}) for a in (0, 499, 500, None)] == ["v0", "v499", "none", "none"]
    first = parse(f"coalesce({', '.join(['s'] * 500)}, 'x')", SCHEMA).row()
    assert first({"s": None}) == "x"


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(InvalidInput, match="two columns are called A"):
        parse("a", {"a": BIGINT, "A": DOUBLE})


def test_without_the_extra_one_sentence_says_so():
    program = (
        "import sys; sys.modules['sqlglot'] = None\n"
        "from clary.expressions import BIGINT, parse\n"
        "from clary.kernel.errors import NotSupported\n"
        "try: parse('a', {'a': BIGINT})\n"
        "except NotSupported as error: print(error.message, error.hint)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (
        said.stdout == "expressions need sqlglot, which is not installed install clary[features]\n"
    )
