"""Requests as others trace them: W3C trace context, and the spans of an invocation."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clary.kernel.clock import now

if TYPE_CHECKING:
    from clary.endpoints.invocations import Invocation
    from clary.kernel.names import Ref

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Traced:
    """One request that has ended.

    Parameters
    ----------
    endpoint, variant
        Who answered.
    parent
        The request's ``traceparent``; empty when it had none.
    began_ns, asked_ns, ended_ns
        When it came, when the model was asked and when that was over: nanoseconds since 1970.
    status
        The HTTP status of the model's answer.
    """

    endpoint: Ref
    variant: str
    parent: str
    began_ns: int
    asked_ns: int
    ended_ns: int
    status: int


@dataclass(frozen=True, slots=True)
class Took:
    """When a request came, was asked and ended, on ``perf_counter``, which ends now."""

    began: float
    asked: float
    ended: float

    def traced(self, invocation: Invocation, variant: str, status: int) -> Traced:
        """Write it in the time of day."""
        ended_ns = int(now().timestamp() * 1e9)
        return Traced(
            invocation.endpoint,
            variant,
            invocation.trace,
            ended_ns - int((self.ended - self.began) * 1e9),
            ended_ns - int((self.ended - self.asked) * 1e9),
            ended_ns,
            status,
        )


class Spans(Protocol):
    """Where traced requests go."""

    def take(self, traced: Traced) -> None:
        """Keep it for sending; never waits."""

    def close(self) -> None:
        """Send the rest."""


@dataclass(frozen=True, slots=True)
class Context:
    """Which trace a request is part of; ``parent`` is empty for the first span of a trace."""

    trace: str
    parent: str = ""


def read_parent(header: str) -> Context | None:
    """Read a ``traceparent``; None when its trace is not sampled.

    A request without one, or with one that cannot be read, begins a trace.

    Examples
    --------
    >>> read_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    Context(trace='0af7651916cd43dd8448eb211c80319c', parent='b7ad6b7169203331')
    >>> read_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00") is None
    True
    """
    match = _PARENT.fullmatch(header)
    if match is None or header.startswith("ff") or not (int(match[1], 16) and int(match[2], 16)):
        return Context(secrets.token_hex(16))
    return Context(match[1], match[2]) if int(match[3], 16) & _SAMPLED else None
