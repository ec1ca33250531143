"""Models behind endpoints: variants, routing, invocations, capture, rollouts, scaling.

``clary.endpoints`` is a public name too: ``deploy``, ``get`` and ``list`` are found here, where
``clary`` finds its other public names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = ("Endpoint", "deploy", "get", "list")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'clary.endpoints' has no attribute {name!r}")
    return getattr(import_module("clary.doors.python.endpoints"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
