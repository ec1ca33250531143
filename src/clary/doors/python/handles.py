"""What stands for a value while a pipeline is being defined: it is known only when it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from clary.doors.python.declared import Declared
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.python.tracing import Call, Trace
    from clary.kernel.ports import JsonObject

_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LATER = "its value is known only when the pipeline runs"


class Value:
    """Something known only when the pipeline runs; comparing it gives a condition."""

    trace: Trace
    declared: Declared

    def operand(self) -> Any:
        """Return the expression that conditions and texts read it by; InvalidInput without one."""
        raise NotImplementedError

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: within an object or a closure, nobody would put the value there."""
        hint = "pass it as an argument: alone, or in a list, a tuple or a dict whose keys are texts"
        self._refuse("hidden in another object", hint)

    def _refuse(self, doing: str, hint: str) -> NoReturn:
        raise InvalidInput(f"{self!r}", f"cannot be {doing}: {_LATER}", hint=hint)

    def __eq__(self, other: object) -> Test:  # type: ignore[override]  # a condition, not a truth
        return self._compare("Equals", other)

    def __ne__(self, other: object) -> Test:  # type: ignore[override]  # a condition, not a truth
        return ~self._compare("Equals", other)

    def __lt__(self, other: Any) -> Test:
        return self._compare("LessThan", other)

    def __le__(self, other: Any) -> Test:
        return self._compare("LessThanOrEqualTo", other)

    def __gt__(self, other: Any) -> Test:
        return self._compare("GreaterThan", other)

    def __ge__(self, other: Any) -> Test:
        return self._compare("GreaterThanOrEqualTo", other)

    __hash__ = object.__hash__

    def is_in(self, choices: list[Any]) -> Test:
        """Say whether it equals one of some values."""
        values = [_operand(self.trace, one) for one in choices]
        condition = {"Type": "In", "QueryValue": self.operand(), "Values": values}
        return Test(self.trace, (condition,), _subject(self))

    def _compare(self, kind: str, other: object) -> Test:
        sides = {"LeftValue": self.operand(), "RightValue": _operand(self.trace, other)}
        return Test(self.trace, ({"Type": kind, **sides},), _subject(self))

    def __bool__(self) -> bool:  # noqa: PLE0304 - there is no truth to return
        self._refuse("a truth", "use `with clary.when(...)`, or decide inside a step")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("looped over", "declare `-> tuple[A, B]` for several results")

    def __len__(self) -> int:  # noqa: PLE0303 - there is no length to return
        self._refuse("counted", "count inside a step")

    def __add__(self, _: object) -> NoReturn:
        self._refuse("computed with", "compute inside a step")

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
    __floordiv__ = __mod__ = __pow__ = __add__

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} has no {name}: {_LATER}")

    def __format__(self, spec: str) -> str:
        """Stand in a text for the value to come; see ``Trace.text``."""
        if spec:
            self._refuse(f"formatted as {spec!r}", "write it without a format")
        self.operand()
        return self.trace.mark(self)

    def __str__(self) -> str:
        return format(self)


def _operand(trace: Trace, value: object) -> Any:
    if isinstance(value, Value):
        trace.own(value)
        return value.operand()
    if isinstance(value, str | int | float | bool):
        return value
    legal = "a text, a number, a truth, a parameter or a value of a step's JSON result"
    raise InvalidInput("condition", f"cannot compare with {value!r}", legal=legal)


def _subject(value: Value) -> str:
    return value.call.name if isinstance(value, Output | Item) else "value"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Test:
    """A condition: all of its parts hold. Combine with ``&``, ``|`` and ``~``."""

    trace: Trace
    conditions: tuple[JsonObject, ...]
    subject: str

    def __and__(self, other: Test) -> Test:
        return Test(self.trace, self.conditions + other.conditions, self.subject)

    def __or__(self, other: Test) -> Test:
        either = {"Type": "Or", "Conditions": [self._one(), other._one()]}
        return Test(self.trace, (either,), self.subject)

    def __invert__(self) -> Test:
        return Test(self.trace, ({"Type": "Not", "Condition": self._one()},), self.subject)

    def __bool__(self) -> bool:
        problem = f"cannot decide while the pipeline is being defined: {_LATER}"
        hint = "use `with clary.when(...)`; combine conditions with &, | and ~"
        raise InvalidInput("condition", problem, hint=hint)

    def _one(self) -> JsonObject:
        """Write it as a single condition: of several, not (not this or not that)."""
        if len(self.conditions) == 1:
            return self.conditions[0]
        negated = [{"Type": "Not", "Condition": one} for one in self.conditions]
        return {"Type": "Not", "Condition": {"Type": "Or", "Conditions": negated}}


class Parameter(Value):
    """A parameter of the pipeline; ``kind`` is its type in the definition."""

    def __init__(self, trace: Trace, name: str, kind: str, declared: Declared) -> None:
        self.trace = trace
        self.name = name
        self.kind = kind
        self.declared = declared

    def operand(self) -> Any:
        """Read the parameter."""
        return {"Get": f"Parameters.{self.name}"}

    def __repr__(self) -> str:
        return f"parameter {self.name}"


class Output(Value):
    """A result of a step."""

    def __init__(self, call: Call, name: str, declared: Declared) -> None:
        self.trace = call.trace
        self.call = call
        self.name = name
        self.declared = declared

    def uri(self) -> JsonObject:
        """Read where the result is stored: an S3 prefix."""
        outputs = f"Steps.{self.call.name}.ProcessingOutputConfig.Outputs"
        return {"Get": f"{outputs}['{self.name}'].S3Output.S3Uri"}

    def operand(self) -> Any:
        """Read a number or text; of larger JSON only items have one."""
        if self.declared.form == "scalar":
            return self.json_get(("value",))
        self._need_json()
        return self._refuse("compared whole", f"take an item of it: {self.call.name}['key']")

    def json_get(self, path: tuple[str | int, ...]) -> JsonObject:
        """Read a member of the stored JSON, which the step keeps for that."""
        self.call.kept.add(self.name)
        file = {"Get": f"Steps.{self.call.name}.PropertyFiles.{self.name}"}
        return {"Std:JsonGet": {"PropertyFile": file, "Path": _path_text(path)}}

    def __getitem__(self, key: str | int) -> Item:
        self._need_json()
        return Item(self, (key,))

    def _need_json(self) -> None:
        if self.declared.form not in {"scalar", "json"}:
            raise InvalidInput(
                f"{self!r}",
                f"it declares to return {self.declared}, which no condition or text can read",
                legal="a step that declares JSON: -> dict, -> list, -> float, -> str, …",
            )

    def __repr__(self) -> str:
        return f"{self.name} of step {self.call.name}"


class Item(Value):
    """A member of a step's JSON result."""

    declared = Declared()

    def __init__(self, output: Output, path: tuple[str | int, ...]) -> None:
        for key in path:
            if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
                raise InvalidInput(f"{output!r}", f"no member is called {key!r}")
        self.trace = output.trace
        self.call = output.call
        self.output = output
        self.path = path

    def operand(self) -> Any:
        """Read the member."""
        return self.output.json_get(self.path)

    def __getitem__(self, key: str | int) -> Item:
        return Item(self.output, (*self.path, key))

    def __repr__(self) -> str:
        return f"{self.output!r}, {_path_text(self.path)}"


class Property(Value):
    """A member of what a step given as its document will be described by."""

    declared = Declared()

    def __init__(self, trace: Trace, step: str, path: tuple[str | int, ...] = ()) -> None:
        self.trace = trace
        self.step = step
        self.path = path

    def operand(self) -> Any:
        """Read the property."""
        if not self.path:
            self._refuse("read whole", 'take a member of it: step["ModelName"]')
        return {"Get": f"Steps.{self.step}.{_path_text(self.path)}"}

    def __getitem__(self, key: str | int) -> Property:
        return Property(self.trace, self.step, (*self.path, key))

    def __repr__(self) -> str:
        return f"step {self.step}" + (f", {_path_text(self.path)}" if self.path else "")


def _path_text(path: tuple[str | int, ...]) -> str:
    """Write a path in the dialect of definitions.

    Examples
    --------
    >>> _path_text(("a", "b", 0, "c d"))
    "a.b[0]['c d']"
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif _SIMPLE.fullmatch(key):
            text += f".{key}" if text else key
        elif "'" not in key:
            text += f"['{key}']"
        else:
            text += f'["{key}"]'
    return text
