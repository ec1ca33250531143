"""One page of a search: read no more than is needed, keep no more than a page."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from clary.doors.wire.scalars import TEXT_READERS, Mismatch
from clary.doors.wire.search_documents import Batch, repeated
from clary.doors.wire.search_expressions import Property, as_number
from clary.kernel.codec import digest
from clary.kernel.errors import InvalidInput
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clary.doors.wire.call import Call
    from clary.doors.wire.search_documents import Document, Kind
    from clary.doors.wire.search_expressions import Search
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

    Sort = Literal["created", "modified", "name", "status", "version"]
    Key = tuple[Any, ...]
    Row = tuple[Key, str, Resource]

_READ = 1_000
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES: Mapping[str, Sort] = {"CreationTime": "created", "LastModifiedTime": "modified"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A search, understood.

    Parameters
    ----------
    kind
        What is searched.
    matches
        Whether a document is found; None: all are.
    query
        A list that holds everything that can be found; its order is the answer's if ``listed``.
    order
        The property that the answer is sorted by; None: the time of the last change.
    listed
        Whether the store's order is the answer's.
    fingerprint
        Ties page tokens to the search.
    """

    kind: Kind
    matches: Callable[[Any], bool] | None
    query: Query
    order: Property | None
    listed: bool
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The documents of a page; ``token`` is empty on the last, ``total`` None when not counted."""

    documents: list[Document]
    token: str
    total: int | None


def understand(call: Call, kind: Kind, reader: Search) -> Asked:
    """Read a search request. Raises InvalidInput."""
    params = call.params
    expression = params.get("SearchExpression")
    matches = reader.expression(expression) if expression is not None else None
    order = _order(reader, params.get("SortBy"))
    query = Query(
        kind.resource,
        call.account,
        call.region,
        descending=params.get("SortOrder", "Descending") == "Descending",
        limit=_READ,
    )
    sort = _listed_by(kind, order)
    if expression is not None and expression.get("Operator") != "Or":
        for asked in expression.get("Filters", ()):
            query = _narrowed(query, kind, reader.find(asked["Name"]), asked)
    return Asked(
        kind=kind,
        matches=matches,
        query=replace(query, sort_by=sort or "created"),
        order=order,
        listed=sort is not None,
        fingerprint=digest([kind.record, expression, params.get("SortBy"), query.descending])[:16],
    )


def _order(reader: Search, name: str | None) -> Property | None:
    if name is None:
        return None
    found = reader.find(name)
    if found.kind in ("structure", "list", "map"):
        raise InvalidInput("SortBy", f"{name} is a {found.kind}", legal="the name of a value")
    return found


def _listed_by(kind: Kind, order: Property | None) -> Sort | None:
    """Name the store's order that is the same as a property's."""
    name = "LastModifiedTime" if order is None else ".".join(order.parts)
    if name == kind.name and not kind.folds:
        return "name"
    if name == "LastModifiedTime" and order is None:
        return "modified"
    return "created" if name == "CreationTime" else None


def _narrowed(
    query: Query,
    kind: Kind,
    found: Property,
    asked: JsonObject,
) -> Query:
    """Let the store leave out what a filter that must hold leaves out anyway."""
    word, text = asked.get("Operator", "Equals"), asked.get("Value", "")
    name = ".".join(found.parts)
    change: dict[str, Any] = {}
    if found.several or not text:
        return query
    if name in _TIMES:
        change = _bounds(_TIMES[name], word, text)
    elif name == kind.name and word in ("Equals", "Contains"):
        member = "name" if word == "Equals" else "name_contains"
        change = {member: text.lower() if kind.folds else text}
    elif name == kind.status and word == "Equals":
        change = {"statuses": (text,)}
    elif word == "Equals" and _is_repeated(kind, found, text):
        change = {"where": {**query.where, f"request.{name}": text}}
    return replace(query, **change)


def _is_repeated(kind: Kind, found: Property, text: str) -> bool:
    """Say whether a text of the document is that of the stored request, at the same place."""
    return (
        found.parts[0] in repeated(kind)
        and all(map(_PLAIN.fullmatch, found.parts))
        and (found.kind == "string" or (found.kind == "hyperparameter" and as_number(text) is None))
    )


def _bounds(column: str, word: str, text: str) -> dict[str, Any]:
    try:
        at = TEXT_READERS["timestamp"](text)
    except Mismatch:
        return {}  # the test of the filter says what is wrong
    after, before = f"{column}_after", f"{column}_before"
    bounds = {
        "GreaterThan": {after: at},
        "GreaterThanOrEqualTo": {after: at - _MICROSECOND},
        "LessThan": {before: at},
        "LessThanOrEqualTo": {before: at + _MICROSECOND},
        "Equals": {after: at - _MICROSECOND, before: at + _MICROSECOND},
    }
    return bounds.get(word, {})


def page(call: Call, asked: Asked) -> Answer:
    """Answer the page that MaxResults and NextToken ask for.

    A page starts behind the last result of the page before it, so that what is made or deleted
    meanwhile neither hides nor repeats what was there all along.
    """
    limit = call.params.get("MaxResults", 100)
    start, position = _position(asked, call.params.get("NextToken", ""))
    descending = asked.query.descending
    passed = 0

    def rows() -> Iterator[Row]:
        nonlocal passed
        for row in _rows(call, replace(asked.query, token=start), asked):
            key = row[0]
            if position is None or (key < position if descending else key > position):
                yield row
            else:
                passed += 1

    total: int | None
    if asked.listed:
        found = list(islice(rows(), limit + 1))
        total = None if position or len(found) > limit else len(found)
    else:
        found, total = _best(rows(), limit + 1, descending=descending)
        total += passed
    token = ""
    if len(found) > limit:
        key, at, _ = found[limit - 1]
        token = encode_token([asked.fingerprint, at if asked.listed else "", list(key)])
    batch = Batch(call.platform, asked.kind, [resource for _, _, resource in found[:limit]])
    return Answer([batch.document(one) for one in batch.resources], token, total)


def _best(rows: Iterator[Row], limit: int, *, descending: bool) -> tuple[list[Row], int]:
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for count, row in enumerate(rows, 1):  # noqa: B007 - the last count is the total
            yield row

    pick = heapq.nlargest if descending else heapq.nsmallest
    return pick(limit, counted(), key=lambda row: row[0]), count


def _rows(call: Call, query: Query, asked: Asked) -> Iterator[Row]:
    """Yield what matches, with its sort key and the token of the store's page that it is on."""
    while True:
        listed = call.platform.store.select(query)
        batch = Batch(call.platform, asked.kind, listed.items)
        for resource in listed.items:
            document = batch.document(resource)
            if asked.matches is None or asked.matches(document):
                yield _key(asked, resource, document), query.token, resource
        if not listed.token:
            return
        query = replace(query, token=listed.token)


def _key(asked: Asked, resource: Resource, document: Document) -> Key:
    """Return what results are sorted by; values come behind those without one, numbers first."""
    name = (resource.ref.name, resource.ref.version)
    if asked.order is None:
        return (1, _micros(resource.modified_at), *name)
    value = next(asked.order.values(document), None)
    if value is None:
        return (0, 0, *name)
    if isinstance(value, datetime):
        return (1, _micros(value), *name)
    return (1, value, *name) if isinstance(value, int | float) else (2, str(value), *name)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _position(asked: Asked, token: str) -> tuple[str, Key | None]:
    if not token:
        return "", None
    match decode_token(token):
        case [asked.fingerprint, str(start), [0 | 1, int() | float(), str(), int()] as key]:
            return start, tuple(key)
        case [asked.fingerprint, str(start), [2, str(), str(), int()] as key]:
            return start, tuple(key)
    raise InvalidInput("NextToken", f"{token[:40]!r} is not a token of this list")
