"""clary: the machine-learning lifecycle on machines you own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clary.doors.python.blocks import fail, otherwise, raw_step, register, when
    from clary.doors.python.declared import File
    from clary.doors.python.features import FeatureGroup
    from clary.doors.python.flows import Flow
    from clary.doors.python.pipelines import pipeline
    from clary.doors.python.runs import run, runs
    from clary.doors.python.session import connect
    from clary.doors.python.steps import step
    from clary.kernel.errors import (
        AlreadyExists,
        ClaryError,
        Conflict,
        Forbidden,
        InvalidInput,
        JobFailed,
        LimitExceeded,
        ModelFailed,
        NotFound,
        NotSupported,
        Unavailable,
    )

__all__ = [
    "AlreadyExists",
    "ClaryError",
    "Conflict",
    "FeatureGroup",
    "File",
    "Flow",
    "Forbidden",
    "InvalidInput",
    "JobFailed",
    "LimitExceeded",
    "ModelFailed",
    "NotFound",
    "NotSupported",
    "Unavailable",
    "connect",
    "fail",
    "otherwise",
    "pipeline",
    "raw_step",
    "register",
    "run",
    "runs",
    "step",
    "when",
]
_PLACES = {
    **dict.fromkeys(("fail", "otherwise", "raw_step", "register", "when"), "doors.python.blocks"),
    "FeatureGroup": "doors.python.features",
    "File": "doors.python.declared",
    "Flow": "doors.python.flows",
    **dict.fromkeys(("run", "runs"), "doors.python.runs"),
    "connect": "doors.python.session",
    "pipeline": "doors.python.pipelines",
    "step": "doors.python.steps",
}
"""Where names are; the errors are in ``kernel.errors``. Each is imported when it is first used."""
_EXTRAS = {"Flow": "flows"}
"""What needs more than clary itself, and the extra that brings it."""
_MODULES = ("endpoints", "features", "monitoring")
"""What is found in a module of its own, such as ``clary.endpoints.deploy``."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"clary.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'clary' has no attribute {name!r}")
    try:
        found = getattr(import_module(f"clary.{_PLACES.get(name, 'kernel.errors')}"), name)
    except ModuleNotFoundError as error:
        if name not in _EXTRAS:
            raise
        errors = import_module("clary.kernel.errors")
        problem = f"clary.{name} needs the package {error.name}, which is not installed"
        raise errors.NotSupported(problem, hint=f"pip install 'clary[{_EXTRAS[name]}]'") from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
