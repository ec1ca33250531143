"""Rows gathered by what they have in common: aggregates, and a column for each category."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from clary.expressions import BIGINT, lit
from clary.expressions.types import quoted
from clary.flows.steps import Query
from clary.flows.transform import Transform, column, free
from clary.flows.transforms.queries import aggregate, found, listed
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.expressions import Type
    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_MOST_CATEGORIES = 1000


class Aggregate(Transform, frozen=True):
    """Gather rows that have the same values, and aggregate the others' columns.

    Parameters
    ----------
    by
        What rows have in common; none: all rows are one. The result is sorted by it.
    aggregates
        Functions by column: ``{"price": ["mean", "max"]}`` gives ``price_mean`` and ``price_max``;
        ``{"*": ["count"]}`` gives ``count``, of rows. They are count, count_distinct, sum, mean,
        min, max, median, std and var.
    """

    operator: ClassVar[str] = "group.aggregate"
    by: tuple[str, ...]
    aggregates: dict[str, tuple[str, ...]]

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Group."""
        [schema] = schemas
        keys = found(schema, self.by, "by")
        columns = {one: schema[one] for one in keys}
        texts = [quoted(one) for one in keys]
        for name, functions in self.aggregates.items():
            for function in functions:
                output, text, kind = _made(schema, name, function)
                if output in columns:
                    raise InvalidInput("aggregates", f"two columns are called {output!r}")
                columns[output] = kind
                texts.append(f"{text} AS {quoted(output)}")
        if not self.aggregates:
            raise InvalidInput("aggregates", "there are none", legal='{"column": ["mean"]}')
        sql = f"SELECT {', '.join(texts)} FROM input0"  # noqa: S608 quoted names
        if keys:
            order = ", ".join(f"{quoted(one)} NULLS LAST" for one in keys)
            sql += f" GROUP BY {listed(keys)} ORDER BY {order}"
        return (Query(sql, columns),)


def _made(schema: Schema, name: str, function: str) -> tuple[str, str, Type]:
    if name == "*" and function == "count":
        return "count", "count(*)", BIGINT
    known = column(schema, name, field="aggregates")
    return f"{known}_{function}", *aggregate(function, quoted(known), schema[known])


class Pivot(Transform, frozen=True):
    """Make a row for what rows have in common, and a column for each category of another column.

    Parameters
    ----------
    by
        What rows have in common; the result is sorted by it.
    column
        The categories, learned from all rows, in order; ``column_category`` are the names, with
        ``_1``, ``_2``, … where one is taken, whatever the case.
    value, function
        What is aggregated for each, and how; missing where a row has none of a category.
    """

    operator: ClassVar[str] = "group.pivot"
    learns: ClassVar[bool] = True
    by: tuple[str, ...]
    column: str
    value: str
    function: str = "sum"

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the categories."""
        name = column(schemas[0], self.column)
        sql = (
            f"SELECT DISTINCT CAST({quoted(name)} AS VARCHAR) AS told FROM input0 "  # noqa: S608 a quoted name
            f"WHERE {quoted(name)} IS NOT NULL ORDER BY told LIMIT {_MOST_CATEGORIES + 1}"
        )
        categories = [row[0] for row in ask(sql)]
        if len(categories) > _MOST_CATEGORIES:
            problem = f"{name!r} has over {_MOST_CATEGORIES} categories"
            raise InvalidInput("column", problem, hint="replace the rare ones before")
        return {"categories": categories}

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Aggregate each category by itself."""
        [schema] = schemas
        keys = found(schema, self.by, "by")
        name, value = column(schema, self.column), column(schema, self.value, field="value")
        columns = {one: schema[one] for one in keys}
        texts = [quoted(one) for one in keys]
        for one in state["categories"]:
            only = f"CAST({quoted(name)} AS VARCHAR) = {lit(one)}"
            text, kind = aggregate(self.function, quoted(value), schema[value], only=only)
            output = free(columns, f"{name}_{one}")
            columns[output] = kind
            texts.append(f"{text} AS {quoted(output)}")
        order = ", ".join(f"{quoted(one)} NULLS LAST" for one in keys)
        sql = f"SELECT {', '.join(texts)} FROM input0"  # noqa: S608 quoted names
        if keys:
            sql += f" GROUP BY {listed(keys)} ORDER BY {order}"
        return (Query(sql, columns),)
