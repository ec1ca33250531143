"""Monitoring: baselines, schedules, what they find, and what happens next.

``clary.monitoring`` is a public name too: ``baseline``, ``check``, ``schedule``, ``explain``,
``get`` and ``list`` are found here, where ``clary`` finds its other public names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from clary.kernel.errors import NotSupported

_PUBLIC = (
    "Baseline",
    "Explanation",
    "Monitor",
    "Report",
    "baseline",
    "check",
    "explain",
    "get",
    "list",
    "schedule",
)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'clary.monitoring' has no attribute {name!r}")
    try:
        door = import_module("clary.doors.python.monitoring")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("clary"):
            raise
        said = f'clary.monitoring needs the package {error.name}: pip install "clary[monitoring]"'
        raise NotSupported(said) from None
    return getattr(door, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
