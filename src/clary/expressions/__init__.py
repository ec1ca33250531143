"""One expression language: DuckDB's SQL, checked once, run as SQL, as Spark SQL and by row."""

from __future__ import annotations

from clary.expressions.builder import Term, col, fn, lit, when
from clary.expressions.expression import (
    Expression,
    check_text,
    compile_all,
    compile_steps,
    lookup,
    parse,
)
from clary.expressions.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    TIMESTAMP,
    TIMESTAMPTZ,
    VARCHAR,
    Type,
    type_named,
)

__all__ = [
    "BIGINT",
    "BOOLEAN",
    "DATE",
    "DOUBLE",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "VARCHAR",
    "Expression",
    "Term",
    "Type",
    "check_text",
    "col",
    "compile_all",
    "compile_steps",
    "fn",
    "lit",
    "lookup",
    "parse",
    "type_named",
    "when",
]
