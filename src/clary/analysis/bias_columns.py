"""Which rows of a column are meant: values that are named, or numbers above a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection

Kind = Literal["fraction", "integer", "boolean", "text"]
Value = int | float | str | bool
UNIQUENESS = 0.05
"""An integer column of which at least this share is distinct holds amounts, not categories."""
_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_INTEGERS = frozenset([*_SIGNED, *(f"U{one}" for one in _SIGNED)])
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def name(text: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of a column before it is split.

    Parameters
    ----------
    name
        As the table has it.
    kind
        What its cells are.
    is_continuous
        Amounts, of which those above a threshold are meant; else categories, which are named.
    greatest
        The largest amount, of a column of numbers with any.
    """

    name: str
    kind: Kind
    is_continuous: bool
    greatest: float | int | None = None

    @property
    def cell(self) -> str:
        """The SQL of one cell: NULL where there is none, and where it is no number."""
        quoted = name(self.name)
        if self.kind == "fraction":
            return f"CASE WHEN isnan({quoted}) THEN NULL ELSE {quoted} END"
        return f"CAST({quoted} AS VARCHAR)" if self.kind == "text" else quoted


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows of a column that are meant.

    Parameters
    ----------
    condition
        SQL: true of them, false of the others, NULL where the column has no value.
    title
        What reports call them: ``1``, ``F,X`` or ``(0.5, 0.99]``.
    """

    condition: str
    title: str


def columns(
    connection: DuckDBPyConnection, table: str, names: Sequence[str]
) -> Mapping[str, Column]:
    """Look at columns of a table.

    Floating-point columns are continuous, and integers of which at least 5 % are distinct, unless
    there are only two; the rest is categorical.

    Parameters
    ----------
    table
        SQL that stands for it after FROM.

    Raises
    ------
    InvalidInput
        The table has no column of a name; says which it has.
    """
    described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    types = {str(row[0]): str(row[1]) for row in described}
    for one in names:
        if one not in types:
            legal = ", ".join(list(types)[:50])
            raise InvalidInput("column", f"the dataset has no column {one!r}", legal=legal)
    return {one: _look(connection, table, one, kind(types[one])) for one in dict.fromkeys(names)}


def kind(sql_type: str) -> Kind:
    """Say what cells of one of DuckDB's types are.

    Examples
    --------
    >>> kind("BIGINT"), kind("DECIMAL(9,2)"), kind("DATE")
    ('integer', 'fraction', 'text')
    """
    if sql_type in _INTEGERS:
        return "integer"
    if sql_type in {"DOUBLE", "FLOAT"} or sql_type.startswith("DECIMAL"):
        return "fraction"
    return "boolean" if sql_type == "BOOLEAN" else "text"


def _look(connection: DuckDBPyConnection, table: str, column: str, its: Kind) -> Column:
    if its not in {"integer", "fraction"}:
        return Column(column, its, is_continuous=False)
    amounts = name(column) if its == "integer" else f"CAST({name(column)} AS DOUBLE)"
    where = f"WHERE NOT isnan({amounts})" if its == "fraction" else ""
    row = connection.execute(
        f"SELECT min({amounts}), max({amounts}), count({amounts}) FROM {table} {where}"
    ).fetchone()
    least, greatest, rows = row or (None, None, 0)
    if its == "fraction" or not rows:
        return Column(column, its, its == "fraction", greatest)
    distinct = greatest - least + 1  # at most
    if distinct > 2 and distinct >= UNIQUENESS * rows:
        counted = connection.execute(f"SELECT count(DISTINCT {name(column)}) FROM {table}")
        distinct = (counted.fetchone() or (0,))[0]
    return Column(column, its, distinct > 2 and distinct >= UNIQUENESS * rows, greatest)


def choose(column: Column, values: Sequence[Value], *, field: str) -> Choice:
    """Say which rows values stand for: one threshold of a continuous column, else categories.

    Raises
    ------
    InvalidInput
        There are none, or one is no value of such a column; names ``field``.
    """
    if not values:
        if not column.is_continuous:
            raise InvalidInput(field, f"names no value of the column {column.name!r}")
        problem = f"the column {column.name!r} holds amounts, and no threshold is given"
        raise InvalidInput(field, problem, legal="one number")
    if column.is_continuous and len(values) == 1:
        return _above(column, _number(values[0], column, field))
    return _among(column, values, field)


def _above(column: Column, threshold: float) -> Choice:
    greatest = threshold if column.greatest is None else column.greatest
    low, high = (threshold, greatest)
    if column.kind == "integer" and float(low).is_integer():
        title = f"({int(low)}, {int(high)}]"
    else:
        title = f"({float(low)!r}, {float(high)!r}]"
    return Choice(f"({column.cell}) > {_sql_number(threshold)}", title)


def _among(column: Column, values: Sequence[Value], field: str) -> Choice:
    if column.kind == "boolean":
        written = ["TRUE" if _truth(one, column, field) else "FALSE" for one in values]
    elif column.kind == "text":
        written = [literal(text) for one in values for text in _texts(one)]
    else:
        written = [_sql_number(_number(one, column, field)) for one in values]
    title = ",".join(str(one) for one in values)
    return Choice(f"({column.cell}) IN ({', '.join(written)})", title)


def _texts(value: Value) -> Sequence[str]:
    """Write a value in the ways in which a column of texts may have it."""
    if isinstance(value, (bool, str)):
        return (str(value),)
    if float(value).is_integer():
        return (str(int(value)), f"{int(value)}.0")
    return (repr(float(value)),)


def _truth(value: Value, column: Column, field: str) -> bool:
    found = _TRUTHS.get(str(value).strip().lower())
    if found is None:
        problem = f"{value!r} is no value of the column {column.name!r}"
        raise InvalidInput(field, problem, legal="true, false")
    return found


def _number(value: Value, column: Column, field: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        problem = f"{value!r} is no number, as the column {column.name!r} has them"
        raise InvalidInput(field, problem, legal="a finite number")
    return number


def _sql_number(number: float) -> str:
    return (
        str(int(number)) if number.is_integer() and abs(number) < 2**53 else f"{number!r}::DOUBLE"
    )
