"""Nodes of several outputs: a split of theirs is a node of ours for each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from clary.flows.wrangler.rules import Field, Rule
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clary.flows.model import Node

OPERATOR = "sampling.split"
Parts = dict[str, tuple[str, str]]
"""The node and the output of a file that nodes of ours are."""


def _shares(told: list[dict[str, Any]]) -> dict[str, float]:
    made = {}
    for one in told:
        name, share = one["name"], one["percentage"]
        is_share = type(share) in (int, float) and 0 <= share <= 1
        if not isinstance(name, str) or not name or name in made or not is_share or len(one) != 2:
            raise ValueError(one)
        made[name] = share
    return made


def _told_shares(shares: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"name": name, "percentage": share} for name, share in shares.items()]


RULES = (
    Rule(
        "spark.split",
        OPERATOR,
        (Field("shares", "splits", _shares, _told_shares),),
        {"operator": "Randomized split"},
        "randomized_split_parameters",
        ignored=frozenset({"error"}),  # ours are as large as was asked for, to a row
    ),
)


def outputs(node: Node) -> tuple[str, ...]:
    """Name the parts of a whole split; others have none."""
    if node.operator != OPERATOR or set(node.with_) != {"shares"}:
        return ()
    return tuple(node.with_["shares"])


def parted(node: Node) -> tuple[Node, ...]:
    """Make a node of ours for each part of a split; others stay one."""
    made = [
        structs.replace(node, id=f"{node.id}.{name}", with_={"part": name, **node.with_})
        for name in outputs(node)
    ]
    return tuple(made) or (node,)


def source(node: str, output: str, parts: Mapping[str, Sequence[str]]) -> str:
    """Name the node of ours that is an output of a file's node.

    Parameters
    ----------
    parts
        The outputs of splits, by node.

    Raises
    ------
    InvalidInput
        It is a split without such a part.
    """
    if node not in parts:
        return node
    if output not in parts[node]:
        problem = f"the split {node} has no part {output!r}"
        raise InvalidInput("output_name", problem, legal=", ".join(parts[node]))
    return f"{node}.{output}"


def whole(nodes: Iterable[Node]) -> tuple[tuple[Node, ...], Parts]:
    """Make one node again of those that are all the parts of a split, as ``parted`` named them.

    Returns
    -------
    tuple
        The nodes, in order, and what the parts are called now.
    """
    known = {one.id: one for one in nodes}
    made: dict[str, Node] = {}
    parts: Parts = {}
    for one in known.values():
        split = _split(one)
        if split is None or split.id in known or any(known.get(x.id) != x for x in parted(split)):
            made[one.id] = one
        else:
            made[split.id] = split
            parts[one.id] = (split.id, one.with_["part"])
    return tuple(made.values()), parts


def _split(node: Node) -> Node | None:
    """Give the split that a node would be a part of."""
    part, shares = node.with_.get("part"), node.with_.get("shares")
    base = node.id.removesuffix(f".{part}")
    if node.operator != OPERATOR or base in ("", node.id) or not isinstance(shares, dict):
        return None
    try:
        _shares(_told_shares(shares))
    except ValueError:
        return None
    return structs.replace(node, id=base, with_={"shares": shares})
