"""Search expressions: which documents of a shape they find."""

from __future__ import annotations

import math
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

NUMBERS = ("integer", "long", "float", "double")
LOOSE = ("hyperparameter", "parameter")
"""The kinds whose values are texts or numbers."""
_SAME = {"Equals": operator.eq, "NotEquals": operator.ne}
_ORDER = {
    **_SAME,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_PAIRS = frozenset({"TagList", "FeatureParameters"})
"""Lists of ``Key`` and ``Value``."""
_TEXT: Mapping[str, Callable[[Any, Any], bool]] = {
    **_SAME,
    "Contains": operator.contains,
    "In": lambda found, wanted: found in wanted,
}
_OPERATORS: Mapping[str, Mapping[str, Callable[[Any, Any], bool]]] = {
    "string": _TEXT,
    "boolean": _SAME,
    **dict.fromkeys((*NUMBERS, "timestamp"), _ORDER),
    **{kind: {**_ORDER, **_TEXT} for kind in LOOSE},
}
_STATISTICS = ("Last", "Min", "Max", "Avg", "StdDev", "Count")
_MOST_ELEMENTS = 20
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Property:
    """A dotted name along a shape.

    Parameters
    ----------
    name
        As it was asked for.
    parts
        The members and keys on the way.
    kind
        The type at its end: a scalar's, ``structure``, ``list`` or ``map``; ``hyperparameter`` for
        texts that compare as numbers, ``parameter`` for values of either type.
    pick
        Takes the value out of what is found there; None where it holds none.
    several
        Whether a list lies on the way.
    """

    name: str
    parts: tuple[str, ...]
    kind: str
    pick: Callable[[Any], Any] | None = None
    several: bool = False

    def values(self, document: Any) -> Iterator[Any]:
        """Yield what a document has there; several where a list lies on the way."""
        held = [document]
        for part in self.parts:
            held = [found[part] for one in held for found in _items(one) if part in found]
        for one in held:
            for item in _items(one):
                value = self.pick(item) if self.pick else item
                if value is not None:
                    yield _comparable(self.kind, value)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _comparable(kind: str, value: Any) -> Any:
    if kind == "timestamp" and not isinstance(value, datetime):
        return read_time(value)
    return value


class Search:
    """Reads expressions about documents of one shape.

    Lists of keys and values are maps in the documents, so that ``Tags.team`` is a property.
    ``Metrics.<name>`` is a metric's last value, ``Metrics.<name>.Max`` another statistic of it.
    """

    def __init__(self, shapes: Mapping[str, ShapeDocument], root: str) -> None:
        self._shapes = shapes
        self._root = root

    def find(self, name: str) -> Property:
        """Find a property. Raises InvalidInput for one that the shape lacks."""
        if metric := self._metric(name):
            return metric
        shape, several = self._shapes[self._root], False
        parts: list[str] = []
        rest = name
        while rest:
            if shape["type"] == "map":
                return self._entry(name, tuple(parts), shape, rest)
            part, _, rest = rest.partition(".")
            part = self._member(shape, part) or self._refuse(name)
            reference = shape["members"][part]
            several = several or self._shapes[reference["shape"]]["type"] == "list"
            shape = self._inside(reference)
            parts.append(part)
        return Property(name, tuple(parts), shape["type"], several=several)

    def names(self) -> Iterator[str]:
        """Yield the names of the shape's own scalar properties, nested ones included."""
        pending: list[tuple[str, ShapeDocument, tuple[str, ...]]]
        pending = [("", self._shapes[self._root], (self._root,))]
        while pending:
            prefix, shape, above = pending.pop()
            for member, reference in shape.get("members", {}).items():
                inner = self._inside(reference)
                name = f"{prefix}{member}"
                if inner["type"] in _OPERATORS:
                    yield name
                elif inner["type"] == "structure" and reference["shape"] not in above:
                    pending.append((f"{name}.", inner, (*above, reference["shape"])))

    def _refuse(self, name: str) -> str:
        legal = ", ".join(self._shapes[self._root]["members"])
        raise InvalidInput("Name", f"{name!r} is no property of {self._root}", legal=legal)

    @staticmethod
    def _member(shape: ShapeDocument, part: str) -> str | None:
        """Find a member; the official SDK's own filters begin with small letters."""
        members = shape.get("members", {})
        if part in members:
            return part
        return next((name for name in members if name.lower() == part), None)

    def _inside(self, reference: ShapeDocument) -> ShapeDocument:
        if reference["shape"] in _PAIRS:
            return {"type": "map", "value": {"shape": "TagValue"}}
        shape = self._shapes[reference["shape"]]
        while shape["type"] == "list":
            shape = self._shapes[shape["member"]["shape"]]
        return shape

    def _entry(self, name: str, parts: tuple[str, ...], shape: ShapeDocument, key: str) -> Property:
        """Find an entry of a map, whose key may hold dots, or a member of the entry."""
        word, inner = shape["value"]["shape"], self._inside(shape["value"])
        if parts == ("HyperParameters",):
            return Property(name, (*parts, key), "hyperparameter")
        if inner["type"] != "structure":
            return Property(name, (*parts, key), inner["type"])
        before, _, last = key.rpartition(".")
        if before and (member := self._member(inner, last)):
            kind = self._inside(inner["members"][member])["type"]
            return Property(name, (*parts, before, member), kind)
        if word == "TrialComponentParameterValue":
            return Property(name, (*parts, key), "parameter", _parameter)
        if "Value" in inner["members"]:
            return Property(name, (*parts, key, "Value"), "string")
        return Property(name, (*parts, key), "structure")

    def _metric(self, name: str) -> Property | None:
        head, _, metric = name.partition(".")
        if head.lower() != "metrics" or not metric:
            return None
        members = self._shapes[self._root]["members"]
        if "FinalMetricDataList" in members:
            pick = _statistic(metric, "Value")
            return Property(name, ("FinalMetricDataList",), "double", pick, several=True)
        if "Metrics" not in members or self._member(self._inside(members["Metrics"]), metric):
            return None
        before, _, last = metric.rpartition(".")
        statistic = next((one for one in _STATISTICS if one.lower() == last.lower()), "")
        pick = _statistic(before, statistic) if before and statistic else _statistic(metric, "Last")
        return Property(name, ("Metrics",), "double", pick, several=True)

    def expression(self, expression: JsonObject, depth: int = 1) -> Test:
        """Compile a SearchExpression.

        Raises
        ------
        InvalidInput
            It is empty or too deep, or names a property or an operator that there is not.
        """
        if depth > _DEEPEST:
            raise InvalidInput("SubExpressions", f"over {_DEEPEST} of them in one another")
        tests = [
            *map(self._filter, expression.get("Filters", ())),
            *map(self._nested, expression.get("NestedFilters", ())),
            *(self.expression(one, depth + 1) for one in expression.get("SubExpressions", ())),
        ]
        if not 1 <= len(tests) <= _MOST_ELEMENTS:
            legal = "at least one of Filters, NestedFilters, SubExpressions"
            problem = f"it has {len(tests)} elements" if tests else "it asks for nothing"
            raise InvalidInput(
                "SearchExpression", problem, legal=f"{legal}; at most {_MOST_ELEMENTS}"
            )
        quantifier = any if expression.get("Operator") == "Or" else all
        return lambda document: quantifier(test(document) for test in tests)

    def _filter(self, asked: JsonObject, below: int = 0) -> Test:
        found = self.find(asked["Name"])
        return _test(Property(found.name, found.parts[below:], found.kind, found.pick), asked)

    def _nested(self, nested: JsonObject) -> Test:
        outer = self.find(nested["NestedPropertyName"])
        for asked in nested["Filters"]:
            if not asked["Name"].startswith(f"{outer.name}."):
                legal = f"a name that begins with {outer.name}."
                raise InvalidInput("NestedFilters", f"{asked['Name']!r} lies outside", legal=legal)
        tests = [self._filter(asked, len(outer.parts)) for asked in nested["Filters"]]
        return lambda document: any(
            all(test(one) for test in tests) for one in outer.values(document)
        )


def _parameter(entry: Mapping[str, Any]) -> Any:
    number = entry.get("NumberValue")
    return entry.get("StringValue") if number is None else number


def _statistic(metric: str, statistic: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda entry: entry.get(statistic) if entry["MetricName"] == metric else None


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
    same, wanted = "Equals" if word == "NotEquals" else word, asked["Value"]
    holds = (
        _loosely(at, same, wanted)
        if at.kind in LOOSE
        else _strictly(operators[same], _wanted(at, same, wanted))
    )
    if word == "NotEquals":
        return lambda document: not any(map(holds, at.values(document)))
    return lambda document: any(map(holds, at.values(document)))


def _strictly(compare: Callable[[Any, Any], bool], wanted: Any) -> Test:
    return lambda found: compare(found, wanted)


def _loosely(at: Property, word: str, text: str) -> Test:
    """Compare as numbers where both are; a text that is a number counts as one.

    As documented: a whole number asks for the whole part of a hyperparameter.
    """
    if word in ("Contains", "In"):
        wanted = [part.strip() for part in text.split(",")] if word == "In" else text
        return lambda found: isinstance(found, str) and _TEXT[word](found, wanted)
    number = as_number(text)
    if number is None:
        if word != "Equals":
            raise InvalidInput("Value", f"{show(text)!r} for {at.name} {word} is no number")
        return lambda found: bool(found == text)
    truncates = at.kind == "hyperparameter" and "." not in text
    compare = _ORDER[word]

    def holds(found: Any) -> bool:
        value = as_number(found)
        if value is not None and truncates and math.isfinite(value):
            value = math.trunc(value)
        return value is not None and bool(compare(value, number))

    return holds


def as_number(value: Any) -> float | None:
    """Read a number, or a text that is one; None for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _wanted(at: Property, word: str, text: str) -> Any:
    if word == "In":
        return [part.strip() for part in text.split(",")]
    kind = "double" if at.kind in NUMBERS else at.kind
    try:
        return TEXT_READERS[kind](text)
    except Mismatch as mismatch:
        problem = f"{show(text)!r} for {at.name}: {mismatch}"
        raise InvalidInput("Value", problem) from None
