"""Flows that grow: a node more, two flows as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from clary.flows.documents import checked
from clary.flows.fitted import Fitted, digest
from clary.flows.model import Flow, Node

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

EMPTY = Flow(())


def grown(flow: Flow, node: Node) -> tuple[Flow, str]:
    """Add a node; gives its name, which is ``node.id``, or that with a number.

    Raises
    ------
    InvalidInput
        It takes the rows of a node that there is not.
    """
    name = free(node.id, {one.id for one in flow.nodes})
    made = structs.replace(node, id=name)
    return checked(structs.replace(flow, nodes=(*flow.nodes, made))), name


def free(name: str, taken: Collection[str]) -> str:
    """Give a name, or that name with the first number that is not taken, in whatever case.

    Examples
    --------
    >>> free("drop", {"drop", "drop_2"})
    'drop_3'
    """
    found, number, used = name, 1, {one.lower() for one in taken}
    while found.lower() in used:
        number += 1
        found = f"{name}_{number}"
    return found


def renamed(flow: Flow, fitted: Fitted, names: Mapping[str, str]) -> tuple[Flow, Fitted]:
    """Call nodes otherwise; what they have learned stays theirs."""
    called = {one.id: names.get(one.id, one.id) for one in flow.nodes}
    nodes = tuple(
        structs.replace(one, id=called[one.id], inputs=tuple(called[x] for x in one.inputs))
        for one in flow.nodes
    )
    kept = {
        after.id: structs.replace(learned, of=digest(after))
        for before, after in zip(flow.nodes, nodes, strict=True)
        if (learned := fitted.learned(before)) is not None
    }
    return checked(structs.replace(flow, nodes=nodes)), Fitted(kept)


def merged(
    flow: Flow, other: Flow, fitted: Fitted, *, apart: Collection[str] = ()
) -> tuple[Flow, Fitted, Mapping[str, str]]:
    """Put the nodes of another flow beside those of a flow.

    Equal nodes are one; others of a name that is taken get another name.

    Parameters
    ----------
    fitted
        What the other has learned.
    apart
        Nodes of the other that are no node of the flow, though they look like one.

    Returns
    -------
    tuple
        The whole, what the other has learned by its nodes' new names, and those names.
    """
    present = {one.id: one for one in flow.nodes}
    names: dict[str, str] = {}
    shared: set[str] = set()
    for one in other.nodes:
        inside = all(x in shared for x in one.inputs)
        if inside and one.id not in apart and present.get(one.id) == one:
            shared.add(one.id)
            names[one.id] = one.id
        else:
            names[one.id] = free(one.id, {*present, *names.values()})
    moved, learned = renamed(other, fitted, names)
    more = tuple(one for one in moved.nodes if one.id not in shared)
    parameters = {**other.parameters, **flow.parameters}
    whole = structs.replace(flow, nodes=(*flow.nodes, *more), parameters=parameters)
    return checked(whole), learned, names
