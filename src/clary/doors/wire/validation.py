"""Checks parameters against the model, and names everything that is wrong at once, as AWS does."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from clary.doors.wire import model
from clary.doors.wire.patterns import TooCostly, compile_pattern
from clary.doors.wire.scalars import show
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from clary.doors.wire.model import Operation, ShapeDocument
    from clary.doors.wire.patterns import Pattern

    Check = Callable[[Any], "list[Violation] | None"]

_MOST_SHOWN = 100
_NUMBERS = ("integer", "long", "float", "double")


class Violation:
    """One broken constraint; ``path`` grows outwards as containers pass it on."""

    __slots__ = ("constraint", "path", "value")

    def __init__(self, value: str, constraint: str) -> None:
        self.value = value
        self.constraint = constraint
        self.path: list[str] = []

    def __str__(self) -> str:
        """Say it in AWS's words."""
        place = ".".join(reversed(self.path))
        return f"Value {self.value} at '{place}' failed to satisfy constraint: {self.constraint}"


def _shown(value: Any, shape: ShapeDocument) -> str:
    if shape.get("sensitive"):
        return "(hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{show(value)}'"


def _first_low(name: str) -> str:
    return name[:1].lower() + name[1:]


def _moved(found: list[Violation], part: str) -> list[Violation]:
    for violation in found:
        violation.path.append(part)
    return found


class Validator:
    """Checks the shapes of one service.

    Parameters
    ----------
    strict
        False: length, enum and pattern are not checked.
    """

    def __init__(self, service: str, *, strict: bool) -> None:
        self._shapes = model.service(service).shapes
        self._strict = strict
        self._checks: dict[str, Check | None] = {}

    def validate(self, operation: Operation, params: dict[str, Any]) -> None:
        """Refuse parameters that break the operation's constraints.

        Raises
        ------
        InvalidInput
            Lists every violation: the member, its value, and what it must be.
        """
        check = self._check(operation.input) if operation.input else None
        found = check(params) if check else None
        if found:
            count = len(found)
            lines = [str(violation) for violation in found[:_MOST_SHOWN]]
            if count > _MOST_SHOWN:
                lines.append(f"and {count - _MOST_SHOWN} more")
            plural = "s" if count > 1 else ""
            raise InvalidInput("", f"{count} validation error{plural} detected: {'; '.join(lines)}")

    def _check(self, name: str) -> Check | None:
        if name not in self._checks:
            self._checks[name] = self._compile(self._shapes[name])
        return self._checks[name]

    def _compile(self, shape: ShapeDocument) -> Check | None:
        kind = shape["type"]
        match kind:
            case "structure":
                return None if shape.get("document") else self._structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
            case "string":
                return self._string(shape)
            case "blob":
                return self._length(shape)
        return _range(shape) if kind in _NUMBERS else None

    def _structure(self, shape: ShapeDocument) -> Check:
        required = tuple(shape.get("required", ()))
        table: dict[str, Check | None] = {}

        def check(value: dict[str, Any]) -> list[Violation] | None:
            if not table:
                table.update(
                    (name, self._check(member["shape"]))
                    for name, member in shape["members"].items()
                )
            found = []
            for name in required:
                if name not in value:
                    missing = [Violation("null", "Member must not be null")]
                    found += _moved(missing, _first_low(name))
            for name, item in value.items():
                inner = table[name]
                if inner is not None and (bad := inner(item)):
                    found += _moved(bad, _first_low(name))
            if shape.get("union") and len(value) != 1:
                found.append(_one_of(shape, value))
            return found

        return check

    def _list(self, shape: ShapeDocument) -> Check:
        length = self._length(shape)

        def check(value: list[Any]) -> list[Violation] | None:
            inner = self._check(shape["member"]["shape"])
            found = length(value) or [] if length else []
            for number, item in enumerate(value, 1):
                if item is None:
                    missing = [Violation("null", "Member must not be null")]
                    found += _moved(missing, f"{number}.member")
                elif inner is not None and (bad := inner(item)):
                    found += _moved(bad, f"{number}.member")
            return found

        return check

    def _map(self, shape: ShapeDocument) -> Check:
        length = self._length(shape)

        def check(value: dict[str, Any]) -> list[Violation] | None:
            outer, inner = self._check(shape["key"]["shape"]), self._check(shape["value"]["shape"])
            found = length(value) or [] if length else []
            for key, item in value.items():
                if outer is not None and (bad := outer(key)):
                    found += [_key_violation(violation) for violation in bad]
                if inner is not None and (bad := inner(item)):
                    found += _moved(bad, f"{show(key)}.member")
            return found

        return check

    def _length(self, shape: ShapeDocument) -> Check | None:
        low, high = shape.get("min", 0), shape.get("max")
        if not self._strict or (not low and high is None):
            return None

        def check(value: Sized) -> list[Violation] | None:
            size = len(value)
            if size < low:
                words = f"Member must have length greater than or equal to {low}"
                return [Violation(_shown(value, shape), words)]
            if high is not None and size > high:
                words = f"Member must have length less than or equal to {high}"
                return [Violation(_shown(value, shape), words)]
            return None

        return check

    def _string(self, shape: ShapeDocument) -> Check | None:
        if not self._strict:
            return None
        checks = [self._length(shape)]
        if "pattern" in shape:
            checks.append(_pattern(shape, compile_pattern(shape["pattern"])))
        if "enum" in shape:
            checks.append(_enum(shape))
        return _all([check for check in checks if check is not None])


def _all(checks: list[Check]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any) -> list[Violation] | None:
        found: list[Violation] | None = None
        for inner in checks:
            if bad := inner(value):
                found = [*(found or ()), *bad]
        return found

    return check


def _pattern(shape: ShapeDocument, pattern: Pattern) -> Check:
    words = f"Member must satisfy regular expression pattern: {pattern.source}"
    matches = pattern.matches

    def check(value: str) -> list[Violation] | None:
        try:
            if matches(value):
                return None
        except TooCostly:
            raise InvalidInput(
                "", f"1 validation error detected: {Violation(_shown(value, shape), words)}"
            ) from None
        return [Violation(_shown(value, shape), words)]

    return check


def _enum(shape: ShapeDocument) -> Check:
    legal = frozenset(shape["enum"])
    words = f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]"

    def check(value: str) -> list[Violation] | None:
        return None if value in legal else [Violation(_shown(value, shape), words)]

    return check


def _range(shape: ShapeDocument) -> Check | None:
    low, high = shape.get("min"), shape.get("max")
    if low is None and high is None:
        return None

    def check(value: float) -> list[Violation] | None:
        if low is not None and value < low:
            words = f"Member must have value greater than or equal to {low}"
        elif high is not None and value > high:
            words = f"Member must have value less than or equal to {high}"
        else:
            return None
        return [Violation(_shown(value, shape), words)]

    return check


def _one_of(shape: ShapeDocument, value: dict[str, Any]) -> Violation:
    names = ", ".join(shape["members"])
    return Violation(
        f"'[{', '.join(value)}]'", f"Member must have exactly one of its members set: [{names}]"
    )


def _key_violation(violation: Violation) -> Violation:
    constraint = f"Map keys must satisfy constraint: [{violation.constraint}]"
    return Violation(violation.value, constraint)


@functools.cache
def validator(service: str, *, strict: bool) -> Validator:
    """Return the validator of a service."""
    return Validator(service, strict=strict)
