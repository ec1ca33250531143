"""Columns as wholes: dropped, renamed, moved, computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.flows.steps import edit
from clary.flows.transform import Transform, column

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
        return (edit(schema, {column(schema, one): None for one in self.columns}),)


class Formula(Transform, frozen=True):
    """Compute a column by an expression over the others."""

    operator: ClassVar[str] = "columns.formula"
    formula: str
    output: str

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Compute it."""
        return (edit(schemas[0], {self.output: self.formula}),)
