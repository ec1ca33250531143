"""A fitted flow as one query of Spark, whose tables are called as the sources are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from clary.expressions.functions.spark_texts import EPOCH_US
from clary.expressions.types import ticked
from clary.flows.steps import Edit, Filter, Query
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.model import Node
    from clary.flows.plans import Planned
    from clary.flows.steps import Step

_ORDER = "rowid"
_UNIQUE = (
    "SELECT * EXCEPT (`#rows`) FROM "
    "(SELECT *, count(*) OVER (PARTITION BY {keys}) AS `#rows` FROM ({rows})) "
    "WHERE CASE WHEN `#rows` > 1 THEN raise_error('equal rows have no order') ELSE TRUE END"
)
"""Rows that a window sorts by what no two of them share; fails for others."""
_TEXTS = {"epoch_us": EPOCH_US}
_INPUT = re.compile(r"input(\d+)")
_SAME = (
    exp.And,
    exp.Or,
    exp.Avg,
    exp.Case,
    exp.Cast,
    exp.Coalesce,
    exp.ConcatWs,
    exp.Count,
    exp.Explode,
    exp.FirstValue,
    exp.If,
    exp.IsNan,
    exp.Lag,
    exp.LastValue,
    exp.Left,
    exp.MD5,
    exp.Max,
    exp.Median,
    exp.Min,
    exp.Nullif,
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
    tree = sqlglot.parse_one(step.sql, dialect="duckdb")
    _unsort(tree)
    _unname(tree)
    unique = _without_ties(tree)
    _refuse(tree)
    _refuse_windows(tree)
    tree = tree.transform(_translated)
    for one in list(tree.find_all(exp.Table)):
        found = _INPUT.fullmatch(one.name)
        if found is None:
            continue
        name = one.alias or one.name
        place = int(found[1])
        rows = sql if place == 0 else f"SELECT * FROM {ticked(node.inputs[place])}"  # noqa: S608 a quoted name
        for keys in unique:
            rows = _UNIQUE.format(rows=rows, keys=keys)
        inner = sqlglot.parse_one(rows, dialect="spark", into=exp.Select).subquery(name)
        for word in ("joins", "pivots"):
            inner.set(word, one.args.get(word))
        one.replace(inner)
    text = tree.sql(dialect="spark")
    if not tree.args.get("qualify"):
        return text
    names = ", ".join(map(ticked, step.columns))  # a test of windows leaves columns of its own
    return f"SELECT {names} FROM ({text})"  # noqa: S608 quoted names


def _refuse(tree: exp.Expr) -> None:
    """Look for what Spark has not. Raises NotSupported."""
    if any(_is_order(one) for one in tree.find_all(exp.Column)):
        raise NotSupported("it goes by the number of a row, and Spark's rows have none")
    if tree.find(exp.Limit):
        raise NotSupported("it takes the first rows, and Spark's rows have no order")
    if len(list(tree.find_all(exp.Explode))) > 1:
        raise NotSupported("it makes rows of two lists at once")
    for call in tree.find_all(exp.Func):
        if not isinstance(call, _SAME) and not _text(call):
            raise NotSupported(f"{call.sql_name().lower()} has no text that means the same")


def _refuse_windows(tree: exp.Expr) -> None:
    """Look for windows that Spark has not. Raises NotSupported."""
    for window in tree.find_all(exp.Window):
        if window.find(exp.Median):
            raise NotSupported("it takes medians of windows")
        if window.find(exp.Interval):
            raise NotSupported("it looks back by months, or by times with a zone")


def _text(call: exp.Expr) -> str:
    """Tell how Spark writes a function that SQLGlot does not know, empty if it is not known."""
    return _TEXTS.get(call.name.lower(), "") if isinstance(call, exp.Anonymous) else ""


def _translated(call: exp.Expr) -> exp.Expr:
    """Put in what Spark calls otherwise."""
    text = _text(call)
    if not text:
        return call
    [given] = call.expressions
    return sqlglot.parse_one(text.format(given.sql(dialect="spark")), dialect="spark")


def _is_order(column: exp.Column) -> bool:
    return column.name == _ORDER and not column.this.quoted


def _goes_by_order(term: exp.Expr) -> bool:
    return any(_is_order(one) for one in term.find_all(exp.Column))


def _unsort(tree: exp.Expr) -> None:
    """Leave out what rows would be sorted by only because they were in that order before."""
    order = tree.args.get("order")
    if order is None:
        return
    kept = [one for one in order.expressions if not _goes_by_order(one)]
    tree.set("order", exp.Order(expressions=kept) if kept else None)


def _unname(tree: exp.Expr) -> None:
    """Write windows that have a name where they are used: Spark adds nothing to a named one."""
    named = {one.name: one for one in tree.args.get("windows") or ()}
    tree.set("windows", None)
    for window in tree.find_all(exp.Window):
        known = named.get(window.alias)
        if known is not None:
            window.set("alias", None)
            for part in {"partition_by", "order", "spec"} - {*_given(window)}:
                window.set(part, known.copy().args.get(part))


def _given(window: exp.Window) -> list[str]:
    return [part for part, found in window.args.items() if found]


def _without_ties(tree: exp.Expr) -> set[str]:
    """Order windows by all but the order of rows; give what must then be unique for each row."""
    found = set()
    for window in tree.find_all(exp.Window):
        order = window.args.get("order") or exp.Order()
        terms = order.expressions
        if len(terms) < 2 or not _is_order_term(terms[-1]):
            continue
        order.set("expressions", terms[:-1])
        keys = [*(window.args.get("partition_by") or []), *(one.this for one in terms[:-1])]
        found.add(", ".join(one.sql(dialect="spark") for one in keys))
    return found


def _is_order_term(term: exp.Ordered) -> bool:
    return isinstance(term.this, exp.Column) and _is_order(term.this)
