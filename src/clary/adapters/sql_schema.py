"""The tables of the metadata store, for any SQL database, and how values lie in them.

Moments are whole microseconds since 1970 UTC. A ref is five columns where lists filter on its
parts, and one text elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from clary.kernel.codec import from_json
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Link, Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

HEAD = "0001"
"""The newest migration: a database at it is current."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

METADATA = MetaData()

RESOURCE = Table(
    "resource",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("parent", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    # the work queue: due_at is when it may be claimed next, so a claim moves it to the lease's end
    Column("due_at", BigInteger),
    Column("wakes", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
)
_NAMED = ("kind", "account", "region")
_KEY = ("name", "version")
Index("resource_created", *(RESOURCE.c[name] for name in (*_NAMED, "created_at", *_KEY)))
Index("resource_modified", *(RESOURCE.c[name] for name in (*_NAMED, "modified_at", *_KEY)))
Index("resource_status", *(RESOURCE.c[name] for name in (*_NAMED, "status", "created_at", *_KEY)))
Index(
    "resource_parent",
    *(RESOURCE.c[name] for name in ("parent", "kind", "created_at", *_KEY)),
    sqlite_where=RESOURCE.c.parent.is_not(None),
    postgresql_where=RESOURCE.c.parent.is_not(None),
)
Index(
    "resource_due",
    RESOURCE.c.kind,
    RESOURCE.c.due_at,
    sqlite_where=RESOURCE.c.due_at.is_not(None),
    postgresql_where=RESOURCE.c.due_at.is_not(None),
)
Index(
    "resource_lease",
    RESOURCE.c.lease_owner,
    sqlite_where=RESOURCE.c.lease_owner.is_not(None),
    postgresql_where=RESOURCE.c.lease_owner.is_not(None),
)

_SERIAL = BigInteger().with_variant(Integer, "sqlite")

LINK = Table(
    "link",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("role", Text, nullable=False),
    UniqueConstraint("source", "target", "kind", "role", name="link_once"),
    Index("link_target", "target"),
)

TAG = Table(
    "tag",
    METADATA,
    Column("ref", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

EVENT = Table(
    "event",
    METADATA,
    Column("id", _SERIAL, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("event_ref", "ref", "id"),
    sqlite_autoincrement=True,
)


def micros(moment: datetime) -> int:
    """Count the microseconds from 1970 to an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """Turn microseconds since 1970 back into a UTC moment."""
    return _EPOCH + timedelta(microseconds=count)


def ref_text(ref: Ref) -> str:
    """Write a ref as one text; the name, which may hold anything, comes last."""
    return f"{ref.account}:{ref.region}:{ref.kind}:{ref.version}:{ref.name}"


def ref_from_text(text: str) -> Ref:
    """Read what ``ref_text`` wrote."""
    account, region, kind, version, name = text.split(":", 4)
    return Ref(account, region, kind, name, int(version))


def ref_columns(ref: Ref) -> dict[str, Any]:
    """Spread a ref over the key columns of ``resource``."""
    return {
        "kind": ref.kind,
        "account": ref.account,
        "region": ref.region,
        "name": ref.name,
        "version": ref.version,
    }


def resource_columns(resource: Resource) -> dict[str, Any]:
    """Spread a resource over the columns of its table, without those of the work queue."""
    return ref_columns(resource.ref) | {
        "status": resource.status,
        "parent": resource.parent and ref_text(resource.parent),
        "created_at": micros(resource.created_at),
        "modified_at": micros(resource.modified_at),
        "revision": resource.revision,
        "body": resource.body,
    }


def resource_from_row(row: Row[Any]) -> Resource:
    """Read a row of ``resource``."""
    return Resource(
        ref=Ref(row.account, row.region, row.kind, row.name, row.version),
        body=row.body,
        created_at=moment(row.created_at),
        modified_at=moment(row.modified_at),
        status=row.status,
        parent=ref_from_text(row.parent) if row.parent is not None else None,
        revision=row.revision,
    )


def resource_from_values(values: Sequence[Any]) -> Resource:
    """Read a row as the driver gives it, in the order of the table's columns, ``body`` a text."""
    kind, account, region, name, version, status, parent, *moments, revision, body = values[:11]
    return Resource(
        ref=Ref(account, region, kind, name, version),
        body=from_json(body),
        created_at=moment(moments[0]),
        modified_at=moment(moments[1]),
        status=status,
        parent=ref_from_text(parent) if parent is not None else None,
        revision=revision,
    )


def link_from_row(row: Row[Any]) -> Link:
    """Read a row of ``link``."""
    kind = cast(
        "Literal['ContributedTo', 'AssociatedWith', 'DerivedFrom', 'Produced', 'SameAs']", row.kind
    )
    return Link(ref_from_text(row.source), kind, ref_from_text(row.target), row.role)


def event_from_row(row: Row[Any]) -> Event:
    """Read a row of ``event``."""
    return Event(
        at=moment(row.at),
        actor=row.actor,
        action=row.action,
        ref=ref_from_text(row.ref),
        detail=row.detail,
        id=row.id,
    )


def event_from_values(values: Sequence[Any]) -> Event:
    """Read a row as the driver gives it, in the order of the table's columns."""
    number, at, actor, action, ref, detail = values
    return Event(moment(at), actor, action, ref_from_text(ref), from_json(detail), number)
