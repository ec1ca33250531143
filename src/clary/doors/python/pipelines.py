"""Functions as pipelines."""

from __future__ import annotations

import functools
import inspect
import os
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.doors.python.declared import Declared, declared, hints
from clary.doors.python.diagrams import mermaid
from clary.doors.python.documents import Target, definition
from clary.doors.python.handles import Parameter
from clary.doors.python.session import session
from clary.doors.python.tracing import Trace, defining
from clary.doors.python.values import described, matches, short
from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn
from clary.pipelines.expressions import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.doors.python.executions import Execution
    from clary.doors.python.uploads import Uploads
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9])*")
_LONGEST_NAME = 256
_ID = "pipeline"
"""What a rule's target is called."""
_KINDS = {"str": "String", "int": "Integer", "float": "Float", "bool": "Boolean"}


class Pipeline:
    """A function whose calls of steps are a pipeline; made by ``clary.pipeline``.

    Arguments annotated as str, int, float, bool, a Literal of these, or ``clary.File`` are the
    pipeline's parameters, chosen anew at each start. Any other argument shapes the definition
    itself, as a list to fan out over.
    """

    def __init__(self, function: Callable[..., None], name: str = "") -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name or function.__name__.replace("_", "-").strip("-")
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            legal = f"1 to {_LONGEST_NAME} letters, digits and hyphens"
            raise InvalidInput(f"pipeline {self.name}", "is no name", legal=legal)

    def definition(self, **shaping: Any) -> JsonObject:
        """Return the public definition (schema 2020-12-01).

        Raises
        ------
        InvalidInput
            It cannot run; names the step and the argument.
        """
        return self._compiled(self._shaping(shaping))[0]

    def diagram(self, **shaping: Any) -> str:
        """Draw it as a Mermaid flowchart."""
        return mermaid(to_json(self.definition(**shaping)).decode())

    def upsert(self, **shaping: Any) -> int:
        """Store the definition with all it needs, as a new version if it differs; its version."""
        document, uploads = self._compiled(self._shaping(shaping))
        here = session()
        here.send(uploads)
        return here.upsert(self.name, document)

    def start(self, **arguments: Any) -> Execution:
        """Store the definition and start it with these arguments.

        Raises
        ------
        InvalidInput
            An argument is unknown, missing or does not fit; or the definition cannot run.
        """
        version, values = self._stored(arguments)
        return session().start(self.name, version, values)

    def newest(self) -> Execution:
        """Find the execution that was started last. Raises NotFound."""
        return session().newest(self.name)

    def schedule(
        self,
        expression: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        timezone: str = "UTC",
    ) -> None:
        """Start it at known times from now on, with these arguments and its newest definition.

        Times come when a session or a server works on the home. What was missed meanwhile is
        made up for by one start.

        Parameters
        ----------
        expression
            ``rate(1 day)``, ``cron(0 6 ? * MON-FRI *)`` or ``at(2027-01-31T06:00:00)``.
        name
            Of the schedule, which replaces the one of this name; the pipeline's own by default.
        timezone
            What ``cron`` and ``at`` mean, as ``Europe/Berlin``.

        Raises
        ------
        InvalidInput
            The expression, the time zone or an argument is not legal.
        """
        _, values = self._stored(arguments or {})
        here = session()
        request = {
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": timezone,
            "Target": self._target(values),
        }
        here.platform.schedules.put(self._schedule(name), request, actor=here.actor)

    def unschedule(self, name: str = "") -> None:
        """Start it no more at the times of the schedule. Raises NotFound."""
        here = session()
        here.platform.schedules.delete(self._schedule(name), actor=here.actor)

    def on(
        self,
        pattern: Mapping[str, Any],
        arguments: Mapping[str, Any] | None = None,
        *,
        name: str = "",
    ) -> None:
        """Start it with these arguments whenever an event fits, from now on.

        Parameters
        ----------
        pattern
            An EventBridge pattern: ``{"detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelApprovalStatus": ["Approved"]}}``.
        name
            Of the rule, which replaces the one of this name; the pipeline's own by default.

        Raises
        ------
        InvalidInput
            The pattern or an argument is not legal.
        """
        _, values = self._stored(arguments or {})
        here = session()
        ref, rules = here.ref("rule", name or self.name), here.platform.rules
        rules.put(ref, {"EventPattern": to_json(pattern).decode()}, actor=here.actor)
        rules.put_targets(ref, [{"Id": _ID, **self._target(values)}], actor=here.actor)

    def off(self, name: str = "") -> None:
        """Start it no more for the events of the rule. Raises NotFound."""
        here = session()
        ref, rules = here.ref("rule", name or self.name), here.platform.rules
        rules.remove_targets(ref, [_ID], actor=here.actor)
        rules.delete(ref, actor=here.actor)

    def _stored(self, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str]]:
        """Store the definition; return its version and its parameters' values as texts."""
        known = self._arguments()
        _check_names(arguments, list(known), f"pipeline {self.name}")
        for name, (one, _) in known.items():
            if one.default is one.empty and name not in arguments:
                raise InvalidInput(f"pipeline {self.name}, {name}", "has no default and is missing")
        document, uploads = self._compiled(arguments)
        values = {
            name: as_text(self._value(name, value, known[name][1], uploads))
            for name, value in arguments.items()
            if _kind(known[name][1])
        }
        here = session()
        here.send(uploads)
        return here.upsert(self.name, document), values

    def _schedule(self, name: str) -> Ref:
        return session().ref("schedule", f"default/{name or self.name}")

    def _target(self, values: Mapping[str, str]) -> JsonObject:
        given = [{"Name": name, "Value": value} for name, value in values.items()]
        return {
            "Arn": arn(session().ref("pipeline", self.name)),
            "SageMakerPipelineParameters": {"PipelineParameterList": given},
        }

    def __call__(self, *_: Any, **__: Any) -> None:
        """Refuse: a pipeline is started."""
        raise InvalidInput(f"pipeline {self.name}", "is not called", legal=".start(...)")

    def _compiled(self, given: Mapping[str, Any]) -> tuple[JsonObject, Uploads]:
        """Write the definition; ``given`` are arguments that shape it, and those of a start."""
        here = session()
        uploads = here.uploads()
        trace = Trace(self.name)
        arguments = {
            name: self._standing_for(trace, one, kind, given, uploads)
            for name, (one, kind) in self._arguments().items()
        }
        with defining(trace):
            returned = self.function(**arguments)
        if returned is not None:
            hint = 'read results with run["step"].result()'
            raise InvalidInput(f"pipeline {self.name}", "returns a value", legal="none", hint=hint)
        if not trace.nodes:
            raise InvalidInput(
                f"pipeline {self.name}", "has no steps", legal="calls of @clary.step"
            )
        return definition(trace, Target(here.role, uploads, here.define)), uploads

    def _shaping(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refuse arguments that a definition does not depend on."""
        known = self._arguments()
        _check_names(given, [x for x in known if not _kind(known[x][1])], f"pipeline {self.name}")
        return given

    def _arguments(self) -> dict[str, tuple[inspect.Parameter, Declared]]:
        found = hints(self.function, f"pipeline {self.name}")
        parameters = inspect.signature(self.function).parameters
        for name, one in parameters.items():
            if one.kind not in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}:
                raise InvalidInput(f"pipeline {self.name}, {name}", "is not given by name")
        return {name: (one, _declared(one, found.get(name))) for name, one in parameters.items()}

    def _standing_for(
        self,
        trace: Trace,
        parameter: inspect.Parameter,
        declared_as: Declared,
        given: Mapping[str, Any],
        uploads: Uploads,
    ) -> Any:
        """Record a parameter and return what stands for it; or return a shaping argument."""
        name, kind = parameter.name, _kind(declared_as)
        default = parameter.default
        if not kind:
            value = given.get(name, default)
            if value is inspect.Parameter.empty:
                raise InvalidInput(f"pipeline {self.name}, {name}", "must be given")
            return value
        document: JsonObject = {"Name": name, "Type": "String" if kind == "File" else kind}
        # the file of a default need not be there when another one is given
        if default is not inspect.Parameter.empty and not (kind == "File" and name in given):
            document["DefaultValue"] = self._value(name, default, declared_as, uploads)
        if declared_as.tree["is"] == "literal":
            document["EnumValues"] = list(declared_as.tree["of"])
        trace.parameters.append(document)
        return Parameter(trace, name, kind, declared_as)

    def _value(self, name: str, value: Any, kind: Declared, uploads: Uploads) -> Any:
        """Check a parameter's value and return it as the definition has it."""
        place = f"pipeline {self.name}, {name}"
        if not matches(value, kind.tree):
            raise InvalidInput(place, f"{short(value)} does not fit", legal=described(kind.tree))
        if kind.form != "file":
            return float(value) if kind.tree["is"] == "float" else value
        text = os.fspath(value)
        return text if text.startswith("s3://") else uploads.path(Path(text).expanduser(), place)

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.diagram()}\n```"

    def __repr__(self) -> str:
        return f"pipeline {self.name}"


def _check_names(given: Mapping[str, Any], known: list[str], place: str) -> None:
    for name in given:
        if name not in known:
            legal = ", ".join(known) or "none"
            raise InvalidInput(f"{place}, {name}", "no such argument here", legal=legal)


def _declared(parameter: inspect.Parameter, hint: Any) -> Declared:
    """Read an argument's annotation; without one, what its default is."""
    if hint is not None:
        return declared(hint)
    default = parameter.default
    return declared(type(default)) if isinstance(default, str | int | float) else Declared()


def _kind(kind: Declared) -> str:
    """Return the type of a pipeline's parameter; empty for an argument that is none."""
    name = kind.tree["is"]
    if kind.form == "file":
        return "File"
    if name == "literal":
        kinds = {type(one).__name__ for one in kind.tree["of"]}
        return _KINDS.get(kinds.pop(), "") if len(kinds) == 1 else ""
    return _KINDS.get(name, "")


@typing.overload
def pipeline(function: Callable[..., None], /) -> Pipeline: ...
@typing.overload
def pipeline(*, name: str) -> Callable[[Callable[..., None]], Pipeline]: ...
def pipeline(function: Callable[..., None] | None = None, /, *, name: str = "") -> Any:
    """Make a function a pipeline: ``@clary.pipeline``.

    Its body calls steps, and says ``with clary.when(...)``, ``clary.register(...)`` and the like.
    It runs whenever the definition is wanted; the steps run when the pipeline is started.

    Parameters
    ----------
    name
        The pipeline's name; the function's, with hyphens, unless it is given.
    """
    if function is not None:
        return Pipeline(function, name)
    return lambda inner: Pipeline(inner, name)
