"""Lists and structs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.expressions.function import Function
from clary.expressions.functions.comparison import same
from clary.expressions.functions.spark_texts import plainly, whole
from clary.expressions.types import ANY, BIGINT, BOOLEAN, LIST, VARCHAR, Type, ticked
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _item(values: Sequence[Any] | None, place: int | None) -> Any:
    if values is None or not place or abs(place) > len(values):
        return None
    return values[place - 1] if place > 0 else values[place]


def _contains(values: Sequence[Any], wanted: Any) -> bool:
    return any(one is not None and same(one, wanted) for one in values)


def _position(values: Sequence[Any] | None, wanted: Any) -> int | None:
    if values is None:
        return None
    for place, one in enumerate(values, 1):
        if (one is None) == (wanted is None) and same(one, wanted):
            return place
    return None


def _list(*values: Any) -> list[Any]:
    return list(values)


def _field(name: str) -> Callable[[Mapping[str, Any] | None], Any]:
    return lambda struct: None if struct is None else struct[name]


def field_of(struct: Type, name: str) -> Function:
    """Make the function that takes a field of a struct. Raises InvalidInput for unknown ones."""
    found = [(known, kind) for known, kind in struct.fields if known.lower() == name.lower()]
    if not found:
        legal = ", ".join(known for known, _ in struct.fields) or "none: it is no struct"
        raise InvalidInput("expression", f"{struct} has no field {name}", legal=legal)
    known, kind = found[0]
    return Function(
        "field",
        (struct, VARCHAR),
        kind,
        lambda _: _field(known),
        "struct_extract({0}, {1})",
        None if "{" in known else f"{{0}}.{ticked(known)}",
        nulls="seen",
        constants=(1,),
    )


_ITEM = f"CASE WHEN {{1}} <> 0 THEN try_element_at({{0}}, {whole('{1}')}) END"
_CONTAINS = (
    "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN coalesce(array_contains({*}), FALSE) END"
)
FUNCTIONS = (
    Function(
        "[]",
        (LIST, BIGINT),
        ANY,
        _item,
        "{0}[{1}]",
        plainly("try_element_at({0}, %s)", _ITEM),
        nulls="seen",
    ),
    Function("list_value", (ANY,), LIST, _list, spark="array({*})", is_variadic=True, nulls="seen"),
    Function("length", (LIST,), BIGINT, len, spark="CAST(size({0}) AS BIGINT)"),
    Function("len", (LIST,), BIGINT, len, spark="CAST(size({0}) AS BIGINT)"),
    Function("list_contains", (LIST, ANY), BOOLEAN, _contains, spark=_CONTAINS),
    Function(
        "list_position",
        (LIST, ANY),
        BIGINT,
        _position,
        "CAST(list_position({*}) AS BIGINT)",
        None,
        nulls="seen",
    ),
)
