"""The reference page of the transforms, written from the transforms themselves."""

from __future__ import annotations

import inspect
from typing import Any

import flow_methods

from clary.flows import transforms
from clary.flows.naming import methods

_HEAD = """# Transforms
Every transform is an operator in a flow's document (`{"operator": "columns.drop", "with":
{"columns": ["id"]}}`) and a method of `clary.Flow` (`.drop("id")`). *Learns*: `fit` asks all rows
for what it needs, and keeps it as JSON.
"""


def page() -> str:
    """List every transform by group."""
    lines, group = [_HEAD], ""
    for operator, kind in transforms.catalogue().items():
        if (here := operator.partition(".")[0]) != group:
            group = here
            lines.append(f"## {group}\n")
        said = inspect.getdoc(kind) or ""
        learns = " *Learns.*" if kind.learns else ""
        lines.append(f"### {operator}\n`.{_signature(kind, methods()[operator])}`\n")
        lines.append(_plain(said).rstrip() + learns + "\n")
    return "\n".join(lines)


def _signature(kind: Any, name: str) -> str:
    given = list(flow_methods.arguments(kind))[1:]
    return f"{name}({', '.join(given)})"


def _plain(said: str) -> str:
    """Write a docstring as a page does: parameters as a list."""
    body, _, rest = said.partition("\n\nParameters\n----------\n")
    text = body.replace("``", "`")
    parameters: list[str] = []
    for line in rest.partition("\n\n")[0].splitlines() if rest else ():
        if line.startswith(" "):
            parameters[-1] += f" {line.strip()}"
        elif line:
            parameters.append(f"- `{line}`:")
    listed = "\n".join(parameters).replace("``", "`")
    return f"{text}\n\n{listed}" if listed else text
