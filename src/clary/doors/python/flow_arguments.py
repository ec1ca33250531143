"""Arguments of a flow's methods, as its document has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin

import msgspec

from clary.flows import transforms
from clary.flows.model import Node
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

Tables = Mapping[str, Any]
"""Rows by the name of their source: frames, lists of records, paths."""


def node(operator: str, given: Mapping[str, Any]) -> Node:
    """Make the node that a method adds; a name may stand for a list of one, and a list for names.

    Raises
    ------
    InvalidInput
        An argument does not fit; names it.
    """
    kind = transforms.catalogue()[operator]
    hints = {one.encode_name: one.type for one in msgspec.structs.fields(kind)}
    listed = {name: _listed(one, hints[name]) for name, one in given.items()}
    made = build(kind, listed, field=operator)
    return Node(operator.partition(".")[2], operator, made.chosen())


def _listed(value: Any, hint: Any) -> Any:
    match value:
        case str() if get_origin(hint) is tuple:
            return (value,)
        case (list() as names,) if hint == tuple[str, ...]:
            return names
    return value


def by_source(sources: Any, known: Tables, names: tuple[str, ...]) -> Tables:
    """Join rows that are given to those at hand.

    Raises
    ------
    InvalidInput
        They have no names; says how the sources are called.
    """
    if sources is None:
        return known
    if not isinstance(sources, Mapping):
        legal = f"rows by the name of their source: {{{names[0]!r}: rows}}"
        raise InvalidInput("sources", f"is a {type(sources).__name__}", legal=legal)
    return {**known, **sources}
