"""Pipeline definitions (schema 2020-12-01): parameters, and steps in the order they depend."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput
from clary.pipelines.cache import CacheConfig
from clary.pipelines.expressions import Reference, Scope, as_text, compiled, references
from clary.pipelines.retries import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

VERSION = "2020-12-01"
BRANCHES = ("IfSteps", "ElseSteps")
MAX_BYTES = 8 << 20
"""Of a definition in a bucket; the public request carries at most 1 MiB."""
MAX_STEPS = 2000
_MAX_PARAMETERS, _MAX_DEPTH = 200, 64
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_MOST_TEXT = 1024
_LARGEST_INTEGER = 10**18
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")

Scalar = str | int | float | bool


class ParameterDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """A member of the definition's Parameters."""

    name: str
    type: Literal["String", "Integer", "Float", "Boolean"]
    default_value: Scalar | None = None
    enum_values: list[Scalar] | None = None


class PropertyFile(msgspec.Struct, frozen=True, rename="pascal"):
    """A file of a step's output that JsonGet may read."""

    property_file_name: str
    output_name: str
    file_path: str


class StepDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """What all types of steps have in common."""

    name: str
    type: str
    arguments: dict[str, Any] = {}
    depends_on: list[str] = []
    display_name: str | None = None
    description: str | None = None
    property_files: list[PropertyFile] = []
    retry_policies: list[RetryPolicy] = []
    cache_config: CacheConfig = CacheConfig()


class DefinitionDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """The top of a definition; its parameters and steps are read one by one, to name them."""

    version: str
    steps: list[Any]
    parameters: list[Any] | None = None
    metadata: dict[str, Any] | None = None
    pipeline_experiment_config: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its type, its default (None: it must be given), and what it may be."""

    name: str
    type: str
    default: Scalar | None = None
    choices: tuple[Scalar, ...] = ()

    def read(self, value: Any) -> Scalar:
        """Read a value of this parameter, given as its text or as JSON has it.

        Raises
        ------
        InvalidInput
            It is not of the type, or not among the choices; names the parameter.
        """
        read: Scalar | None = _READERS[self.type](value)
        if read is None:
            raise InvalidInput(self._field, f"{value!r} is no {self.type}")
        if isinstance(read, str) and len(read) > _MOST_TEXT:
            raise InvalidInput(
                self._field, f"{len(read)} characters", legal=f"at most {_MOST_TEXT}"
            )
        if isinstance(read, str) and "\0" in read:
            raise InvalidInput(
                self._field, f"{value!r:.200} has a character that no job can be given"
            )
        if self.choices and read not in self.choices:
            legal = ", ".join(as_text(choice) for choice in self.choices)
            raise InvalidInput(self._field, f"{value!r} is not allowed", legal=legal)
        return read

    @property
    def _field(self) -> str:
        return f"Parameters.{self.name}"


def _read_integer(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?[0-9]{1,18}", value) else None
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and abs(value) < _LARGEST_INTEGER else None


def _read_float(value: Any) -> float | None:
    if isinstance(value, int):
        return None if _read_integer(value) is None else float(value)
    if isinstance(value, str):
        value = float(value) if _FLOAT.fullmatch(value) else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _read_boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


_READERS: Mapping[str, Any] = {
    "String": lambda value: value if isinstance(value, str) else None,
    "Integer": _read_integer,
    "Float": _read_float,
    "Boolean": _read_boolean,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step, wherever in the definition it stands.

    Parameters
    ----------
    name, type
        As defined; names are unique in the whole definition.
    document
        The step's own document, without the steps of its branches.
    condition, branch
        The condition step and the branch (``IfSteps`` or ``ElseSteps``) it stands in, or empty.
    branches
        Whether it decides between branches.
    depends_on
        The steps it names in DependsOn.
    references
        Every Get of its document.
    policies
        When it is tried again.
    cache
        Whether an earlier result may be reused.
    dependencies
        The steps that must have succeeded before this one.
    """

    name: str
    type: str
    document: Mapping[str, Any]
    condition: str
    branch: str
    branches: bool
    depends_on: tuple[str, ...]
    references: tuple[Reference, ...]
    policies: tuple[RetryPolicy, ...] = ()
    cache: CacheConfig = field(default_factory=CacheConfig)
    dependencies: frozenset[str] = field(init=False)
    _resolving: Callable[[Scope], Any] | None = field(init=False, compare=False)
    _settling: Callable[[Scope], Any] | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Gather what is asked for again and again."""
        object.__setattr__(self, "_resolving", compiled(self.arguments))
        beside = {name: given for name, given in self.document.items() if name != "Arguments"}
        object.__setattr__(self, "_settling", compiled(beside))
        needed = self.reads.union(self.depends_on, {self.condition} - {""})
        object.__setattr__(self, "dependencies", needed)

    @property
    def reads(self) -> frozenset[str]:
        """The steps whose properties or files it reads."""
        return frozenset(x.get.name for x in self.references if x.get.root == "Steps")

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Its Arguments, as defined."""
        arguments: Mapping[str, Any] = self.document.get("Arguments", {})
        return arguments

    def resolved(self, scope: Scope) -> Mapping[str, Any]:
        """Return its Arguments without expressions. Raises InvalidInput."""
        arguments: Mapping[str, Any] = self._resolving(scope) if self._resolving else self.arguments
        return arguments

    def settled(self, scope: Scope) -> Mapping[str, Any]:
        """Return its document with no expressions beside its Arguments. Raises InvalidInput."""
        return {**self.document, **self._settling(scope)} if self._settling else self.document

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its property files."""
        return tuple(x["PropertyFileName"] for x in self.document.get("PropertyFiles", ()))


@dataclass(frozen=True, slots=True)
class Definition:
    """A parsed definition; steps by name, those of branches among them, as they appear."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any]

    def values(self, given: Sequence[tuple[str, str]]) -> dict[str, Scalar]:
        """Give every parameter its value: the given one or its default.

        Raises
        ------
        InvalidInput
            A parameter is unknown, given twice, missing, of the wrong type or not allowed.
        """
        values: dict[str, Scalar] = {}
        for name, text in given:
            if name not in self.parameters:
                legal = ", ".join(self.parameters) or "none"
                raise InvalidInput(f"Parameters.{name}", "no such parameter", legal=legal)
            if name in values:
                raise InvalidInput(f"Parameters.{name}", "given twice")
            values[name] = self.parameters[name].read(text)
        for name, parameter in self.parameters.items():
            if name not in values and parameter.default is None:
                raise InvalidInput(f"Parameters.{name}", "has no default and must be given")
        return {
            name: values.get(name, parameter.default)  # type: ignore[misc]  # shown above
            for name, parameter in self.parameters.items()
        }


def parse(text: str) -> Definition:
    """Read a definition.

    Raises
    ------
    InvalidInput
        It is too large, not JSON, of another version, or malformed; names the step and member.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        raise InvalidInput("PipelineDefinition", f"{size} bytes", legal=f"at most {MAX_BYTES}")
    document = from_json(text, field="PipelineDefinition")
    _check_depth(document)
    top = build(DefinitionDocument, document, field="PipelineDefinition")
    if top.version != VERSION:
        raise InvalidInput("PipelineDefinition.Version", f"{top.version!r}", legal=VERSION)
    experiment = top.pipeline_experiment_config or {}
    if any(found.get.root == "Steps" for found in references(experiment)):
        raise InvalidInput("PipelineExperimentConfig", "cannot refer to a step")
    return Definition(_parameters(top.parameters or []), _steps(top.steps), experiment)


def _check_depth(document: Any) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            legal = f"at most {_MAX_DEPTH} levels"
            raise InvalidInput("PipelineDefinition", "nested too deeply", legal=legal)
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]


def _parameters(documents: list[Any]) -> dict[str, Parameter]:
    _check_count("Parameters", len(documents), range(_MAX_PARAMETERS + 1))
    parameters: dict[str, Parameter] = {}
    for index, document in enumerate(documents):
        found = build(ParameterDocument, document, field=f"Parameters[{index}]")
        if not _PARAMETER_NAME.fullmatch(found.name):
            legal = "1 to 256 letters, digits, - and _"
            raise InvalidInput(f"Parameters[{index}].Name", f"{found.name!r}", legal=legal)
        if found.name in parameters:
            raise InvalidInput(f"Parameters.{found.name}", "defined twice")
        bare = Parameter(found.name, found.type)
        choices = tuple(bare.read(choice) for choice in found.enum_values or ())
        whole = Parameter(found.name, found.type, None, choices)
        default = None if found.default_value is None else whole.read(found.default_value)
        parameters[found.name] = Parameter(found.name, found.type, default, choices)
    return parameters


def _steps(documents: list[Any]) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for step in _flatten(documents, "Steps", "", ""):
        if step.name in steps:
            raise InvalidInput(f"Steps.{step.name}", "two steps have this name")
        steps[step.name] = step
    _check_count("Steps", len(steps), range(1, MAX_STEPS + 1))
    return steps


def _flatten(documents: Any, place: str, condition: str, branch: str) -> Iterator[Step]:
    if not isinstance(documents, list):
        raise InvalidInput(place, "not a list of steps")
    for index, document in enumerate(documents):
        found = build(StepDocument, document, field=f"{place}[{index}]")
        if not _NAME.fullmatch(found.name):
            legal = "1 to 64 letters, digits, - and _"
            raise InvalidInput(f"{place}[{index}].Name", f"{found.name!r}", legal=legal)
        here = f"Steps.{found.name}"
        branches = found.type == "Condition"
        own = _without_branches(document) if branches else document
        yield Step(
            found.name,
            found.type,
            own,
            condition,
            branch,
            branches,
            tuple(found.depends_on),
            tuple(references(own, here)),
            tuple(found.retry_policies),
            found.cache_config,
        )
        for name in BRANCHES if branches else ():
            children = found.arguments.get(name, [])
            yield from _flatten(children, f"{here}.Arguments.{name}", found.name, name)


def _without_branches(document: Mapping[str, Any]) -> dict[str, Any]:
    arguments = document.get("Arguments", {})
    return {
        **document,
        "Arguments": {key: value for key, value in arguments.items() if key not in BRANCHES},
    }


def _check_count(field: str, count: int, legal: range) -> None:
    if count not in legal:
        raise InvalidInput(field, f"{count} of them", legal=f"{legal.start} to {legal.stop - 1}")
