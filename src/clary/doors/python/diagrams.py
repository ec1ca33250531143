"""A pipeline's definition as a Mermaid flowchart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.pipelines.model import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.pipelines.model import Step

_SHAPES = {"Condition": ("{{", "}}"), "Fail": ("([", "])"), "RegisterModel": ("[(", ")]")}
_LABELS = {"IfSteps": "yes", "ElseSteps": "no"}


def mermaid(definition: str) -> str:
    """Draw the steps of a definition, and what each waits for.

    Examples
    --------
    >>> print(mermaid('{"Version": "2020-12-01", "Steps": [{"Name": "a", "Type": "Model"}]}'))
    flowchart TD
        s0["a"]
    """
    steps = parse(definition).steps
    ids = {name: f"s{number}" for number, name in enumerate(steps)}
    lines = [f"    {ids[name]}{_shape(step)}" for name, step in steps.items()]
    for step in steps.values():
        lines += [f"    {line}" for line in _edges(step, ids)]
    return "\n".join(["flowchart TD", *lines])


def _shape(step: Step) -> str:
    before, after = _SHAPES.get(step.type, ("[", "]"))
    return f'{before}"{step.name}"{after}'


def _edges(step: Step, ids: dict[str, str]) -> Iterator[str]:
    for name, id_ in ids.items():
        if name in step.dependencies:
            label = f"|{_LABELS[step.branch]}|" if name == step.condition else ""
            yield f"{id_} -->{label} {ids[step.name]}"
