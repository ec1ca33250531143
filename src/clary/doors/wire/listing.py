"""What all List operations share: page, order and the common filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from clary.kernel.errors import InvalidInput
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

    SortKey = Literal["created", "modified", "name", "status", "version"]

_SORTS: Mapping[str, SortKey] = {
    "CreationTime": "created",
    "LastModifiedTime": "modified",
    "Name": "name",
    "PipelineExecutionArn": "name",
    "Status": "status",
    "FeatureGroupStatus": "status",
    "OfflineStoreStatus": "name",
}
_PAGE = 100
_RESERVED = "aws:"


def query(
    call: Call,
    kind: str,
    *,
    parent: Ref | None = None,
    descending: bool = True,
    where: Mapping[str, str] | None = None,
) -> Query:
    """Read what a list request asks for.

    Parameters
    ----------
    call
        The request; its NameContains, SortBy, SortOrder, MaxResults, NextToken and limits of time
        are honoured.
    kind, parent, where
        What is listed.
    descending
        The order without a SortOrder.
    """
    params = call.params
    return Query(
        kind,
        call.account,
        call.region,
        parent,
        name_contains=params.get("NameContains", ""),
        name_prefix=params.get("PipelineNamePrefix", ""),
        created_after=_first(params, "CreationTimeAfter", "CreatedAfter"),
        created_before=_first(params, "CreationTimeBefore", "CreatedBefore"),
        modified_after=params.get("LastModifiedTimeAfter"),
        modified_before=params.get("LastModifiedTimeBefore"),
        where=where or {},
        sort_by=_sort(params.get("SortBy", "CreationTime")),
        descending=params.get("SortOrder", "Descending" if descending else "") == "Descending",
        limit=params.get("MaxResults", _PAGE),
        token=params.get("NextToken", ""),
    )


def answer(member: str, items: Iterable[JsonObject], token: str) -> JsonObject:
    """Write a page of a list."""
    return {member: list(items), **({"NextToken": token} if token else {})}


def page_of(call: Call, member: str, items: Sequence[JsonObject]) -> JsonObject:
    """Answer the page of a list at hand that NextToken and MaxResults ask for."""
    token = call.params.get("NextToken", "")
    start = decode_token(token) if token else 0
    if not isinstance(start, int) or start < 0:
        raise InvalidInput("NextToken", f"{token!r} is not a token of this list")
    end = start + call.params.get("MaxResults", _PAGE)
    return answer(member, items[start:end], encode_token(end) if end < len(items) else "")


def tags(call: Call) -> dict[str, str]:
    """Read a request's Tags.

    Raises
    ------
    InvalidInput
        A key is reserved or given twice.
    """
    found: dict[str, str] = {}
    for tag in call.params.get("Tags", ()):
        key = tag["Key"]
        if key.lower().startswith(_RESERVED):
            raise InvalidInput("Tags", f"{key!r} begins with {_RESERVED!r}, which is reserved")
        if key in found:
            raise InvalidInput("Tags", f"{key!r} is given twice")
        found[key] = tag["Value"]
    return found


def _sort(word: str) -> SortKey:
    if word not in _SORTS:  # a lenient server lets any word come here
        raise InvalidInput("SortBy", f"{word!r} is no order", legal=", ".join(_SORTS))
    return _SORTS[word]


def _first(params: JsonObject, *members: str) -> Any:
    return next((params[member] for member in members if member in params), None)
