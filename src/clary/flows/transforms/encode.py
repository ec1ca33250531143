"""Categories as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import VARCHAR, col, lit
from clary.expressions.types import quoted
from clary.flows.steps import edit
from clary.flows.transform import Transform, column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State


class OneHot(Transform, frozen=True):
    """Make a column of each category: 1.0 where it is, else 0.0."""

    operator: ClassVar[str] = "encode.one_hot"
    learns: ClassVar[bool] = True
    column: str
    unseen: Literal["skip", "keep", "error"] = "keep"
    drop_last: bool = False

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the categories, the most frequent first."""
        name = quoted(column(schemas[0], self.column, VARCHAR))
        sql = (
            f"SELECT {name} FROM input0 WHERE {name} IS NOT NULL "  # noqa: S608 a quoted name
            f"GROUP BY 1 ORDER BY count(*) DESC, 1"
        )
        return {"categories": [row[0] for row in ask(sql)]}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Compare with each."""
        [schema] = schemas
        name = column(schema, self.column)
        kept = state["categories"][: -1 if self.drop_last else None]
        made: dict[str, str | None] = {name: None}
        for one in kept:
            made[f"{name}_{one}"] = f"CASE WHEN {col(name)} = {lit(one)} THEN 1.0 ELSE 0.0 END"
        return (edit(schema, made),)
