"""Where columns come from: from each column of a node back to those of the sources."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from clary.flows.plans import ready
from clary.flows.steps import Edit, Filter, Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow
    from clary.flows.plans import Planned
    from clary.flows.steps import Schema, Step

Origins = dict[str, frozenset[tuple[str, str]]]
"""By column, the sources' columns that its values are computed from: node and name."""

KEPT = "columns.json"
"""The file that is kept beside a feature group, and tells which column came from which."""


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
        queries = import_module("clary.flows.query_origins")  # SQLGlot's optimizer takes 0.1 s
        traced: Origins | None = queries.traced(step, inputs, schemas)
        if traced is not None:
            return traced
    every = frozenset().union(*(columns for one in inputs for columns in one.values()))
    return dict.fromkeys(step.schema({}), every)


def _union(before: Origins, names: frozenset[str]) -> frozenset[tuple[str, str]]:
    return frozenset().union(*(before[name] for name in names))
