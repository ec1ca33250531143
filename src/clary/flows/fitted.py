"""What a flow has learned: plain JSON, beside the flow, readable and comparable."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from clary.expressions import type_named
from clary.flows.transforms import catalogue
from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.flows.model import Node
    from clary.flows.steps import Schema


class Learned(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one node has learned.

    Parameters
    ----------
    of
        The digest of its operator, parameters and inputs; another node's state does not fit it.
    columns
        Names and types of the columns it gives, in order.
    state
        What its transform learned.
    """

    of: str
    columns: tuple[tuple[str, str], ...]
    state: dict[str, Any] = {}

    @property
    def schema(self) -> Schema:
        """Names and types of its columns."""
        return {name: type_named(kind) for name, kind in self.columns}


class Fitted(Struct, frozen=True, forbid_unknown_fields=True):
    """What every node of a flow has learned, by node."""

    nodes: dict[str, Learned]

    def learned(self, node: Node) -> Learned | None:
        """Give what a node has learned; None where it has not, or has changed since."""
        found = self.nodes.get(node.id)
        return found if found is not None and found.of == digest(node) else None


NOTHING = Fitted({})


def digest(node: Node) -> str:
    """Digest what a node's state depends on: operator, inputs, parameters but those by default."""
    kind, given = catalogue().get(node.operator), node.with_
    if kind is not None:
        with suppress(InvalidInput):  # it is told where the node is planned
            given = build(kind, given).chosen()
    told = json.dumps([node.operator, given, node.inputs], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def finite(state: dict[str, Any]) -> dict[str, Any]:
    """Give back what was learned, which JSON must hold.

    Raises
    ------
    InvalidInput
        It holds numbers that are not finite.
    """
    try:
        json.dumps(state, allow_nan=False)
    except ValueError:
        problem = "what is learned of them is not finite: they are infinite, or too far apart"
        raise InvalidInput("rows", problem, hint="limit the numbers before") from None
    return state


def learned(node: Node, schema: Schema, state: dict[str, Any]) -> Learned:
    """Note what a node has learned."""
    columns = tuple((name, str(kind)) for name, kind in schema.items())
    return Learned(digest(node), columns, state)


def read(text: str | bytes) -> Fitted:
    """Read a state from JSON. Raises InvalidInput."""
    return build(Fitted, from_json(text, field="fitted"), field="fitted")


def write(fitted: Fitted) -> str:
    """Write a state as JSON, one value a line."""
    return json.dumps(msgspec.to_builtins(fitted), indent=1, ensure_ascii=False) + "\n"
