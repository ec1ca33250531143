"""Formulas in Spark's SQL, as expressions of our language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from clary.expressions import DOUBLE, parse
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from clary.flows.steps import Schema

_LONGEST = 20_000
_MOST_CASTS = 50
_WHOLE = (exp.DataType.Type.INT, exp.DataType.Type.SMALLINT, exp.DataType.Type.TINYINT)
_POINTED = (exp.DataType.Type.FLOAT, exp.DataType.Type.DECIMAL)
_UNIT = re.compile(r"DATE_DIFF\('[A-Z]+'")
_PLAIN = re.compile(r"[^\\^$.|?*+()\[\]{}]+")


def translated(formula: str, schema: Schema) -> str:
    """Translate an expression of Spark's SQL over columns.

    Numbers become ``bigint`` or ``double``, as everywhere here; text in double quotes is text;
    a cast to a whole number cuts the fraction off.

    Raises
    ------
    InvalidInput
        It is not one expression of Spark's SQL.
    LimitExceeded
        It is over 20,000 characters long, nested too deeply, or casts over 50 times.
    """
    if len(formula) > _LONGEST:
        raise LimitExceeded(f"a formula has at most {_LONGEST} characters")
    try:
        tree = sqlglot.parse_one(formula, dialect="spark").transform(_ours)
        _truncate(tree, schema)
        text = tree.sql(dialect="duckdb")
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        raise InvalidInput("formula", f"{formula[:80]!r}: {first}") from None
    except RecursionError:
        raise LimitExceeded("the formula is nested too deeply") from None
    return _UNIT.sub(lambda found: found[0].replace(found[0][10:], found[0][10:].lower()), text)


def _ours(node: exp.Expr) -> exp.Expr:
    """Write what DuckDB means otherwise, or has no name for."""
    if isinstance(node, exp.DataType):
        return _widened(node)
    if isinstance(node, exp.DayOfWeek):
        return exp.paren(exp.Add(this=node.copy(), expression=exp.Literal.number(1)))
    if isinstance(node, exp.RegexpSplit) and _PLAIN.fullmatch(node.expression.name):
        return exp.Anonymous(this="string_split", expressions=[node.this, node.expression])
    if isinstance(node, exp.Anonymous) and node.name.lower() in {"isnull", "isnotnull"}:
        test = exp.Is(this=node.expressions[0], expression=exp.Null())
        return exp.paren(test if node.name.lower() == "isnull" else exp.Not(this=test))
    return node


def _widened(node: exp.DataType) -> exp.DataType:
    if node.this in _WHOLE:
        return exp.DataType.build("bigint")
    return exp.DataType.build("double") if node.this in _POINTED else node


def _truncate(tree: exp.Expr, schema: Schema) -> None:
    """Cut fractions off before they become whole numbers, the innermost first."""
    casts = [one for one in tree.find_all(exp.Cast) if one.to.this == exp.DataType.Type.BIGINT]
    if len(casts) > _MOST_CASTS:
        raise LimitExceeded(f"a formula has at most {_MOST_CASTS} casts to whole numbers")
    for one in reversed(casts):
        if _is_pointed(one.this, schema):
            one.set("this", exp.Anonymous(this="trunc", expressions=[one.this.copy()]))


def _is_pointed(tree: exp.Expr, schema: Schema) -> bool:
    try:
        return parse(tree.sql(dialect="duckdb"), schema).type == DOUBLE
    except ClaryError:
        return False
