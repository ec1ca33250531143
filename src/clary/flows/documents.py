"""Flows as documents: JSON in and out, checked as a graph."""

from __future__ import annotations

import graphlib
import json
import re
from typing import Any

import msgspec

from clary.flows.model import MOST_NODES, VERSION, Flow, Node
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, LimitExceeded

LARGEST = 16 << 20
_NAME = re.compile(r"[^\0\ud800-\udfff]+")


def read(document: Any) -> Flow:
    """Read a flow from its document: JSON, or what JSON gives.

    Nodes come in an order in which each stands after its inputs.

    Raises
    ------
    InvalidInput
        It is no flow: names the node, and what is wrong with it.
    LimitExceeded
        It is too large.
    """
    if isinstance(document, str | bytes):
        if len(document) > LARGEST:
            raise LimitExceeded(f"a flow has at most {LARGEST} bytes")
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise InvalidInput("flow", f"is no JSON: {error}") from None
    flow = build(Flow, document, field="flow")
    if flow.version != VERSION:
        raise InvalidInput("flow.version", f"{flow.version}", legal=str(VERSION))
    return checked(flow)


def checked(flow: Flow) -> Flow:
    """Check the graph of a flow, and put its nodes in order.

    Raises
    ------
    InvalidInput
        Two nodes have one name, whatever the case; an input is no node; nodes wait for one
        another.
    LimitExceeded
        It has more than 1,000 nodes.
    """
    if len(flow.nodes) > MOST_NODES:
        raise LimitExceeded(f"a flow has at most {MOST_NODES} nodes; this has {len(flow.nodes)}")
    named = _named(flow.nodes)
    order = graphlib.TopologicalSorter({node.id: node.inputs for node in flow.nodes})
    try:
        ids = list(order.static_order())
    except graphlib.CycleError as error:
        circle = " → ".join(error.args[1])
        raise InvalidInput("flow.nodes", f"nodes wait for one another: {circle}") from None
    if ids == [node.id for node in flow.nodes]:
        return flow
    return msgspec.structs.replace(flow, nodes=tuple(named[one] for one in ids))


def _named(nodes: tuple[Node, ...]) -> dict[str, Node]:
    named: dict[str, Node] = {}
    taken: set[str] = set()
    for node in nodes:
        if not _NAME.fullmatch(node.id):
            raise InvalidInput("flow.nodes", f"{node.id!r} is no name of a node")
        if node.id.lower() in taken:
            raise InvalidInput("flow.nodes", f"two nodes are called {node.id!r}")
        named[node.id] = node
        taken.add(node.id.lower())
    for node in nodes:
        for one in set(node.inputs).difference(named):
            problem = f"the node {node.id} takes the rows of {one!r}, which is no node"
            raise InvalidInput("flow.nodes", problem)
    return named


def write(flow: Flow) -> str:
    """Write a flow as JSON that people read and compare line by line."""
    return json.dumps(msgspec.to_builtins(flow), indent=2, ensure_ascii=False) + "\n"
