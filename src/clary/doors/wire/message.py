"""HTTP requests and responses, free of any server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in.

    Parameters
    ----------
    method
        Upper case.
    path, query
        Percent-encoded, as the client sent and signed them.
    headers
        By lower-case name; values of a repeated header are joined by commas.
    body
        Its bytes in pieces; can be iterated once.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()


@dataclass(slots=True)
class Response:
    """One response. A body in pieces comes with its ``Content-Length`` header if that is known."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
