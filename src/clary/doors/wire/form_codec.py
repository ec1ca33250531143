"""Query-protocol forms to parameters: ``Tags.member.1.Key=a`` read along the shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from clary.doors.wire.scalars import TEXT_READERS, Mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.model import ShapeDocument

    Tree = dict[str, Any]

_MOST_FIELDS = 10_000
_DEEPEST = 64
_LEAF = "."  # no part of a name split at dots


def parse(body: bytes) -> dict[str, str]:
    """Read a form. Raises Mismatch when it is none."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise Mismatch(f"The body is not a form: {error}") from None
    return dict(pairs)


def _tree(form: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for key, value in form.items():
        parts = key.split(".")
        if len(parts) > _DEEPEST:
            raise Mismatch(f"The form is nested deeper than {_DEEPEST} members")
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[_LEAF] = value
    return root


class FormReader:
    """Reads forms as parameters: known members only, types checked."""

    def __init__(self, shapes: Mapping[str, ShapeDocument]) -> None:
        self._shapes = shapes

    def read(self, name: str, form: Mapping[str, str]) -> Any:
        """Read a form as a shape. Raises Mismatch."""
        return self._structure(self._shapes[name], _tree(form))

    def _value(self, name: str, node: Tree) -> Any:
        shape = self._shapes[name]
        match shape["type"]:
            case "structure":
                return self._structure(shape, node)
            case "list":
                return self._list(shape, node)
            case "map":
                return self._map(shape, node)
        if _LEAF not in node:
            raise Mismatch(f"Expected a {shape['type']}, not members of one")
        return TEXT_READERS[shape["type"]](node[_LEAF])

    def _structure(self, shape: ShapeDocument, node: Tree) -> dict[str, Any]:
        result = {}
        for name, member in shape["members"].items():
            tag = member.get("locationName", name)
            target = self._shapes[member["shape"]]
            if target["type"] == "list" and target.get("flattened"):
                tag = target["member"].get("locationName", tag)
            if tag in node:
                try:
                    result[name] = self._value(member["shape"], node[tag])
                except Mismatch as mismatch:
                    mismatch.path.append(name)
                    raise
        return result

    def _list(self, shape: ShapeDocument, node: Tree) -> list[Any]:
        if not shape.get("flattened"):
            node = node.get(shape["member"].get("locationName", "member"), {})
        result: list[Any] = []
        try:
            result.extend(
                self._value(shape["member"]["shape"], node[index]) for index in _indices(node)
            )
        except Mismatch as mismatch:
            mismatch.path.append(f"{len(result) + 1}.member")
            raise
        return result

    def _map(self, shape: ShapeDocument, node: Tree) -> dict[str, Any]:
        if not shape.get("flattened"):
            node = node.get("entry", {})
        key_tag = shape["key"].get("locationName", "key")
        value_tag = shape["value"].get("locationName", "value")
        result = {}
        for index in _indices(node):
            entry = node[index]
            key = entry.get(key_tag, {}).get(_LEAF)
            if key is None or value_tag not in entry:
                raise Mismatch(f"Entry {index} lacks {key_tag} or {value_tag}")
            result[key] = self._value(shape["value"]["shape"], entry[value_tag])
        return result


def _indices(node: Tree) -> list[str]:
    numbers = (key for key in node if key.isascii() and key.isdigit() and len(key) < 10)
    return sorted(numbers, key=int)
