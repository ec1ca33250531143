"""A fitted flow as one query of DuckDB, whose tables are called as the sources are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clary.expressions.types import quoted
from clary.flows.inputs import order_beside, with_inputs
from clary.flows.steps import Edit, Filter, Query
from clary.flows.transforms.queries import listed
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.flows.plans import Planned
    from clary.flows.steps import Schema, Step

_BREAK = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|\n")
"""A quoted text or name, or a comment; or the end of a line."""


def query(plans: Sequence[Planned]) -> str:
    """Write the rows of the last node as a query, a common table expression a node.

    Raises
    ------
    NotSupported
        A node has code of its own; names it.
    """
    columns = {one.node.id: one.columns for one in plans}
    parts = [_node(one, columns) for one in plans if one.node.operator != "source"]
    last = f"SELECT * FROM {quoted(plans[-1].node.id)}"  # noqa: S608 a quoted name
    return f"WITH{','.join(parts)}\n{last}\n" if parts else f"{last}\n"


def _node(made: Planned, columns: Mapping[str, Schema]) -> str:
    inputs = made.node.inputs
    schema, others = columns[inputs[0]], [columns[one] for one in inputs[1:]]
    rows = [f"SELECT * FROM {quoted(one)}" for one in inputs]  # noqa: S608 a quoted name
    for step in made.steps:
        if isinstance(step, Query):
            rows[0] = _query(step, rows, [schema, *others])
        else:
            rows[0] = _step(made, step, rows[0])
        schema = step.schema(schema)
    note = f"-- {made.node.title or made.node.operator}".replace("\n", " ")
    return f"\n{note}\n{quoted(made.node.id)} AS (\n{_indented(rows[0])}\n)"


def _step(made: Planned, step: Step, sql: str) -> str:
    if isinstance(step, Edit):
        names = ",\n".join(
            f"  {step.made[one].sql()} AS {quoted(one)}" if one in step.made else f"  {quoted(one)}"
            for one in step.columns
        )
        return f"SELECT\n{names}\n{_from(sql)}"
    if isinstance(step, Filter):
        return f"SELECT *\n{_from(sql)}\nWHERE {step.condition.sql()}"
    raise NotSupported(f"the node {made.node.id} ({made.node.operator}) has code of its own")


def _query(step: Query, rows: Sequence[str], schemas: Sequence[Schema]) -> str:
    order = order_beside(name for one in schemas for name in one)
    numbered = f", row_number() OVER () - 1 AS {quoted(order)}" if step.asks_order else ""
    names = [f"input{place}" for place in range(len(rows))]
    given = ",\n".join(
        f"{name} AS (SELECT *{numbered} {_from(one)})"
        for name, one in zip(names, rows, strict=True)
    )
    sql = with_inputs(step.sorted_sql, names, order)
    return f"WITH {given}\nSELECT {listed(step.columns)} FROM (\n{_indented(sql)}\n)"


def _from(sql: str) -> str:
    plain = "SELECT * FROM "
    rest = sql.removeprefix(plain)
    if sql.startswith(plain) and "\n" not in rest:
        return f"FROM {rest}"
    return f"FROM (\n{_indented(sql)}\n)"


def _indented(sql: str) -> str:
    """Indent lines, but for those inside of quoted texts and names."""
    return "  " + _BREAK.sub(lambda found: "\n  " if found[0] == "\n" else found[0], sql.strip())
