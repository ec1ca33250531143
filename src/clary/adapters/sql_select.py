"""A ``Query`` as one SQL statement; a page starts after the key of the last row before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, select, tuple_

from clary.adapters.sql_schema import RESOURCE, micros, ref_text
from clary.kernel.codec import digest
from clary.kernel.errors import InvalidInput
from clary.kernel.paging import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Row, Select

    from clary.kernel.resource import Query

LONGEST_PAGE = 10_000
_LAST_CHARACTER = "\U0010ffff"
_C = RESOURCE.c
_SORTS: dict[str, tuple[Column[Any], ...]] = {
    "created": (_C.created_at,),
    "modified": (_C.modified_at,),
    "name": (_C.name, _C.version),
    "status": (_C.status, _C.created_at),
    "version": (_C.version,),
}
_COLUMNS = [column for column in _C if column.name not in {"due_at", "wakes", "lease_owner"}]
SELECT = select(*_COLUMNS)
"""Every column that ``resource_from_row`` reads."""


def select_page(query: Query) -> Select[Any]:
    """Write the statement for one page and one row more, which tells whether there is another.

    Raises
    ------
    InvalidInput
        ``token`` is not one of this list, or ``limit`` is out of bounds.
    """
    if not 1 <= query.limit <= LONGEST_PAGE:
        raise InvalidInput("limit", f"{query.limit} is out of bounds", legal=f"1 to {LONGEST_PAGE}")
    key = _key(query)
    statement = SELECT.where(_C.kind == query.kind, *_filters(query))
    if query.token:
        after = tuple_(*(literal(value) for value in _position(query, key)))
        here = tuple_(*key)
        statement = statement.where(here < after if query.descending else here > after)
    order = (column.desc() if query.descending else column for column in key)
    return statement.order_by(*order).limit(query.limit + 1)


def token_after(query: Query, row: Row[Any]) -> str:
    """Write the token of the page that starts after ``row``."""
    return encode_token([_fingerprint(query), *(row._mapping[c] for c in _key(query))])  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping


def _key(query: Query) -> Sequence[Column[Any]]:
    """Name the columns that order the list totally; what the query fixes needs no mention."""
    columns = list(_SORTS[query.sort_by])
    columns += [_C.account] if query.account is None else []
    columns += [_C.region] if query.region is None else []
    return columns + [column for column in (_C.name, _C.version) if column not in columns[:2]]


def _position(query: Query, key: Sequence[Column[Any]]) -> Sequence[Any]:
    match decode_token(query.token):
        case [str(fingerprint), *values] if fingerprint == _fingerprint(query):
            kinds = [column.type.python_type for column in key]
            if list(map(type, values)) == kinds and all(
                isinstance(value, str) or -(2**63) <= value < 2**63 for value in values
            ):
                return values
    raise InvalidInput("NextToken", f"{query.token[:40]!r} is not a token of this list")


def _fingerprint(query: Query) -> str:
    return digest(replace(query, token="", limit=0))[:16]


def _filters(query: Query) -> Iterator[ColumnElement[bool]]:
    for column, value in ((_C.account, query.account), (_C.region, query.region)):
        if value is not None:
            yield column == value
    if query.parent is not None:
        yield _C.parent == ref_text(query.parent)
    if query.statuses:
        yield _C.status.in_(query.statuses)
    for path, text in query.where.items():
        yield _C.body[tuple(path.split("."))].as_string() == text
    yield from _names(query)
    yield from _moments(query)


def _names(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.name:
        yield _C.name == query.name
    if query.name_prefix:
        yield _C.name.between(query.name_prefix, query.name_prefix + _LAST_CHARACTER)
    if query.name_contains:
        yield func.lower(_C.name).contains(query.name_contains.lower(), autoescape=True)


def _moments(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.created_after is not None:
        yield _C.created_at > micros(query.created_after)
    if query.created_before is not None:
        yield _C.created_at < micros(query.created_before)
    if query.modified_after is not None:
        yield _C.modified_at > micros(query.modified_after)
    if query.modified_before is not None:
        yield _C.modified_at < micros(query.modified_before)
