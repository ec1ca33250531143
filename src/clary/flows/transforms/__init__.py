"""The transforms, a module a group; ``named`` finds one by its operator."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from clary.flows.transform import Transform
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.flows.model import Node

_MODULES = (
    "balance",
    "columns",
    "combine",
    "custom",
    "dates",
    "encode",
    "grouping",
    "missing",
    "nested",
    "numeric",
    "outliers",
    "parse",
    "rows",
    "sampling",
    "search",
    "series",
    "strings",
    "text",
    "timeseries",
    "validate",
    "vectors",
)


@cache
def catalogue() -> dict[str, type[Transform]]:
    """Name every transform by its operator, in order."""
    found = {}
    for module in _MODULES:
        here = import_module(f"{__name__}.{module}")
        for kind in vars(here).values():
            if isinstance(kind, type) and issubclass(kind, Transform) and "operator" in vars(kind):
                found[kind.operator] = kind
    return dict(sorted(found.items()))


def of(node: Node) -> Transform:
    """Make the transform of a node.

    Raises
    ------
    InvalidInput
        Its operator is none, or its parameters do not fit; names the node.
    """
    kind = catalogue().get(node.operator)
    if kind is None:
        told = node.with_.get("operator")
        problem = f"the node {node.id} has the operator {node.operator!r}, which is none known here"
        if isinstance(told, str):  # in a file of Data Wrangler, this says which it is
            problem = f"{problem} with the parameters of {told!r}"
        near = get_close_matches(node.operator, catalogue(), cutoff=0.3)
        raise InvalidInput("operator", problem, legal=f"those of the reference, {', '.join(near)}")
    if not node.inputs or len(node.inputs) != (kind.takes or len(node.inputs)):
        problem = f"the node {node.id} has {len(node.inputs)} inputs"
        raise InvalidInput("inputs", problem, legal=f"{kind.takes or 'some'} for {node.operator}")
    return build(kind, node.with_, field=f"{node.id}.with")
