"""Where columns come from: from each column of a node back to those of the sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from clary.flows.plans import ready
from clary.flows.steps import Edit, Filter, Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot.lineage import Node

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow
    from clary.flows.plans import Planned
    from clary.flows.steps import Schema, Step

Origins = dict[str, frozenset[tuple[str, str]]]
"""By column, the sources' columns that its values are computed from: node and name."""


def origins(plans: Sequence[Planned]) -> dict[str, Origins]:
    """Trace the columns of every node.

    A constant comes from nothing. Which rows there are is no column's origin. Where nobody can
    tell, as with an author's own code, a column comes from every column of the inputs.

    Parameters
    ----------
    plans
        Nodes in order, each after its inputs, as ``plans.plan`` gives them.
    """
    found: dict[str, Origins] = {}
    columns: dict[str, Schema] = {}
    for one in plans:
        name = one.node.id
        columns[name] = one.columns
        if one.node.operator == "source":
            found[name] = {column: frozenset({(name, column)}) for column in one.columns}
            continue
        inputs = [found[x] for x in one.node.inputs]
        here = inputs[0] if inputs else {}
        for place, step in enumerate(one.steps):
            schemas = [columns[x] for x in one.node.inputs] if place == 0 else [{}]
            here = _after(step, here, inputs, schemas)
        found[name] = {column: here.get(column, frozenset()) for column in one.columns}
    return found


def told(flow: Flow, node: str, fitted: Fitted) -> dict[str, list[str]]:
    """Tell of each column of a node which columns it is computed from, as ``source.column``.

    Raises
    ------
    InvalidInput
        The flow has not been fitted.
    """
    found = origins(ready(flow, node, fitted))[node]
    return {
        name: sorted(f"{source}.{column}" for source, column in columns)
        for name, columns in found.items()
    }


def _after(
    step: Step, before: Origins, inputs: Sequence[Origins], schemas: Sequence[Schema]
) -> Origins:
    if isinstance(step, Filter):
        return before
    if isinstance(step, Edit):
        return {
            name: _union(before, step.made[name].columns) if name in step.made else before[name]
            for name in step.columns
        }
    if isinstance(step, Query):
        if step.record == "same" and set(step.columns) <= set(before):
            return {name: before[name] for name in step.columns}
        traced = _queried(step, inputs, schemas)
        if traced is not None:
            return traced
    every = frozenset().union(*(columns for one in inputs for columns in one.values()))
    return dict.fromkeys(step.schema({}), every)


def _union(before: Origins, names: frozenset[str]) -> frozenset[tuple[str, str]]:
    return frozenset().union(*(before[name] for name in names))


def _queried(step: Query, inputs: Sequence[Origins], schemas: Sequence[Schema]) -> Origins | None:
    """Trace a query's columns by its syntax tree; None where that does not tell."""
    if not all(schemas):
        return None
    known: dict[str, object] = {
        f"input{place}": {name: str(kind) for name, kind in one.items()}
        for place, one in enumerate(schemas)
    }
    origin = {
        (f"input{place}", name.lower()): columns
        for place, one in enumerate(inputs)
        for name, columns in one.items()
    }
    try:
        tree = qualify(
            sqlglot.parse_one(step.sql, dialect="duckdb"),
            schema=known,
            dialect="duckdb",
            validate_qualify_columns=False,
        )
        scope = build_scope(tree)
        read = {
            name.lower(): [origin[one] for one in _leaves(node)]
            for name, node in lineage(None, tree, known, dialect="duckdb", scope=scope).items()
        }
        return {name: frozenset().union(*read[name.lower()]) for name in step.columns}
    except (SqlglotError, KeyError, ValueError):
        return None


def _leaves(traced: Node) -> Iterator[tuple[str, str]]:
    """Yield the tables and columns that a column was traced back to."""
    for one in traced.walk():
        if not one.downstream and isinstance(one.source, exp.Table):
            column = exp.to_column(one.name, dialect="duckdb")
            yield one.source.name.lower(), column.name.lower()
