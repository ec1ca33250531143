"""Search expressions: which documents of a shape they find."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clary.doors.wire.scalars import TEXT_READERS, Mismatch, read_time, show
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clary.doors.wire.model import ShapeDocument
    from clary.kernel.ports import JsonObject

    Test = Callable[[Any], bool]

_SAME = {"Equals": operator.eq, "NotEquals": operator.ne}
_ORDER = {
    **_SAME,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_TEXT = {**_SAME, "Contains": operator.contains, "In": lambda found, wanted: found in wanted}
_OPERATORS: Mapping[str, Mapping[str, Callable[[Any, Any], bool]]] = {
    "string": _TEXT,
    "boolean": _SAME,
    **dict.fromkeys(("integer", "long", "float", "double", "timestamp"), _ORDER),
}


@dataclass(frozen=True, slots=True)
class Property:
    """A dotted name along a shape.

    ``kind`` is the type at its end: a scalar's, or ``structure``, ``list`` or ``map``.
    """

    name: str
    parts: tuple[str, ...]
    kind: str

    def values(self, document: Any) -> Iterator[Any]:
        """Yield what a document has there; several where a list lies on the way."""
        held = [document]
        for part in self.parts:
            held = [found[part] for one in held for found in _items(one) if part in found]
        for one in held:
            for value in _items(one):
                yield _comparable(self.kind, value)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _comparable(kind: str, value: Any) -> Any:
    if kind == "timestamp" and not isinstance(value, datetime):
        return read_time(value)
    return value


class Search:
    """Reads expressions about documents of one shape.

    The shape's ``Tags`` are a map in the documents, so that ``Tags.team`` is a property.
    """

    def __init__(self, shapes: Mapping[str, ShapeDocument], root: str) -> None:
        self._shapes = shapes
        self._root = root

    def find(self, name: str) -> Property:
        """Find a property. Raises InvalidInput for one that the shape lacks."""
        shape = self._shapes[self._root]
        parts: list[str] = []
        rest = name
        while rest:
            part, _, rest = rest.partition(".")
            if shape["type"] == "map":
                part, rest = (f"{part}.{rest}" if rest else part), ""
                shape = self._inside(shape["value"])
            elif shape["type"] == "structure" and part in shape["members"]:
                shape = self._inside(shape["members"][part])
            else:
                legal = ", ".join(self._shapes[self._root]["members"])
                raise InvalidInput("Name", f"{name!r} is no property of {self._root}", legal=legal)
            parts.append(part)
        return Property(name, tuple(parts), shape["type"])

    def _inside(self, reference: ShapeDocument) -> ShapeDocument:
        if reference["shape"] == "TagList":
            return {"type": "map", "value": {"shape": "TagValue"}}
        shape = self._shapes[reference["shape"]]
        while shape["type"] == "list":
            shape = self._shapes[shape["member"]["shape"]]
        return shape

    def expression(self, expression: JsonObject) -> Test:
        """Compile a SearchExpression.

        Raises
        ------
        InvalidInput
            It is empty, or names a property or an operator that there is not.
        """
        tests = [
            *map(self._filter, expression.get("Filters", ())),
            *map(self._nested, expression.get("NestedFilters", ())),
            *map(self.expression, expression.get("SubExpressions", ())),
        ]
        if not tests:
            legal = "at least one of Filters, NestedFilters, SubExpressions"
            raise InvalidInput("SearchExpression", "it asks for nothing", legal=legal)
        quantifier = any if expression.get("Operator") == "Or" else all
        return lambda document: quantifier(test(document) for test in tests)

    def _filter(self, asked: JsonObject, below: str = "") -> Test:
        found = self.find(asked["Name"])
        parts = found.parts[below.count(".") + 1 :] if below else found.parts
        return _test(Property(found.name, parts, found.kind), asked)

    def _nested(self, nested: JsonObject) -> Test:
        outer = self.find(nested["NestedPropertyName"])
        for asked in nested["Filters"]:
            if not asked["Name"].startswith(f"{outer.name}."):
                legal = f"a name that begins with {outer.name}."
                raise InvalidInput("NestedFilters", f"{asked['Name']!r} lies outside", legal=legal)
        tests = [self._filter(asked, outer.name) for asked in nested["Filters"]]
        return lambda document: any(
            all(test(one) for test in tests) for one in outer.values(document)
        )


def _test(at: Property, asked: JsonObject) -> Test:
    word = asked.get("Operator", "Equals")
    if word in ("Exists", "NotExists"):
        return lambda document: any(True for _ in at.values(document)) == (word == "Exists")
    operators = _OPERATORS.get(at.kind, {})
    if word not in operators:
        legal = ", ".join((*operators, "Exists", "NotExists"))
        raise InvalidInput("Operator", f"{word!r} of the {at.kind} {at.name}", legal=legal)
    if "Value" not in asked:
        raise InvalidInput("Value", f"missing for {at.name} {word}")
    wanted = _wanted(at, word, asked["Value"])
    if word == "NotEquals":
        return lambda document: wanted not in at.values(document)
    compare = operators[word]
    return lambda document: any(compare(found, wanted) for found in at.values(document))


def _wanted(at: Property, word: str, text: str) -> Any:
    if word == "In":
        return [part.strip() for part in text.split(",")]
    kind = "double" if at.kind in ("integer", "long", "float") else at.kind
    try:
        return TEXT_READERS[kind](text)
    except Mismatch as mismatch:
        problem = f"{show(text)!r} for {at.name}: {mismatch}"
        raise InvalidInput("Value", problem) from None
