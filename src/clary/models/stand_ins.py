"""What stands for values while a pickle is followed without being loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda _: "UNKNOWN"})()
"""A value that nothing depends on."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """Something imported, by its name."""

    module: str
    name: str

    @property
    def key(self) -> tuple[str, str]:
        """Both names."""
        return self.module, self.name


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a call made: what was called, with what, and the state it was given since."""

    what: Any
    arguments: tuple[Any, ...]
    state: Any = None

    def built(self, state: Any) -> Made:
        """Give it its state."""
        return replace(self, state=state)

    @property
    def kind(self) -> tuple[str, str]:
        """The names of its class; empty where that is not known."""
        what = self.what
        if (
            isinstance(what, Global)
            and what.key == ("copyreg", "_reconstructor")
            and self.arguments
        ):
            what = self.arguments[0]
        return what.key if isinstance(what, Global) else ("", "")


class Stack:
    """A stack with marks; raises ``malformed`` where the real one would fail."""

    def __init__(self, malformed: type[Exception]) -> None:
        self._malformed = malformed
        self._values: list[Any] = []
        self._below: list[list[Any]] = []
        self._deep = 0

    @property
    def size(self) -> int:
        """How many values and marks it holds."""
        return len(self._values) + self._deep

    def push(self, value: Any) -> None:
        """Put a value on top."""
        self._values.append(value)

    def pop(self) -> Any:
        """Take the top value, which must be above the last mark."""
        if not self._values:
            raise self._malformed("the stack is empty")
        return self._values.pop()

    def top(self) -> Any:
        """Return the top value."""
        if not self._values:
            raise self._malformed("the stack is empty")
        return self._values[-1]

    def mark(self) -> None:
        """Set a mark."""
        self._below.append(self._values)
        self._deep += len(self._values) + 1
        self._values = []

    def to_mark(self) -> list[Any]:
        """Take all above the last mark, and the mark."""
        if not self._below:
            raise self._malformed("there is no mark")
        above, self._values = self._values, self._below.pop()
        self._deep -= len(self._values) + 1
        return above

    def drop(self) -> None:
        """Take the top value, or the mark where that is on top."""
        if self._values:
            self._values.pop()
        else:
            self.to_mark()
