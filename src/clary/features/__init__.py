"""Features and facts: groups of records online and offline, views, training sets, the proof.

``clary.features`` is a public name too: ``delete``, ``list``, ``search``, ``sql`` and
``training_set`` are found here, where ``clary`` finds its other public names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = ("delete", "list", "search", "sql", "training_set")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'clary.features' has no attribute {name!r}")
    return getattr(import_module("clary.doors.python.feature_queries"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
