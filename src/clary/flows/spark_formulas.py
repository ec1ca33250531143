"""Formulas in Spark's SQL, as expressions of our language."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from clary.kernel.errors import InvalidInput, LimitExceeded

_LONGEST = 20_000
_WHOLE = (exp.DataType.Type.INT, exp.DataType.Type.SMALLINT, exp.DataType.Type.TINYINT)
_POINTED = (exp.DataType.Type.FLOAT, exp.DataType.Type.DECIMAL)


def translated(formula: str) -> str:
    """Translate an expression of Spark's SQL.

    Numbers become ``bigint`` or ``double``, as everywhere here; text in double quotes is text.

    Raises
    ------
    InvalidInput
        It is not one expression of Spark's SQL.
    LimitExceeded
        It is over 20,000 characters long.
    """
    if len(formula) > _LONGEST:
        raise LimitExceeded(f"a formula has at most {_LONGEST} characters")
    try:
        tree = sqlglot.parse_one(formula, dialect="spark")
        return tree.transform(_widened).sql(dialect="duckdb")
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        raise InvalidInput("formula", f"{formula[:80]!r}: {first}") from None
    except RecursionError:
        raise LimitExceeded("the formula is nested too deeply") from None


def _widened(node: exp.Expr) -> exp.Expr:
    """Write the types of columns as ours."""
    if isinstance(node, exp.DataType):
        if node.this in _WHOLE:
            return exp.DataType.build("bigint")
        if node.this in _POINTED:
            return exp.DataType.build("double")
    if isinstance(node, exp.Anonymous) and node.name.lower() in {"isnull", "isnotnull"}:
        test = exp.Is(this=node.expressions[0], expression=exp.Null())
        return exp.paren(test if node.name.lower() == "isnull" else exp.Not(this=test))
    return node
