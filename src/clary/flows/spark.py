"""A fitted flow as one query of Spark, whose tables are called as the sources are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from clary.expressions.types import ticked
from clary.flows.steps import Edit, Filter, Query
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.model import Node
    from clary.flows.plans import Planned
    from clary.flows.steps import Step

_INPUT = re.compile(r"input(\d+)")
_SAME = (
    exp.And,
    exp.Or,
    exp.Avg,
    exp.Case,
    exp.Cast,
    exp.Coalesce,
    exp.Count,
    exp.Max,
    exp.Min,
    exp.RowNumber,
    exp.Stddev,
    exp.StddevSamp,
    exp.Sum,
    exp.Variance,
)
"""Functions that mean the same in DuckDB and in Spark."""


def query(plans: Sequence[Planned]) -> str:
    """Write the rows of the last node as a query of Spark, a common table expression a node.

    Raises
    ------
    NotSupported
        A node has no text in Spark that means the same; names it.
    """
    parts = [_node(one) for one in plans if one.node.operator != "source"]
    last = f"SELECT * FROM {ticked(plans[-1].node.id)}"  # noqa: S608 a quoted name
    return "WITH " + ",\n".join(parts) + f"\n{last}" if parts else last


def _node(made: Planned) -> str:
    node = made.node
    sql = f"SELECT * FROM {ticked(node.inputs[0])}"  # noqa: S608 a quoted name
    try:
        for step in made.steps:
            sql = _step(node, step, sql)
    except NotSupported as error:
        problem = f"the node {node.id} ({node.operator}) does not run on Spark: {error.message}"
        raise NotSupported(problem, hint="run it in DuckDB") from None
    return f"{ticked(node.id)} AS ({sql})"


def _step(node: Node, step: Step, sql: str) -> str:
    if isinstance(step, Edit):
        names = ", ".join(
            f"{step.made[one].spark()} AS {ticked(one)}" if one in step.made else ticked(one)
            for one in step.columns
        )
        return f"SELECT {names} FROM ({sql})"  # noqa: S608 quoted names
    if isinstance(step, Filter):
        return f"SELECT * FROM ({sql}) WHERE {step.condition.spark()}"  # noqa: S608 a checked tree
    if isinstance(step, Query):
        return _query(node, step, sql)
    raise NotSupported("it has code of its own")


def _query(node: Node, step: Query, sql: str) -> str:
    if step.is_ordered:
        raise NotSupported("it asks for the order of rows, which Spark's have not")
    tree = sqlglot.parse_one(step.sql, dialect="duckdb")
    for call in tree.find_all(exp.Func):
        if not isinstance(call, _SAME):
            raise NotSupported(f"{call.sql(dialect='duckdb')[:80]} means something else there")
    for one in list(tree.find_all(exp.Table)):
        found = _INPUT.fullmatch(one.name)
        if found is None:
            continue
        name = one.alias or one.name
        place = int(found[1])
        rows = sql if place == 0 else f"SELECT * FROM {ticked(node.inputs[place])}"  # noqa: S608 a quoted name
        inner = sqlglot.parse_one(rows, dialect="spark", into=exp.Select).subquery(name)
        for word in ("joins", "pivots"):
            inner.set(word, one.args.get(word))
        one.replace(inner)
    return tree.sql(dialect="spark")
