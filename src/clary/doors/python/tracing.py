"""A pipeline's function on its way to a definition: its steps are recorded as they are called."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from clary.doors.python.handles import Output, Test, Value
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clary.doors.python.declared import Returned
    from clary.doors.python.options import Options
    from clary.kernel.ports import JsonObject

_MARK = "\ue000"


@dataclass(slots=True, eq=False)
class Call:
    """A function that is a step.

    Parameters
    ----------
    name
        The step's.
    args, kwargs
        As the function gets them, with what stands for later values among them.
    hints
        Its arguments' annotations, by name; ``*args`` under their own.
    kept
        Names of results that conditions or texts read.
    """

    trace: Trace
    name: str
    function: Callable[..., Any]
    options: Options
    args: tuple[tuple[str, Any], ...]
    kwargs: Mapping[str, Any]
    hints: Mapping[str, Any]
    returned: Returned
    kept: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Raw:
    """A step given as its document, in which values may stand."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The step's name."""
        return str(self.document["Name"])


@dataclass(slots=True, eq=False)
class Branches:
    """A condition, the steps for when it holds and those for when it does not."""

    name: str
    test: Test
    then: list[Node] = field(default_factory=list)
    otherwise: list[Node] = field(default_factory=list)


Node: TypeAlias = Call | Raw | Branches


@dataclass(slots=True, eq=False)
class Trace:
    """What one run of a pipeline's function recorded."""

    pipeline: str
    nodes: list[Node] = field(default_factory=list)
    parameters: list[JsonObject] = field(default_factory=list)
    _blocks: list[list[Node]] = field(default_factory=list)
    _owners: dict[str, object] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _marks: list[Value] = field(default_factory=list)

    def add(self, node: Node) -> None:
        """Add a step to the branch that is being recorded."""
        self._block.append(node)

    @property
    def last(self) -> Node | None:
        """The step added last to the branch that is being recorded."""
        return self._block[-1] if self._block else None

    @property
    def _block(self) -> list[Node]:
        return self._blocks[-1] if self._blocks else self.nodes

    @contextlib.contextmanager
    def recording(self, block: list[Node]) -> Iterator[None]:
        """Record into a branch until the block ends."""
        self._blocks.append(block)
        try:
            yield
        finally:
            self._blocks.pop()

    def name(self, wanted: str, owner: object) -> str:
        """Give a step its name: the one wanted, or the same with the next number.

        Raises
        ------
        InvalidInput
            A step of another function, or with a name of its own, is called so.
        """
        if self._owners.setdefault(wanted, owner) is not owner:
            raise InvalidInput(
                f"step {wanted}",
                "two different steps have this name",
                hint='give one another: step.options(name="…")',
            )
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}-{number}"
        self._taken.add(name)
        return name

    def own(self, value: Value | Test) -> None:
        """Refuse a value of another pipeline."""
        if value.trace is not self:
            raise InvalidInput(
                f"pipeline {self.pipeline}",
                f"{value!r} belongs to another definition of a pipeline",
                legal="values of the pipeline's own parameters and steps",
            )

    def mark(self, value: Value) -> str:
        """Return a text that stands for a value within texts."""
        self._marks.append(value)
        return f"{_MARK}{len(self._marks) - 1}{_MARK}"

    def text(self, text: str) -> Any:
        """Write a text, with the values that were formatted into it, as a definition does."""
        parts = text.split(_MARK)
        if len(parts) == 1:
            return text
        values = [
            self._marks[int(part)].operand() if index % 2 else part
            for index, part in enumerate(parts)
        ]
        return {"Std:Join": {"On": "", "Values": [value for value in values if value != ""]}}

    def document(self, value: Any) -> Any:
        """Write values that stand anywhere in a JSON document as expressions."""
        if isinstance(value, Output):
            self.own(value)
            return value.uri()
        if isinstance(value, Value):
            self.own(value)
            return value.operand()
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.document(one) for one in value]
        if isinstance(value, dict):
            return {key: self.document(one) for key, one in value.items()}
        return value


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """Return the pipeline that is being defined, if one is."""
    return _current.get()


def tracing(what: str) -> Trace:
    """Return the pipeline that is being defined.

    Raises
    ------
    InvalidInput
        None is; says that ``what`` belongs in one.
    """
    trace = _current.get()
    if trace is None:
        raise InvalidInput(what, "is for the body of a pipeline", legal="in a @clary.pipeline")
    return trace


@contextlib.contextmanager
def defining(trace: Trace) -> Iterator[None]:
    """Define a pipeline until the block ends.

    Raises
    ------
    InvalidInput
        Another pipeline is being defined.
    """
    if (outer := _current.get()) is not None:
        raise InvalidInput(
            f"pipeline {trace.pipeline}",
            f"is called while {outer.pipeline} is being defined",
            legal="steps and plain functions",
        )
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)
