"""Rows: filtered, sorted, sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.expressions import BOOLEAN, parse
from clary.expressions.types import quoted
from clary.flows.steps import Filter as Only
from clary.flows.steps import Query
from clary.flows.transform import Transform, column
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State


class Filter(Transform, frozen=True):
    """Keep the rows for which a condition is true."""

    operator: ClassVar[str] = "rows.filter"
    condition: str

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Test each row."""
        condition = parse(self.condition, schemas[0])
        if condition.type != BOOLEAN:
            raise InvalidInput("condition", f"{self.condition!r} is a {condition.type}")
        return (Only(condition),)


class Sort(Transform, frozen=True):
    """Sort rows by columns; missing values come last."""

    operator: ClassVar[str] = "rows.sort"
    columns: tuple[str, ...]
    descending: bool = False

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Sort all of them."""
        [schema] = schemas
        way = "DESC" if self.descending else "ASC"
        by = ", ".join(f"{quoted(column(schema, one))} {way} NULLS LAST" for one in self.columns)
        sql = f"SELECT * FROM input0 ORDER BY {by}, rowid"  # noqa: S608 quoted names
        return (Query(sql, schema, record="same", is_ordered=True),)
