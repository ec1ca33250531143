"""Every function there is, and which of them a call means."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from clary.expressions.functions import (
    arithmetic,
    casts,
    comparison,
    dates,
    documents,
    hashing,
    logic,
    maths,
    nested,
    patterns,
    tables,
    text,
    words,
    zones,
)
from clary.expressions.tree import Column, Constant, Node, call
from clary.expressions.types import ANY, BIGINT, DOUBLE, NULL, VARCHAR, Type, shared, widens
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.expressions.function import Function

FAMILIES = (
    arithmetic,
    comparison,
    logic,
    maths,
    text,
    patterns,
    dates,
    zones,
    nested,
    casts,
    hashing,
    tables,
    words,
    documents,
)
_BY_NAME: dict[str, list[Function]] = {}
for _family in FAMILIES:
    for _function in _family.FUNCTIONS:
        _BY_NAME.setdefault(_function.name, []).append(_function)
_BY_NAME["try_cast"] = list(casts.TRIED)
NAMES = (*(name for name in _BY_NAME if name.isidentifier()), "lookup", "min_hash")


def overloads(name: str) -> Sequence[Function]:
    """Return the functions of a name. Raises InvalidInput naming the nearest one."""
    found = _BY_NAME.get(name)
    if found is None:
        raise InvalidInput(
            "expression", f"{name} is not a function of this language; {nearest(name, NAMES)}"
        )
    return found


def nearest(word: str, known: Sequence[str]) -> str:
    """Name the known word that looks most like another, or all of them."""
    near = difflib.get_close_matches(word, known, 1, cutoff=0.5)
    return f"the nearest there is: {near[0]}" if near else f"there are: {', '.join(known)}"


def call_of(name: str, arguments: Sequence[Node]) -> Node:
    """Call the function of a name that fits the arguments best.

    Raises
    ------
    InvalidInput
        There is none of that name, or none for these arguments.
    """
    return apply(choose(name, overloads(name), arguments), arguments)


def choose(name: str, among: Sequence[Function], arguments: Sequence[Node]) -> Function:
    """Find the function that needs the fewest conversions. Raises InvalidInput."""
    kinds = tuple(one.type for one in arguments)
    fitting = [(cost, one) for one in among if (cost := _cost(one, kinds)) is not None]
    if not fitting:
        is_number = any(one in (BIGINT, DOUBLE) for one in kinds)
        hint = "TRY_CAST(x AS DOUBLE) makes a number of a text, or NULL"
        raise InvalidInput(
            "expression",
            f"{name} does not take ({', '.join(map(_told, arguments))})",
            legal="; ".join(one.signature for one in among),
            hint=hint if VARCHAR in kinds and is_number else "",
        )
    return min(fitting, key=lambda pair: pair[0])[1]


def _told(argument: Node) -> str:
    if isinstance(argument, Column):
        return f"{argument.name}: {argument.type}"
    if isinstance(argument, Constant):
        return f"{str(argument.value)[:40]}: {argument.type}"
    return str(argument.type)


def _cost(function: Function, kinds: tuple[Type, ...]) -> int | None:
    wanted = _wanted(function, kinds)
    if wanted is None or not all(map(widens, kinds, wanted)):
        return None
    return sum(have not in (want, NULL) for have, want in zip(kinds, wanted, strict=True))


def _wanted(function: Function, kinds: tuple[Type, ...]) -> tuple[Type, ...] | None:
    """Say what the arguments must be, with the types that the ANYs share put in."""
    takes = function.parameters(len(kinds))
    if takes is None:
        return None
    common = _common(takes, kinds)
    if common is None:
        return None
    return tuple(
        common if want == ANY else Type("list", common) if want.item == ANY else want
        for want in takes
    )


def _common(takes: tuple[Type, ...], kinds: tuple[Type, ...]) -> Type | None:
    found = []
    for want, have in zip(takes, kinds, strict=True):
        if want == ANY:
            found.append(have)
        elif want.item == ANY:
            found.append(NULL if have == NULL else have.item or ANY)
    return shared(found)


def apply(function: Function, arguments: Sequence[Node]) -> Node:
    """Call a function, its arguments converted to what it takes. Raises InvalidInput."""
    kinds = tuple(one.type for one in arguments)
    wanted = _wanted(function, kinds) or kinds
    given = tuple(map(converted, arguments, wanted))
    common = _common(function.parameters(len(kinds)) or (), kinds) or NULL
    kind = function.result(common)
    if function.nulls == "strict" and any(_is_null(one) for one in given):
        return Constant(None, kind)
    _check_constants(function, given)
    return call(function, given, kind)


def _check_constants(function: Function, given: tuple[Node, ...]) -> None:
    values = []
    for place in function.constants:
        one = given[place]
        if not isinstance(one, Constant):
            raise InvalidInput(
                "expression", f"argument {place + 1} of {function.name} must be a constant"
            )
        values.append(one.value)
    if function.check is not None:
        function.check(*values)


def _is_null(node: Node) -> bool:
    return isinstance(node, Constant) and node.value is None


def converted(node: Node, kind: Type, *, name: str = "cast") -> Node:
    """Convert a value, a constant at once. Raises InvalidInput where there is no such way."""
    if node.type == kind:
        return node
    if _is_null(node):
        return Constant(None, kind)
    among = [one for one in overloads(name) if one.takes == (node.type,)]
    function = next((one for one in among if one.gives == kind), None)
    if function is None and name == "try_cast":
        return converted(node, kind)
    if function is None:
        legal = ", ".join(str(one.gives) for one in among)
        raise InvalidInput("expression", f"{node.type} does not turn into {kind}", legal=legal)
    if isinstance(node, Constant) and callable(function.run):
        return Constant(function.run(node.value), kind)
    return call(function, (node,), kind)
