"""A fitted flow as one query of DuckDB, whose tables are called as the sources are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.expressions.types import quoted
from clary.flows.steps import Edit, Filter, Query
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.plans import Planned
    from clary.flows.steps import Step


def query(plans: Sequence[Planned]) -> str:
    """Write the rows of the last node as a query, a common table expression a node.

    Raises
    ------
    NotSupported
        A node has code of its own; names it.
    """
    parts = [_node(one) for one in plans if one.node.operator != "source"]
    last = f"SELECT * FROM {quoted(plans[-1].node.id)}"  # noqa: S608 a quoted name
    return f"WITH{','.join(parts)}\n{last}\n" if parts else f"{last}\n"


def _node(made: Planned) -> str:
    inputs = [quoted(one) for one in made.node.inputs]
    sql = f"SELECT * FROM {inputs[0]}" if inputs else ""  # noqa: S608 a quoted name
    for step in made.steps:
        sql = _step(made, step, sql, inputs)
    note = f"-- {made.node.title or made.node.operator}".replace("\n", " ")
    return f"\n{note}\n{quoted(made.node.id)} AS (\n{_indented(sql)}\n)"


def _step(made: Planned, step: Step, sql: str, inputs: Sequence[str]) -> str:
    if isinstance(step, Edit):
        names = ",\n".join(
            f"  {step.made[one].sql()} AS {quoted(one)}" if one in step.made else f"  {quoted(one)}"
            for one in step.columns
        )
        return f"SELECT\n{names}\n{_from(sql)}"
    if isinstance(step, Filter):
        return f"SELECT *\n{_from(sql)}\nWHERE {step.condition.sql()}"
    if isinstance(step, Query):
        names = ", ".join(map(quoted, step.columns))
        order = ", row_number() OVER () AS rowid" if step.is_ordered else ""
        rows = [sql, *(f"SELECT * FROM {one}" for one in inputs[1:])]  # noqa: S608 quoted names
        given = ",\n".join(
            f"input{place} AS (SELECT *{order} {_from(one)})" for place, one in enumerate(rows)
        )
        return f"WITH {given}\nSELECT {names} FROM (\n{_indented(step.sql)}\n)"
    raise NotSupported(f"the node {made.node.id} ({made.node.operator}) has code of its own")


def _from(sql: str) -> str:
    plain = "SELECT * FROM "
    rest = sql.removeprefix(plain)
    if sql.startswith(plain) and "\n" not in rest:
        return f"FROM {rest}"
    return f"FROM (\n{_indented(sql)}\n)"


def _indented(sql: str) -> str:
    return "\n".join(f"  {line}" for line in sql.strip().splitlines())
