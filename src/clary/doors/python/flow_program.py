"""Serves a fitted flow; goes into a model's archive as ``code/inference.py``.

Beside it the archive has ``flow.json``, ``fitted.json`` and ``settings.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clary.flows.serving import Served, Server


def model_fn(folder: str) -> tuple[Server, str]:
    """Load the flow, and what it answers with."""
    root = Path(folder)
    settings = json.loads((root / "settings.json").read_text("utf-8"))
    document = (root / "flow.json").read_text("utf-8")
    state = (root / "fitted.json").read_text("utf-8")
    served = Served(document, state, settings["node"], tuple(settings["absent"]))
    return served.open(), settings["accept"]


def transform_fn(
    model: tuple[Server, str],
    body: Any,
    content_type: str,
    accept: str,  # noqa: ARG001 - what the next container takes, not what the client wants
) -> tuple[str, str]:
    """Answer one request."""
    made, answers = model
    return made.answer(body, content_type, answers)
