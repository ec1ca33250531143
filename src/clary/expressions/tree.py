"""A checked expression: columns, constants, and calls of functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clary.expressions.function import Function
    from clary.expressions.types import Type


@dataclass(frozen=True)
class Column:
    """The value of a column."""

    name: str
    type: Type
    fails: bool = False
    depth: int = 1
    size: int = 1


@dataclass(frozen=True)
class Constant:
    """A value."""

    value: Any
    type: Type
    fails: bool = False
    depth: int = 1
    size: int = 1


@dataclass(frozen=True)
class Call:
    """The value of a function; ``fails`` tells whether it, or one below it, may raise."""

    function: Function
    arguments: tuple[Node, ...]
    type: Type
    fails: bool
    depth: int
    size: int


Node = Column | Constant | Call


def call(function: Function, arguments: tuple[Node, ...], kind: Type) -> Call:
    """Make a call."""
    return Call(
        function,
        arguments,
        kind,
        function.fails or any(one.fails for one in arguments),
        1 + max((one.depth for one in arguments), default=0),
        1 + sum(one.size for one in arguments),
    )


def columns(node: Node) -> frozenset[str]:
    """Name the columns that a tree reads."""
    if isinstance(node, Column):
        return frozenset((node.name,))
    if isinstance(node, Constant):
        return frozenset()
    return frozenset().union(*(columns(one) for one in node.arguments))
