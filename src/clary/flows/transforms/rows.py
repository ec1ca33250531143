"""Rows: filtered, sorted, shuffled, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.expressions import BOOLEAN, VARCHAR, col, fn, lit, parse
from clary.expressions.types import quoted
from clary.flows.steps import Filter as Only
from clary.flows.steps import Query
from clary.flows.transform import Transform, check, columns, free
from clary.flows.transforms.missing import absent
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.expressions import Term, Type
    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State


class Filter(Transform, frozen=True):
    """Keep the rows for which a condition is true."""

    operator: ClassVar[str] = "rows.filter"
    condition: str

    def __post_init__(self) -> None:
        """Refuse what is no expression."""
        check(self.condition)

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Test each row."""
        condition = parse(self.condition, schemas[0])
        if condition.type != BOOLEAN:
            raise InvalidInput("condition", f"{self.condition!r} is a {condition.type}")
        return (Only(condition),)


class DropEmpty(Transform, frozen=True):
    """Drop rows that hold nothing: every value is missing, NaN, or a blank text."""

    operator: ClassVar[str] = "rows.drop_empty"

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Keep rows in which something is."""
        [schema] = schemas
        tests = [_something(name, kind) for name, kind in schema.items()]
        return (Only(parse(fn("greatest", *tests), schema)),)


class Sort(Transform, frozen=True):
    """Sort rows by columns; missing values come last, equal rows stay in order."""

    operator: ClassVar[str] = "rows.sort"
    columns: tuple[str, ...]
    descending: bool = False

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Sort all of them."""
        [schema] = schemas
        way = "DESC" if self.descending else "ASC"
        by = ", ".join(f"{quoted(one)} {way} NULLS LAST" for one in columns(schema, self.columns))
        sql = f"SELECT * FROM input0 ORDER BY {by}, rowid"  # noqa: S608 quoted names
        return (Query(sql, schema, record="same", is_ordered=True),)


class Shuffle(Transform, frozen=True):
    """Put rows in an order that only the seed tells, the same every time."""

    operator: ClassVar[str] = "rows.shuffle"
    seed: int = 0

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Sort by a digest of each row's number."""
        sql = f"SELECT * FROM input0 ORDER BY md5(rowid || ' {self.seed}')"  # noqa: S608 a number
        return (Query(sql, schemas[0], record="same", is_ordered=True),)


class DropDuplicates(Transform, frozen=True):
    """Keep the first of rows that are equal in the columns given, else in all."""

    operator: ClassVar[str] = "rows.drop_duplicates"
    columns: tuple[str, ...] = ()

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Take the first of those that are equal."""
        [schema] = schemas
        by = ", ".join(map(quoted, columns(schema, self.columns or tuple(schema))))
        names = ", ".join(map(quoted, schema))
        if not self.columns:
            sql = f"SELECT {names} FROM input0 GROUP BY {by} ORDER BY min(rowid)"  # noqa: S608 quoted names
            return (Query(sql, schema, record="same", is_ordered=True),)
        number, place = (quoted(free(schema, one)) for one in ("number", "place"))
        numbered = (
            f"SELECT *, rowid AS {place}, "  # noqa: S608 quoted names
            f"row_number() OVER (PARTITION BY {by} ORDER BY rowid) AS {number} FROM input0"
        )
        sql = f"SELECT {names} FROM ({numbered}) WHERE {number} = 1 ORDER BY {place}"  # noqa: S608 quoted names
        return (Query(sql, schema, record="same", is_ordered=True),)


def _something(name: str, kind: Type) -> Term:
    """Write that a column holds something."""
    if kind == VARCHAR:
        return (fn("trim", col(name)) != "").otherwise(lit(False))  # noqa: FBT003 a constant of SQL
    return ~absent(name, kind)
