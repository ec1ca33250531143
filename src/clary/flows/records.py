"""Flows over one record: a compiled function, without DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from clary.expressions import compile_all, parse
from clary.expressions.types import quoted
from clary.flows.steps import Edit, Filter, Query
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from clary.flows.plans import Planned
    from clary.flows.steps import Schema, Step

Record = Callable[[Sequence[Any]], tuple[Any, ...] | None]
"""From the values of a record, in the order of the source, to those of the node; None: dropped."""


def compiled(plans: Sequence[Planned]) -> Record:
    """Compile a chain of nodes from one source.

    Raises
    ------
    NotSupported
        A node needs more than one record; names it.
    """
    schema, made = plans[0].columns, []
    for one in plans[1:]:
        for step in one.steps:
            if isinstance(step, Query) and step.record == "same":
                continue
            if not isinstance(step, Edit | Filter):
                problem = f"the node {one.node.id} ({one.node.operator}) needs more than one record"
                raise NotSupported(problem)
            made.append(_function(step, schema))
            schema = step.schema(schema)

    def run(row: Sequence[Any]) -> tuple[Any, ...] | None:
        for function in made:
            found = function(row)
            if found is None:
                return None
            row = found
        return tuple(row)

    return run


def _function(step: Step, schema: Schema) -> Record:
    names = tuple(schema)
    if isinstance(step, Filter):
        test = compile_all((step.condition,), names)
        return lambda row: tuple(row) if test(row)[0] else None
    if not isinstance(step, Edit):
        raise TypeError(step)
    kept = {name: parse(quoted(name), schema) for name in step.columns if name not in step.made}
    return compile_all([step.made.get(one) or kept[one] for one in step.columns], names)
