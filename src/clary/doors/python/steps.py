"""Functions as steps of pipelines."""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from clary.doors.python.declared import Declared, declared, hints, returned
from clary.doors.python.handles import Item, Output, Parameter, Value
from clary.doors.python.options import Options
from clary.doors.python.tracing import Call, Trace, current, tracing
from clary.doors.python.values import described, matches, short
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

P = ParamSpec("P")
R = TypeVar("R")
_OPTIONS = tuple(one.name for one in fields(Options))


class Step(Generic[P, R]):
    """A function that becomes a step where a pipeline calls it; elsewhere it is the function."""

    def __init__(self, function: Callable[P, R], options: Options) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self._options = options
        waits = inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)
        if not inspect.isfunction(function) or waits:
            raise InvalidInput(self._place, "is no plain function", legal="def, with return")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Add a step to the pipeline that is being defined, or call the function."""
        trace = current()
        if trace is None:
            return self.function(*args, **kwargs)
        stands: R = self._called(trace, args, kwargs)
        return stands

    def options(self, **changes: Any) -> Step[P, R]:
        """Return the same step with other options; see ``clary.step``."""
        return Step(self.function, replace(self._options, **_known(changes, self._place)))

    def map(self, items: Iterable[Any], /, **fixed: Any) -> list[R]:
        """Add a step for every item, as the first argument; the others are the same for all."""
        tracing(self._place)
        return [self(item, **fixed) for item in items]

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as the function: within a step, another step is called like any function."""
        return functools.partial, (self.function,)

    def __repr__(self) -> str:
        return self._place

    @property
    def _place(self) -> str:
        return f"step {self._options.name or getattr(self.function, '__name__', self.function)}"

    def _called(self, trace: Trace, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        signature = inspect.signature(self.function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            legal = f"{getattr(self.function, '__name__', 'function')}{_bare(signature)}"
            raise InvalidInput(self._place, str(error), legal=legal) from None
        found = hints(self.function, self._place)
        kinds = {name: declared(found.get(name, Any)) for name in signature.parameters}
        for name, value in bound.arguments.items():
            _check(trace, value, kinds[name], signature.parameters[name], self._place)
        call = Call(
            trace,
            trace.name(self._name(), self.function),
            self.function,
            self._options,
            tuple(_named(signature, bound)),
            dict(bound.kwargs),
            kinds,
            returned(found.get("return", Any)),
        )
        trace.add(call)
        results = [Output(call, name, kind) for name, kind in call.returned.results]
        if call.returned.several:
            return call.returned.make(results)
        return results[0] if results else Output(call, "", declared(None))

    def _name(self) -> str:
        name = self._options.name or self.function.__name__.strip("_<>")
        Options(name=name)
        return name


def _bare(signature: inspect.Signature) -> inspect.Signature:
    empty = inspect.Parameter.empty
    bare = [one.replace(annotation=empty) for one in signature.parameters.values()]
    return signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)


def _named(
    signature: inspect.Signature, bound: inspect.BoundArguments
) -> Iterable[tuple[str, Any]]:
    """Yield the positional arguments, each with the name of its parameter."""
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    names = [one.name for one in signature.parameters.values() if one.kind in positional]
    args = bound.args
    while len(names) < len(args):
        names.append(names[-1])
    return zip(names, args, strict=False)


def _check(
    trace: Trace, value: Any, kind: Declared, parameter: inspect.Parameter, place: str
) -> None:
    """Refuse an argument that cannot be of its declared type."""
    many: Mapping[Any, Callable[[Any], list[Any]]] = {
        inspect.Parameter.VAR_POSITIONAL: list,
        inspect.Parameter.VAR_KEYWORD: lambda found: list(found.values()),
    }
    for one in many.get(parameter.kind, lambda found: [found])(value):
        if isinstance(one, Value):
            trace.own(one)
            _check_later(one, kind, f"{place}, argument {parameter.name}")
        elif not _may_be(one, kind):
            raise InvalidInput(
                f"{place}, argument {parameter.name}",
                f"{short(one)} does not fit",
                legal=described(kind.tree),
            )


def _check_later(value: Value, kind: Declared, place: str) -> None:
    if isinstance(value, Output | Parameter | Item) and not kind.takes(value.declared):
        raise InvalidInput(place, f"{value!r} is {value.declared}", legal=str(kind))


def _may_be(value: Any, kind: Declared) -> bool:
    """Whether a plain argument fits; what holds later values, or is of a class, is left alone."""
    if kind.form == "json":
        return isinstance(value, list | tuple | dict) or matches(value, kind.tree)
    if kind.form == "frame" and isinstance(value, str | os.PathLike):  # of a table
        return True
    checked = {"scalar", "none", "frame", "array", "file"}
    return kind.form not in checked or matches(value, kind.tree)


def _known(given: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    for name in given:
        if name not in _OPTIONS:
            raise InvalidInput(f"{place}, {name}", "no such option", legal=", ".join(_OPTIONS))
    return given


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(**options: Any) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a step: ``@clary.step``, or ``@clary.step(cpus=2, cache="30d")``.

    Each call within a pipeline is a step, in a process of its own in a sandbox. Arguments are
    parameters of the pipeline, results of other steps, and plain values; a frame may be the path
    of a table. What the function
    declares to return says how it is stored, and is checked: frames of pandas, Polars or Arrow as
    Parquet; arrays of NumPy; numbers, texts, dicts and lists as JSON; ``Path`` and ``clary.File``
    as files; any other class as a model.

    Parameters
    ----------
    name, cpus, memory, gpus, retries, timeout_s, cache, requirements, after, feature_group, process
        See ``Options``.

    Raises
    ------
    InvalidInput
        An option is unknown, or can never be had here.
    """
    if function is not None:
        return Step(function, Options())
    found = Options(**_known(options, "step"))
    return lambda inner: Step(inner, found)
