"""How Python's types say what a feature is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import JsonObject

_KINDS = {int: "Integral", float: "Fractional", str: "String"}
_COLLECTIONS = {list: "List", set: "Set"}
_LEGAL = "int, float, str, list or set of one of them, Annotated[list[float], length]"


def definition(name: str, kind: Any) -> JsonObject:
    """Write a feature as the public API has it.

    Raises
    ------
    InvalidInput
        The type says no feature; names it.

    Examples
    --------
    >>> definition("age", int)
    {'FeatureName': 'age', 'FeatureType': 'Integral'}
    >>> definition("tags", list[str])
    {'FeatureName': 'tags', 'FeatureType': 'String', 'CollectionType': 'List'}
    """
    if get_origin(kind) is Annotated:
        return _vector(name, *get_args(kind))
    inner = get_args(kind)
    one = inner[0] if len(inner) == 1 else kind
    found = _KINDS.get(one) if isinstance(one, type) else None
    collection = _COLLECTIONS.get(get_origin(kind)) if inner else None
    if found is None or (inner and collection is None):
        raise _illegal(name, kind)
    made: JsonObject = {"FeatureName": name, "FeatureType": found}
    return {**made, "CollectionType": collection} if collection else made


def _vector(name: str, of: Any, *said: Any) -> JsonObject:
    if of != list[float] or len(said) != 1 or type(said[0]) is not int:
        raise _illegal(name, Annotated[of, said])
    return {
        "FeatureName": name,
        "FeatureType": "Fractional",
        "CollectionType": "Vector",
        "CollectionConfig": {"VectorConfig": {"Dimension": said[0]}},
    }


def _illegal(name: str, kind: Any) -> InvalidInput:
    return InvalidInput(name, f"{kind!r} says no feature", legal=_LEGAL)


def definitions(features: Mapping[str, Any], identifier: str, event_time: str) -> list[JsonObject]:
    """Write the features of a group; the identifier and event time are text unless said."""
    named = {identifier: str, event_time: str, **features}
    return [definition(name, kind) for name, kind in named.items()]
