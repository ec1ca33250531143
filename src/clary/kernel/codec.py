"""Documents in and out: typed values from JSON and back, with errors that name the place."""

from __future__ import annotations

import hashlib
import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from clary.kernel.errors import InvalidInput

T = TypeVar("T")
_PLACE = re.compile(r"(.*) - at (?:`key` in )?`\$\.?(.*)`")
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")


def build(kind: type[T], document: Any, *, field: str = "") -> T:
    """Read a JSON-able document as ``kind`` (a dataclass or msgspec struct).

    Raises
    ------
    InvalidInput
        A member is missing, of the wrong type or none of its legal words; names its path below
        ``field``.
    """
    try:
        return msgspec.convert(document, kind, strict=False)
    except msgspec.ValidationError as error:
        match = _PLACE.fullmatch(str(error))
        problem, place = match.groups() if match else (str(error), "")
        path = ".".join(part for part in (field, place) if part)
        raise InvalidInput(path, problem, legal=_words_at(kind, place, problem)) from None


def _words_at(kind: type, place: str, problem: str) -> str:
    """Name the words that are legal where another was found; empty where any text is.

    Of a place that holds members by name, their names are meant.
    """
    is_member = problem.startswith("Object contains unknown field")
    if not is_member and not problem.startswith("Invalid enum value"):
        return ""
    found = _options(inspect.type_info(kind))
    for step in _STEP.findall(place):
        found = [option for one in found for option in _inside(one, step)]
    if is_member:
        kinds = [one for one in found if isinstance(one, inspect.StructType)]
        return ", ".join(field.encode_name for one in kinds for field in one.fields)
    named = [one.key_type if isinstance(one, inspect.DictType) else one for one in found]
    return ", ".join(
        str(word) for one in named if isinstance(one, inspect.LiteralType) for word in one.values
    )


def _inside(outer: inspect.Type, step: str) -> list[inspect.Type]:
    match outer:
        case inspect.StructType(fields=fields) | inspect.DataclassType(fields=fields):
            inner = [field.type for field in fields if field.encode_name == step]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            inner = [item]
        case inspect.DictType(value_type=item):
            inner = [item]
        case _:
            inner = []
    return [option for one in inner for option in _options(one)]


def _options(one: inspect.Type) -> list[inspect.Type]:
    return list(one.types) if isinstance(one, inspect.UnionType) else [one]


def plain(value: Any) -> Any:
    """Turn dataclasses, structs and datetimes into JSON-able builtins."""
    return msgspec.to_builtins(value)


def to_json(value: Any) -> bytes:
    """Encode as compact JSON."""
    return msgspec.json.encode(value)


def from_json(data: bytes | str, *, field: str = "") -> Any:
    """Decode JSON. Raises InvalidInput naming ``field`` when it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(field, f"not valid JSON: {error}") from None


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON-able value, independent of the order of its keys.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
