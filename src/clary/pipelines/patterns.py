"""Event patterns: which events a rule is about, as EventBridge writes it.

A pattern is an object of the event's members; each leaf is a list of which one has to hold. A
member of the event that is a list holds when one of its elements does.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FIELD = "EventPattern"
_LONGEST = 4096
_OR = "$or"
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_ABSENT = object()


def parse_pattern(text: str) -> dict[str, Any]:
    """Read a pattern.

    Raises
    ------
    InvalidInput
        It is no JSON, too long, or no pattern; names the member.
    """
    if len(text.encode()) > _LONGEST:
        raise InvalidInput(FIELD, f"{len(text)} characters", legal=f"at most {_LONGEST}")
    pattern = from_json(text, field=FIELD)
    _check(pattern, FIELD)
    found: dict[str, Any] = pattern
    return found


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Say whether an event is one that a pattern means.

    Examples
    --------
    >>> event = {"source": "aws.sagemaker", "detail": {"ModelApprovalStatus": "Approved"}}
    >>> matches({"detail": {"ModelApprovalStatus": [{"prefix": "App"}]}}, event)
    True
    """
    inside = event if isinstance(event, dict) else {}
    for name, wanted in pattern.items():
        if name == _OR and isinstance(wanted, list):
            holds = any(matches(one, event) for one in wanted)
        elif isinstance(wanted, dict):
            values = _elements(inside.get(name))
            holds = any(matches(wanted, value) for value in values or [None])
        else:
            holds = _one_holds(wanted, inside.get(name, _ABSENT))
        if not holds:
            return False
    return True


def _one_holds(wanted: Sequence[Any], value: Any) -> bool:
    values = _elements(value)
    return any(_holds(one, values) for one in wanted)


def _elements(value: Any) -> list[Any]:
    if value is _ABSENT:
        return []
    return value if isinstance(value, list) else [value]


def _holds(one: Any, values: list[Any]) -> bool:
    if isinstance(one, dict):
        kind, operand = next(iter(one.items()))
        if kind == "exists":
            there = any(not isinstance(value, dict) for value in values)
            return there is operand
        return any(_TESTS[kind](operand, value) for value in values)
    return any(_same(one, value) for value in values)


def _same(one: Any, value: Any) -> bool:
    if isinstance(one, bool) or isinstance(value, bool):
        return one is value
    return bool(one == value)


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    """Make a test of texts, of which ``{"equals-ignore-case": …}`` ignores the case."""

    def holds(operand: Any, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        if isinstance(operand, dict):
            return test(value.casefold(), operand["equals-ignore-case"].casefold())
        return test(value, operand)

    return holds


def _anything_but(operand: Any, value: Any) -> bool:
    if isinstance(operand, dict):
        kind, inner = next(iter(operand.items()))
        words = inner if isinstance(inner, list) else [inner]
        return isinstance(value, str) and not any(_TESTS[kind](word, value) for word in words)
    words = operand if isinstance(operand, list) else [operand]
    return not any(_same(word, value) for word in words)


def _numeric(operand: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    pairs = zip(operand[::2], operand[1::2], strict=True)
    return all(_ORDERS[order](value, number) for order, number in pairs)


def _wildcard(operand: Any, value: Any) -> bool:
    """Match ``*`` with any text, greedily from left to right: linear in both texts."""
    if not isinstance(value, str):
        return False
    first, *middle = operand.split("*")
    if not middle:
        return bool(value == operand)
    last = middle.pop()
    if not value.startswith(first) or len(value) < len(first) + len(last):
        return False
    position, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return bool(value.endswith(last))


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "prefix": _text(str.startswith),
    "suffix": _text(str.endswith),
    "equals-ignore-case": lambda operand, value: (
        isinstance(value, str) and value.casefold() == operand.casefold()
    ),
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
}


def _check(pattern: Any, place: str) -> None:
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidInput(place, "is no object with members")
    for name, wanted in pattern.items():
        inner = f"{place}.{name}"
        if isinstance(wanted, dict):
            _check(wanted, inner)
            continue
        if not isinstance(wanted, list) or not wanted:
            raise InvalidInput(inner, "is no list with elements", legal='like ["Approved"]')
        check_one = _check if name == _OR else _check_one
        for index, one in enumerate(wanted):
            check_one(one, f"{inner}[{index}]")


def _check_one(one: Any, place: str) -> None:
    if isinstance(one, list):
        raise InvalidInput(place, "is a list", legal="a value, or an object like {'prefix': 'a'}")
    if not isinstance(one, dict):
        return
    kinds = ", ".join((*_TESTS, "exists"))
    if len(one) != 1 or next(iter(one)) not in (*_TESTS, "exists"):
        raise InvalidInput(place, f"{', '.join(one)} is no test", legal=f"one of {kinds}")
    kind, operand = next(iter(one.items()))
    if not _LEGAL[kind](operand):
        raise InvalidInput(f"{place}.{kind}", f"{operand!r:.200} is nothing to compare with")


def _is_text(operand: Any) -> bool:
    return isinstance(operand, str)


def _is_text_or_caseless(operand: Any) -> bool:
    caseless = isinstance(operand, dict) and list(operand) == ["equals-ignore-case"]
    return _is_text(operand["equals-ignore-case"] if caseless else operand)


def _is_negatable(operand: Any) -> bool:
    if isinstance(operand, dict):
        kind, inner = next(iter(operand.items()), ("", None))
        words = inner if isinstance(inner, list) else [inner]
        texts = ("prefix", "suffix", "equals-ignore-case", "wildcard")
        return len(operand) == 1 and kind in texts and bool(words) and all(map(_is_text, words))
    words = operand if isinstance(operand, list) else [operand]
    return bool(words) and all(isinstance(word, str | int | float) for word in words)


def _is_numeric(operand: Any) -> bool:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return False
    numbers = [n for n in operand[1::2] if isinstance(n, int | float) and not isinstance(n, bool)]
    orders = [order for order in operand[::2] if isinstance(order, str) and order in _ORDERS]
    return len(numbers) == len(orders) == len(operand) // 2


_LEGAL: Mapping[str, Callable[[Any], bool]] = {
    "prefix": _is_text_or_caseless,
    "suffix": _is_text_or_caseless,
    "equals-ignore-case": _is_text,
    "wildcard": _is_text,
    "anything-but": _is_negatable,
    "numeric": _is_numeric,
    "exists": lambda operand: isinstance(operand, bool),
}
