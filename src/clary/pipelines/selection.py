"""Selective execution: a few steps run, what they read comes from an earlier execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn
from clary.kernel.resource import Resource
from clary.pipelines.state import row_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.pipelines.model import Definition, Step

    Get = Callable[[Ref], Resource | None]

_FIELD = "SelectiveExecutionConfig"
_SHARED = ("type", "display_name", "description", "arguments", "job", "ended_at")
_RESULT = ("properties", "files", "metadata", "branch", "reason", "attempt")


def check_selected(definition: Definition, names: Sequence[str]) -> None:
    """Refuse names that are no steps, or are given twice. Raises InvalidInput."""
    if not names:
        raise InvalidInput(f"{_FIELD}.SelectedSteps", "is empty")
    for place, name in enumerate(names):
        field = f"{_FIELD}.SelectedSteps.{place}.StepName"
        if name not in definition.steps:
            legal = ", ".join(list(definition.steps)[:20])
            raise InvalidInput(field, f"no step {name!r}", legal=legal)
        if name in names[:place]:
            raise InvalidInput(field, f"{name!r} is given twice")


def reused(
    steps: Mapping[str, Step], names: Sequence[str], source: Ref | None, get: Get
) -> list[Resource]:
    """Find the results that the selected steps read from steps that are not selected.

    Parameters
    ----------
    steps
        The whole definition's.
    names
        The selected steps.
    source
        The execution whose results are reused, if there is one.
    get
        Reads a resource.

    Raises
    ------
    InvalidInput
        A result that is needed is not there; names both steps.
    """
    needed = {
        other: name for name in names for other in sorted(steps[name].reads) if other not in names
    }
    found = []
    for other, name in needed.items():
        place = f"{_FIELD}.SelectedSteps"
        problem = f"{name!r} reads the result of {other!r}, which is not selected"
        if source is None:
            raise InvalidInput(place, f"{problem}, and there is no earlier execution to take it of")
        row = get(row_ref(source, other))
        if row is None or row.status != "Succeeded":
            was = "did not run" if row is None else f"is {row.status}"
            hint = "select it too, or name a SourcePipelineExecutionArn in which it succeeded"
            raise InvalidInput(place, f"{problem} and {was} in {arn(source)}", hint=hint)
        found.append(row)
    return found


def copied(row: Resource, execution: Resource) -> Resource:
    """Write a step of another execution as one of this, which has its result."""
    name = row.ref.name.rpartition("/")[2]
    source = row.body.get("selected_from") or row.ref.name.rpartition("/")[0]
    body = {member: row.body.get(member) for member in (*_SHARED, *_RESULT)}
    at = execution.created_at
    return Resource(
        row_ref(execution.ref, name),
        {**body, "attempt": body["attempt"] or 0, "selected_from": source},
        at,
        at,
        "Succeeded",
        execution.ref,
    )
