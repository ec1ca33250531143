"""What a flow is: nodes, each with an operator, its parameters, and where its rows come from."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from clary.kernel.errors import InvalidInput

VERSION = 1
MOST_NODES = 1000


class Node(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"with_": "with"}
):
    """A node of a flow.

    Parameters
    ----------
    id
        Its name within the flow.
    operator
        What it does: ``source``, ``destination``, ``analysis.…``, or the name of a transform.
    with_
        The parameters of its operator.
    inputs
        The nodes whose rows it takes, in order.
    title
        What people call it.
    """

    id: str
    operator: str
    with_: dict[str, Any] = {}
    inputs: tuple[str, ...] = ()
    title: str = ""


class Parameter(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A parameter of a flow: texts of nodes may hold it as ``{{name}}``."""

    default: str | float | int | None = None
    type: Literal["string", "number", "datetime", "pattern"] = "string"


class Flow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A flow; make one with ``documents.read`` or ``clary.Flow``."""

    nodes: tuple[Node, ...]
    parameters: dict[str, Parameter] = {}
    version: int = VERSION

    def node(self, name: str) -> Node:
        """Find a node. Raises InvalidInput."""
        for one in self.nodes:
            if one.id == name:
                return one
        known = ", ".join(one.id for one in self.nodes[:20])
        raise InvalidInput("node", f"the flow has no node {name!r}", legal=known)

    def until(self, name: str) -> tuple[Node, ...]:
        """Give a node and all it needs, each after its inputs."""
        wanted = {name}
        for one in reversed(self.nodes):
            if one.id in wanted:
                wanted.update(one.inputs)
        return tuple(one for one in self.nodes if one.id in wanted)
