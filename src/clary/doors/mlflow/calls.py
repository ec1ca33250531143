"""What an endpoint is given, and how requests are read."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.kernel.paging import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.platform import Platform

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, and where.

    Parameters
    ----------
    platform
        The services.
    near
        A name in the account and region that the call acts in.
    actor
        Who asks, as the journal writes it.
    """

    platform: Platform
    near: Ref
    actor: str


Endpoint = tuple[type[msgspec.Struct], Callable[[Call, Any], "JsonObject"]]
"""The members that a request may have, and the function that answers it."""


class Pair(msgspec.Struct, frozen=True):
    """A tag or a parameter."""

    key: str
    value: str = ""


class Named(msgspec.Struct, frozen=True):
    """A request that names a run."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def run(self) -> str:
        """The run's id, under either of its names."""
        return self.run_id or self.run_uuid


def read(kind: type[msgspec.Struct], document: Any) -> Any:
    """Read a request. Raises InvalidInput naming the member that is wrong."""
    if not isinstance(document, dict):
        raise InvalidInput("", "the request is no JSON object", legal="an object")
    given = {name: value for name, value in document.items() if value is not None}
    return build(kind, given)


def from_query(kind: type[msgspec.Struct], query: Mapping[str, Sequence[str]]) -> JsonObject:
    """Make a document of a query string, whose members may come several times."""
    many = {
        field.name
        for field in msgspec.structs.fields(kind)
        if typing.get_origin(field.type) in (list, tuple)
    }
    return {name: list(values) if name in many else values[-1] for name, values in query.items()}


def page(found: Sequence[T], token: str, size: int, most: int) -> tuple[Sequence[T], str]:
    """Cut a page out of a whole list.

    Raises
    ------
    InvalidInput
        The token is none of ours, or the size is not 1 to ``most``.
    """
    if not 1 <= size <= most:
        raise InvalidInput("max_results", f"{size} is out of bounds", legal=f"1 to {most}")
    start = 0
    if token:
        start = decode_token(token, field="page_token")
        if not isinstance(start, int) or start < 0:
            raise InvalidInput("page_token", f"{token[:40]!r} is not a token of this list")
    end = start + size
    return found[start:end], encode_token(end) if end < len(found) else ""
