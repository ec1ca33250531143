"""Whether a definition can run: known types, references that lead somewhere, an order."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput, NotSupported
from clary.pipelines.expressions import is_expression, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.kernel.steps import StepKind
    from clary.pipelines.expressions import Reference
    from clary.pipelines.model import Definition, Step

    KnownProperty = Callable[[str, Sequence[str | int]], None]

_HINTS = {
    "AutoML": "use a Tuning step over the algorithms to compare",
    "EMR": "run the program in a Processing step",
    "EMRServerless": "run the program in a Processing step",
}
_MOST_NAMES = 20
_KNOWN_ELSEWHERE = frozenset({"AutoML", "EMR", "EMRServerless", "InferenceComponent"})


def check(definition: Definition, kinds: Mapping[str, StepKind], known: KnownProperty) -> None:
    """Refuse a definition that cannot run.

    Parameters
    ----------
    definition
        What is to run.
    kinds
        The step kind of each type that is offered.
    known
        Refuses a path that no step of a type ever has.

    Raises
    ------
    InvalidInput
        Names the step, the member and what is legal.
    NotSupported
        A step is of a type that this platform does not offer.
    """
    for step in definition.steps.values():
        _check_type(step, kinds)
        for dependency in step.depends_on:
            _check_step_exists(definition, dependency, f"Steps.{step.name}.DependsOn")
        for reference in step.references:
            _check_reference(definition, step, reference, known)
    _check_branches(definition, _order(definition))
    for step in definition.steps.values():
        _check_kind(step, kinds[step.type])


def _check_kind(step: Step, kind: StepKind) -> None:
    try:
        kind.check(step.document)
    except InvalidInput as error:
        place = f"Steps.{step.name}.{error.field}"
        raise InvalidInput(place, error.problem, legal=error.legal, hint=error.hint) from None
    except NotSupported as error:
        raise NotSupported(f"Steps.{step.name}: {error.message}", hint=error.hint) from None


def _check_type(step: Step, kinds: Mapping[str, StepKind]) -> None:
    if step.type in kinds:
        return
    offered = ", ".join(sorted(kinds))
    if step.type in _KNOWN_ELSEWHERE:
        raise NotSupported(
            f"Steps.{step.name}.Type: steps of type {step.type} are not offered",
            hint=_HINTS.get(step.type, f"offered: {offered}"),
        )
    raise InvalidInput(f"Steps.{step.name}.Type", f"no type {step.type!r}", legal=offered)


def _check_step_exists(definition: Definition, name: str, place: str) -> None:
    if name not in definition.steps:
        names = list(definition.steps)
        legal = ", ".join([*names[:_MOST_NAMES], *(["…"] if len(names) > _MOST_NAMES else [])])
        raise InvalidInput(place, f"no step {name!r}", legal=legal)


def _check_reference(
    definition: Definition, step: Step, reference: Reference, known: KnownProperty
) -> None:
    get, place = reference.get, reference.place
    if get.root == "Parameters" and get.name not in definition.parameters:
        legal = ", ".join(definition.parameters) or "none is defined"
        raise InvalidInput(place, f"no parameter {get.name!r}", legal=legal)
    if get.root == "Execution" and get.name.endswith("JobName"):
        kind = get.name.removesuffix("JobName")
        if step.type != kind:
            raise InvalidInput(place, f"{get.text} has a value only in {kind} steps")
    if get.root == "Steps":
        _check_step_exists(definition, get.name, place)
        _check_property(definition.steps[get.name], reference, known)


def _check_property(target: Step, reference: Reference, known: KnownProperty) -> None:
    get, place = reference.get, reference.place
    if get.path[0] != "PropertyFiles":
        try:
            known(target.type, get.path)
        except InvalidInput as error:
            problem = f"{get.text} leads nowhere: {error.problem}"
            raise InvalidInput(place, problem, legal=error.legal) from None
        _check_path(target, reference)
    elif not reference.as_file:
        raise InvalidInput(place, f"{get.text} can be read only by Std:JsonGet")
    elif get.file not in target.files:
        legal = ", ".join(target.files) or "none is declared"
        raise InvalidInput(place, f"step {target.name!r} has no file {get.file!r}", legal=legal)


def _check_path(target: Step, reference: Reference) -> None:
    """Follow the path through the target's own arguments, as far as they say what will be there."""
    outputs = target.document.get("OutputParameters")
    value: Any = {**target.arguments, **({"OutputParameters": outputs} if outputs else {})}
    for key in reference.get.path:
        if isinstance(value, list):
            _check_element(value, key, reference)
            value = next((x for x in value if name_of(x) == key), None)
        elif isinstance(value, dict) and not is_expression(value):
            value = value.get(str(key))
        else:
            return


def _check_element(items: list[Any], key: str | int, reference: Reference) -> None:
    problem = f"{reference.get.text} leads nowhere"
    if isinstance(key, int):
        if key >= len(items):
            legal = f"an index below {len(items)}"
            raise InvalidInput(reference.place, problem, legal=legal)
        return
    names = [name_of(item) for item in items]
    if key not in names and all(isinstance(name, str) for name in names):
        raise InvalidInput(reference.place, problem, legal=", ".join(names) or "it is empty")


def _order(definition: Definition) -> list[str]:
    graph = {name: step.dependencies for name, step in definition.steps.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        path = " → ".join(reversed(cycle))
        raise InvalidInput(f"Steps.{cycle[0]}", f"waits for itself: {path}") from None


def _check_branches(definition: Definition, order: list[str]) -> None:
    """Refuse a step that needs, by way of its dependencies, both branches of one condition."""
    needed: dict[str, frozenset[tuple[str, str]]] = {}
    for name in order:
        step = definition.steps[name]
        own = {(step.condition, step.branch)} if step.condition else set()
        needs = frozenset(own).union(*(needed[other] for other in step.dependencies))
        branches = dict(needs)
        if len(branches) < len(needs):
            both = next(one for one, branch in needs if branches[one] != branch)
            problem = f"can never run: it needs steps of both branches of {both!r}"
            raise InvalidInput(f"Steps.{name}", problem)
        needed[name] = needs
