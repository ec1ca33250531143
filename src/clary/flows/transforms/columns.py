"""Columns as wholes: dropped, renamed, moved, computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import VARCHAR, col, fn, parse
from clary.expressions.types import quoted
from clary.flows.spark_formulas import translated
from clary.flows.steps import Edit, edit
from clary.flows.transform import Transform, check, column, columns
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State


class Drop(Transform, frozen=True):
    """Drop columns."""

    operator: ClassVar[str] = "columns.drop"
    columns: tuple[str, ...]

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Keep the others."""
        [schema] = schemas
        return (edit(schema, dict.fromkeys(columns(schema, self.columns))),)


class Duplicate(Transform, frozen=True):
    """Copy a column to a new one."""

    operator: ClassVar[str] = "columns.duplicate"
    column: str
    output: str

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Add the copy at the end."""
        [schema] = schemas
        name = column(schema, self.column)
        return (edit(schema, {_new(schema, self.output): quoted(name)}),)


class Rename(Transform, frozen=True):
    """Call a column otherwise, where it stands."""

    operator: ClassVar[str] = "columns.rename"
    column: str
    output: str

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Give it the new name."""
        [schema] = schemas
        name = column(schema, self.column)
        new = _new([one for one in schema if one != name], self.output)
        if new == name:
            return (edit(schema, {}),)
        names = tuple(new if one == name else one for one in schema)
        return (Edit(names, {new: parse(quoted(name), schema)}),)


class Move(Transform, frozen=True):
    """Move columns to the start, to the end, to a place counted from 0, or after another."""

    operator: ClassVar[str] = "columns.move"
    columns: tuple[str, ...]
    to: Literal["start", "end", "index", "after"] = "start"
    index: int = 0
    after: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Put them there, in the order given."""
        [schema] = schemas
        moved = columns(schema, self.columns)
        others = [one for one in schema if one not in moved]
        place = self._place(schema, others)
        return (Edit((*others[:place], *moved, *others[place:])),)

    def _place(self, schema: Schema, others: list[str]) -> int:
        if self.to == "after":
            name = column(schema, self.after, field="after")
            if name not in others:
                raise InvalidInput("after", f"{name!r} is moved itself")
            return others.index(name) + 1
        if self.to == "index" and not 0 <= self.index <= len(others):
            raise InvalidInput("index", f"{self.index}", legal=f"0 … {len(others)}")
        return {"start": 0, "end": len(others), "index": self.index}[self.to]


class Concatenate(Transform, frozen=True):
    """Write the values of columns one after another, as text; missing ones are left out."""

    operator: ClassVar[str] = "columns.concatenate"
    columns: tuple[str, ...]
    output: str
    separator: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Add the text."""
        [schema] = schemas
        texts = [
            col(one) if schema[one] == VARCHAR else col(one).cast(VARCHAR)
            for one in columns(schema, self.columns)
        ]
        return (edit(schema, {self.output: str(fn("concat_ws", self.separator, *texts))}),)


class Formula(Transform, frozen=True):
    """Compute a column by an expression over the others, in DuckDB's or in Spark's SQL."""

    operator: ClassVar[str] = "columns.formula"
    formula: str
    output: str
    dialect: Literal["duckdb", "spark"] = "duckdb"

    def __post_init__(self) -> None:
        """Refuse what is no expression."""
        if self.dialect == "duckdb":
            check(self.formula)

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Compute it."""
        formula = translated(self.formula, schemas[0]) if self.dialect == "spark" else self.formula
        return (edit(schemas[0], {self.output: formula}),)


def _new(taken: Schema | Sequence[str], name: str) -> str:
    if not name or name.lower() in {one.lower() for one in taken}:
        raise InvalidInput("output", f"{name!r} is a column already" if name else "is empty")
    return name
