"""Serves a fitted flow; goes into a model's archive as ``code/inference.py``.

Beside it the archive has ``flow.json``, ``fitted.json`` and ``settings.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clary.flows.serving import Served, Server
from clary.kernel.errors import InvalidInput


class Refused(Exception):
    """The request is the client's mistake: the container answers with this status."""

    status_code, phrase = 400, "Bad Request"


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
    """Answer one request. Raises Refused for what does not fit the flow."""
    made, answers = model
    try:
        return made.answer(body, content_type, answers)
    except InvalidInput as error:
        raise Refused(error.message) from None
