"""What goes into a model behind an endpoint, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.kernel.names import Ref

LARGEST_BODY = 6 << 20
"""Bytes of a request, and of an answer that is not streamed."""
CSV = "text/csv"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One inference request.

    Parameters
    ----------
    endpoint
        Whom it is for.
    body
        The payload, at most 6 MiB.
    content_type, accept
        As the client sent them; empty: the model's default.
    variant
        The production variant that must answer; empty: drawn by weight.
    model
        ``TargetModel``: the artifact below a multi-model container's prefix.
    container
        ``TargetContainerHostname``: the one container that must answer, where they are called
        directly.
    inference_id
        The caller's name of the request, kept in captures.
    custom_attributes
        At most 1024 characters that are handed to the model and kept in captures.
    timeout_s
        How long the model may take; 0: as long as its fleet says.
    trace
        The request's ``traceparent``, if it is part of a trace.
    """

    endpoint: Ref
    body: bytes
    content_type: str = ""
    accept: str = ""
    variant: str = ""
    model: str = ""
    container: str = ""
    inference_id: str = ""
    custom_attributes: str = ""
    timeout_s: float = 0.0
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model made of an invocation.

    ``body`` is an iterator where the model streams it. ``status`` is a success: 200 or 204.
    """

    body: bytes | Iterator[bytes]
    content_type: str = ""
    custom_attributes: str = ""
    status: int = 200


class Refused(Exception):
    """A model answered with an error: a request it cannot read, or a prediction that failed.

    Parameters
    ----------
    status
        The HTTP status of the serving contract: 400, 406, 415, 500, …
    message
        What the model said of it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
