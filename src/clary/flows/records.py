"""Flows over one record: a compiled function, without DuckDB."""

from __future__ import annotations

import datetime as dt
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from clary.expressions import compile_all, compile_steps, parse
from clary.expressions.types import quoted
from clary.flows.steps import Edit, Filter, Query
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from clary.expressions import Expression, Type
    from clary.flows.model import Node
    from clary.flows.plans import Planned
    from clary.flows.steps import Schema

Record = Callable[[Sequence[Any]], tuple[Any, ...] | None]
"""From the values of a record, in the order of the source, to those of the node; None: dropped."""
_CLASSES: dict[str, type | tuple[type, ...]] = {
    "bigint": int,
    "double": float,
    "varchar": str,
    "boolean": bool,
    "date": dt.date,
    "timestamp": dt.datetime,
    "timestamptz": dt.datetime,
    "list": (list, tuple),
    "struct": dict,
}


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a node does to a record: a condition, or all columns anew."""

    node: Node
    columns: tuple[str, ...]
    made: Expression | dict[str, Expression]


def compiled(plans: Sequence[Planned]) -> Record:
    """Compile a chain of nodes from one source to one function.

    The function raises InvalidInput for a record that cannot be computed; names node and column.

    Raises
    ------
    NotSupported
        A node needs more than one record; names it.
    """
    source = plans[0].columns
    stages = _stages(plans)
    function = compile_steps(tuple(source), [one.made for one in stages])

    def run(row: Sequence[Any]) -> tuple[Any, ...] | None:
        try:
            return function(row)
        except (InvalidInput, TypeError, ValueError, AttributeError, OverflowError):
            _check(source, row)
            _retrace(stages, row)
            raise

    return run


def _stages(plans: Sequence[Planned]) -> list[_Stage]:
    schema, stages = plans[0].columns, []
    for before, one in pairwise(plans):
        problem = f"the node {one.node.id} ({one.node.operator}) needs more than one record"
        if one.node.inputs != (before.node.id,):
            raise NotSupported(problem)
        for step in one.steps:
            if isinstance(step, Query) and step.record == "same":
                continue
            if not isinstance(step, Edit | Filter):
                raise NotSupported(problem)
            made = step.condition if isinstance(step, Filter) else _whole(step, schema)
            stages.append(_Stage(one.node, tuple(schema), made))
            schema = step.schema(schema)
    return stages


def _whole(step: Edit, schema: Schema) -> dict[str, Expression]:
    return {
        one: step.made[one] if one in step.made else parse(quoted(one), schema)
        for one in step.columns
    }


def _check(schema: Schema, row: Sequence[Any]) -> None:
    """Find the first value of a record that is of no type of its column. Raises InvalidInput."""
    if len(row) != len(schema):
        raise InvalidInput("record", f"has {len(row)} values", legal=f"{len(schema)}")
    for (name, kind), value in zip(schema.items(), row, strict=True):
        if value is not None and not fits(kind, value):
            raise InvalidInput(f"record, column {name}", told(value), legal=str(kind))


def told(value: Any) -> str:
    """Say what a value is, and shorten it."""
    if not isinstance(value, dt.datetime) or value != value:  # noqa: PLR0124 - NaT is not itself
        return f"{reprlib.repr(value)} is a {type(value).__name__}"
    return f"{value} is a datetime with{'' if value.tzinfo else 'out'} a time zone"


def fits(kind: Type, value: Any) -> bool:
    """Say whether a value, and what is in it, is of a type; missing values are of any."""
    if value is None:
        return True
    if isinstance(value, bool):
        return kind.name == "boolean"
    if not isinstance(value, _CLASSES.get(kind.name, object)):
        return False
    if isinstance(value, list | tuple) and kind.item is not None:
        return all(fits(kind.item, one) for one in value)
    if isinstance(value, dict):
        return all(fits(one, value.get(name)) for name, one in kind.fields)
    return not isinstance(value, dt.date) or _is_time(kind, value)


def _is_time(kind: Type, value: dt.date) -> bool:
    """Say whether a date or time is of a type: with a zone or without, and no ``NaT``."""
    if not isinstance(value, dt.datetime):
        return kind.name == "date"
    has_zone = value.tzinfo is not None
    return value == value and kind.name == ("timestamptz" if has_zone else "timestamp")  # noqa: PLR0124 - NaT is not itself


def _retrace(stages: Sequence[_Stage], row: Sequence[Any]) -> None:
    """Go the way again, a column at a time, to where it fails. Raises InvalidInput."""
    for stage in stages:
        named = {"condition": stage.made} if not isinstance(stage.made, dict) else stage.made
        found = [_value(stage, name, one, row) for name, one in named.items()]
        if isinstance(stage.made, dict):
            row = found


def _value(stage: _Stage, name: str, made: Expression, row: Sequence[Any]) -> Any:
    try:
        return compile_all((made,), stage.columns)(row)[0]
    except InvalidInput as error:
        place = f"node {stage.node.id} ({stage.node.operator}), column {name}"
        raise InvalidInput(place, error.message, hint=error.hint) from None
