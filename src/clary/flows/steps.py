"""What transforms become: steps that every engine runs with the same cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clary.expressions import Expression, Type, parse
from clary.kernel.errors import InvalidInput

Schema = Mapping[str, Type]
"""Names and types of columns, in order."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Columns of a row anew; a record stays one record.

    Parameters
    ----------
    columns
        The names of all columns that there are afterwards, in order.
    made
        What is computed, each from the columns as they were before; the others are kept.
    """

    columns: tuple[str, ...]
    made: Mapping[str, Expression] = field(default_factory=dict)

    def schema(self, before: Schema) -> Schema:
        """Tell names and types afterwards."""
        return {
            one: self.made[one].type if one in self.made else before[one] for one in self.columns
        }


@dataclass(frozen=True, slots=True)
class Filter:
    """Only rows for which a condition is true; a record is kept or dropped."""

    condition: Expression

    def schema(self, before: Schema) -> Schema:
        """Tell names and types afterwards: the same."""
        return before


@dataclass(frozen=True, slots=True)
class Query:
    """What needs many rows: sorting, joining, grouping, sampling.

    Parameters
    ----------
    sql
        A SELECT of DuckDB over the tables ``input0``, ``input1``, …, one an input.
    columns
        Names and types of what it gives.
    record
        What it means for one record alone: ``same``: nothing (sorting, sampling); ``refused``.
    is_ordered
        It asks for ``rowid``, the order of the rows of its inputs.
    order
        What its rows are sorted by where rows have an order: ``rowid`` again, an input's or, as
        ``input1.rowid``, one of several. Engines without one leave it out.
    """

    sql: str
    columns: Schema
    record: Literal["same", "refused"] = "refused"
    is_ordered: bool = False
    order: str = ""

    @property
    def asks_order(self) -> bool:
        """Whether the rows of its inputs must have an order."""
        return self.is_ordered or bool(self.order)

    @property
    def sorted_sql(self) -> str:
        """Its SELECT, with the order of its rows."""
        return f"{self.sql} ORDER BY {self.order}" if self.order else self.sql

    def schema(self, before: Schema) -> Schema:  # noqa: ARG002 the steps' common shape
        """Tell names and types afterwards."""
        return self.columns


@dataclass(frozen=True, slots=True)
class Program:
    """Code of the author's own over a frame called ``df``; it runs in a sandbox of its own.

    Parameters
    ----------
    language
        ``pandas``, ``pyspark``, ``python`` (a function of a row).
    code
        The text.
    columns
        Names and types of what it gave when it was fitted.
    """

    language: Literal["pandas", "pyspark", "python"]
    code: str
    columns: Schema

    def schema(self, before: Schema) -> Schema:  # noqa: ARG002 the steps' common shape
        """Tell names and types afterwards."""
        return self.columns


Step = Edit | Filter | Query | Program


def edit(schema: Schema, made: Mapping[str, str | Expression | None]) -> Edit:
    """Make an edit of columns: replaced where they stand, new ones at the end.

    Parameters
    ----------
    schema
        The columns before.
    made
        Expressions, or their text, by the name of the column, whatever its case; None drops one.

    Raises
    ------
    InvalidInput
        A text is no expression over these columns, or no column is left.
    """
    known = {name.lower(): name for name in schema}
    made = {known.get(name.lower(), name): one for name, one in made.items()}
    read = {
        name: one if isinstance(one, Expression) else parse(one, schema)
        for name, one in made.items()
        if one is not None
    }
    kept = [name for name in schema if made.get(name, "") is not None]
    columns = (*kept, *(name for name in read if name not in schema))
    if not columns:
        raise InvalidInput("columns", "no column is left", legal="one or more")
    return Edit(columns, read)
