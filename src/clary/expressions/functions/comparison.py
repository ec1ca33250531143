"""What is equal and what comes first: NaN equals NaN and comes after every other number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.expressions.function import Function
from clary.expressions.types import ANY, BOOLEAN, DOUBLE, SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable

_DOUBLES = {
    "=": "({0} == {1} or {0} != {0} and {1} != {1})",
    "<>": "({0} != {1} and ({0} == {0} or {1} == {1}))",
    "<": "({0} < {1} or {1} != {1} and {0} == {0})",
    "<=": "({0} <= {1} or {1} != {1})",
    ">": "({0} > {1} or {0} != {0} and {1} == {1})",
    ">=": "({0} >= {1} or {0} != {0})",
}
_OTHERS = {"=": "==", "<>": "!="}


def same(left: Any, right: Any) -> bool:
    """Tell whether two values are equal, NULL to NULL and NaN to NaN."""
    return bool(left == right or (left != left and right != right))  # noqa: PLR0124 - tells NaN


def _distinct(left: Any, right: Any) -> bool:
    return not same(left, right)


def _among(value: Any, *options: Any) -> bool | None:
    if value is None:
        return None
    if any(option is not None and same(value, option) for option in options):
        return True
    return None if None in options else False


def _one_of(*options: Any) -> Callable[[Any], bool]:
    return frozenset(options).__contains__


def _order(value: Any) -> tuple[bool, Any]:
    """Sort NaN, which is like no other number, last."""
    return (value != value, value)  # noqa: PLR0124 - tells NaN


def _greatest(*values: Any) -> Any:
    return max([one for one in values if one is not None], key=_order, default=None)


def _least(*values: Any) -> Any:
    return min([one for one in values if one is not None], key=_order, default=None)


def _operator(sign: str) -> tuple[Function, ...]:
    text = f"{{0}} {sign} {{1}}"
    plain = f"{{0}} {_OTHERS.get(sign, sign)} {{1}}"
    return tuple(
        Function(
            sign, (kind, kind), BOOLEAN, _DOUBLES[sign] if kind is DOUBLE else plain, text, text
        )
        for kind in SCALARS
    )


FUNCTIONS = (
    *(one for sign in _DOUBLES for one in _operator(sign)),
    Function(
        "is not distinct from",
        (ANY, ANY),
        BOOLEAN,
        same,
        "{0} IS NOT DISTINCT FROM {1}",
        "{0} <=> {1}",
        nulls="seen",
    ),
    Function(
        "is distinct from",
        (ANY, ANY),
        BOOLEAN,
        _distinct,
        "{0} IS DISTINCT FROM {1}",
        "NOT ({0} <=> {1})",
        nulls="seen",
    ),
    Function(
        "in",
        (ANY, ANY),
        BOOLEAN,
        _among,
        "{0} IN ({1*})",
        "{0} IN ({1*})",
        is_variadic=True,
        nulls="seen",
    ),
    Function(
        "greatest", (ANY,), ANY, _greatest, "", "greatest({0}, {*})", is_variadic=True, nulls="seen"
    ),
    Function("least", (ANY,), ANY, _least, "", "least({0}, {*})", is_variadic=True, nulls="seen"),
)
