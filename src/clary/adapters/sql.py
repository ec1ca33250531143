"""Metadata and the work queue in a SQL database, in SQL that SQLite and Postgres both speak.

A process keeps one connection for writing, because SQLite has one writer and waiting for a
connection is fairer and faster than waiting for its lock, and a few for reading.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from clary.adapters.sql_schema import (
    EVENT,
    LINK,
    RESOURCE,
    TAG,
    event_from_row,
    link_from_row,
    micros,
    ref_columns,
    ref_text,
    resource_columns,
    resource_from_row,
)
from clary.adapters.sql_select import SELECT, select_page, token_after
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict, NotFound, Unavailable
from clary.kernel.journal import DELAY_S, FOLLOWER
from clary.kernel.resource import Claim, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from clary.kernel.names import Ref
    from clary.kernel.resource import Event, Link, Query, Resource

_C = RESOURCE.c


def _is_ref() -> ColumnElement[bool]:
    names = ("kind", "account", "region", "name", "version")
    return and_(*(_C[name] == bindparam(f"of_{name}") for name in names))


def _of(ref: Ref) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in ref_columns(ref).items()}


_GET = SELECT.where(_is_ref())
_UPDATE = (
    update(RESOURCE)
    .where(
        _is_ref(),
        _C.revision == bindparam("read_revision"),
        _C.created_at == bindparam("read_created_at"),  # else another resource of the same name
    )
    .values(revision=_C.revision + 1)
)
_DELETE = delete(RESOURCE).where(_is_ref())
_WAKE = (
    update(RESOURCE)
    .where(_is_ref())
    .values(
        wakes=_C.wakes + 1,
        due_at=case(
            (or_(_C.lease_owner.is_not(None), _C.due_at <= bindparam("woken_at")), _C.due_at),
            else_=bindparam("woken_at"),
        ),
    )
)
_CALL_FOLLOWERS = (
    update(RESOURCE)
    .where(_C.kind == FOLLOWER)
    .values(
        wakes=_C.wakes + 1,
        due_at=case((_C.due_at.is_(None), bindparam("call_at")), else_=_C.due_at),
    )
)
_CLAIMABLE = and_(
    _C.due_at <= bindparam("at"),
    or_(_C.lease_owner.is_(None), _C.lease_owner != bindparam("claimer")),
)
_DUE = (
    select(_C.due_at, _C.account, _C.region, _C.name, _C.version)
    .where(_C.kind == bindparam("of_kind"), _CLAIMABLE)
    .order_by(_C.due_at)
    .limit(1)
)
_CLAIM = update(RESOURCE).where(_is_ref(), _CLAIMABLE)
_CLAIMED = SELECT.add_columns(_C.wakes).where(_is_ref())
_RENEW = update(RESOURCE).where(_C.lease_owner == bindparam("holder"))
_RELEASE = (
    update(RESOURCE)
    .where(_is_ref(), _C.lease_owner == bindparam("holder"))
    .values(
        lease_owner=None,
        due_at=case(
            (_C.wakes != bindparam("claimed_wakes"), bindparam("released_at")),
            else_=bindparam("next_due_at"),
        ),
    )
)


class SqlStore:
    """Implements ``MetadataStore`` and ``WorkQueue``.

    Parameters
    ----------
    reads
        Engine whose connections commit by themselves.
    writes
        Engine of one connection, whose transactions take the right to write as they begin.
    insert
        The dialect's INSERT that knows ON CONFLICT.
    """

    def __init__(self, reads: Engine, writes: Engine, insert: Callable[[Table], Any]) -> None:
        self._reads = reads
        self._writes = writes
        self._insert = insert
        self._changed = threading.Condition()
        self._changes = 0
        self._seen = threading.local()

    def close(self) -> None:
        """Give back every connection; the store is of no use afterwards."""
        self._reads.dispose()
        self._writes.dispose()

    @contextmanager
    def begin(self) -> Iterator[SqlTransaction]:
        """Open a write transaction. An exception inside rolls it back."""
        with self._write() as connection:
            transaction = SqlTransaction(connection, self._insert)
            yield transaction
            transaction.call_followers()
        self._note_change()

    def get(self, ref: Ref) -> Resource | None:
        """Read one resource, or None."""
        with self._read() as connection:
            row = connection.execute(_GET, _of(ref)).first()
        return None if row is None else resource_from_row(row)

    def select(self, query: Query) -> Page:
        """List resources, one page. Raises InvalidInput for a token it did not give."""
        statement = select_page(query)
        with self._read() as connection:
            rows = connection.execute(statement).all()
        items = [resource_from_row(row) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        return Page(items, token_after(query, rows[query.limit - 1]) if more else "")

    def links(self, ref: Ref, *, incoming: bool) -> Sequence[Link]:
        """Edges that end (``incoming``) or start at ``ref``, in the order they were added."""
        end = LINK.c.target if incoming else LINK.c.source
        with self._read() as connection:
            rows = connection.execute(
                select(LINK).where(end == ref_text(ref)).order_by(LINK.c.id)
            ).all()
        return [link_from_row(row) for row in rows]

    def tags(self, ref: Ref) -> Mapping[str, str]:
        """Tags of a resource, by key; empty when it has none."""
        with self._read() as connection:
            rows = connection.execute(
                select(TAG.c.key, TAG.c.value).where(TAG.c.ref == ref_text(ref)).order_by(TAG.c.key)
            ).all()
        return {row.key: row.value for row in rows}

    def events(
        self, *, after: int = 0, limit: int = 1000, ref: Ref | None = None
    ) -> Sequence[Event]:
        """Journal lines with ``id > after``, oldest first."""
        statement = select(EVENT).where(EVENT.c.id > after).order_by(EVENT.c.id).limit(limit)
        if ref is not None:
            statement = statement.where(EVENT.c.ref == ref_text(ref))
        with self._read() as connection:
            return [event_from_row(row) for row in connection.execute(statement)]

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Claim | None:
        """Take one due resource of ``kinds`` that nobody holds, or None."""
        self._seen.changes = self._changes
        while True:
            at = micros(now())
            due = self._due(kinds, owner, at)
            if due is None:
                return None
            with self._write() as connection:
                taken = connection.execute(
                    _CLAIM.values(lease_owner=owner, due_at=_lease_end(lease_s)),
                    {**due, "at": at, "claimer": owner},
                )
                if taken.rowcount:
                    row = connection.execute(_CLAIMED, due).one()
                    return Claim(resource_from_row(row), owner, row.wakes)

    def _due(self, kinds: Sequence[str], owner: str, at: int) -> dict[str, Any] | None:
        with self._read() as connection:
            found = [
                (*row, kind)
                for kind in kinds
                for row in connection.execute(_DUE, {"of_kind": kind, "at": at, "claimer": owner})
            ]
        if not found:
            return None
        _, account, region, name, version, kind = min(found)
        return {
            "of_kind": kind,
            "of_account": account,
            "of_region": region,
            "of_name": name,
            "of_version": version,
        }

    def renew(self, owner: str, lease_s: float) -> None:
        """Extend every lease of ``owner``."""
        with self._write() as connection:
            connection.execute(_RENEW.values(due_at=_lease_end(lease_s)), {"holder": owner})

    def release(self, claim: Claim, due_at: datetime | None) -> None:
        """Give it back; due again at ``due_at`` (None: when woken), at once if woken meanwhile."""
        with self._write() as connection:
            connection.execute(
                _RELEASE,
                {
                    **_of(claim.resource.ref),
                    "holder": claim.owner,
                    "claimed_wakes": claim.wakes,
                    "released_at": micros(now()),
                    "next_due_at": due_at and micros(due_at),
                },
            )
        self._note_change()

    def wait(self, timeout_s: float) -> None:
        """Return when this process has committed a change, or after ``timeout_s``.

        A change since this thread last began to ``claim``, or returned from here, counts.
        """
        with self._changed:
            seen = getattr(self._seen, "changes", self._changes)
            self._changed.wait_for(lambda: self._changes != seen, timeout_s)
            self._seen.changes = self._changes

    def _note_change(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with _unavailable("read"), self._reads.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with _unavailable("written"), self._writes.begin() as connection:
            yield connection


class SqlTransaction:
    """Implements ``Transaction`` on a connection that has begun one."""

    def __init__(self, connection: Connection, insert: Callable[[Table], Any]) -> None:
        self._connection = connection
        self._insert = insert
        self._appended = False

    def insert(self, resource: Resource, *, due: bool = False) -> Resource:
        """Store a new resource; ``due`` puts it on the work queue. Raises AlreadyExists."""
        values = resource_columns(resource) | {"due_at": micros(now()) if due else None}
        done = self._connection.execute(self._insert(RESOURCE).on_conflict_do_nothing(), values)
        if not done.rowcount:
            raise AlreadyExists(resource.ref)
        return resource

    def update(self, resource: Resource) -> Resource:
        """Replace status, body and parent; returns it with the next revision."""
        changed = replace(resource, modified_at=now(), revision=resource.revision + 1)
        values = resource_columns(changed)
        done = self._connection.execute(
            _UPDATE,
            {
                **_of(resource.ref),
                "read_revision": resource.revision,
                "read_created_at": values["created_at"],
                "status": values["status"],
                "parent": values["parent"],
                "body": values["body"],
                "modified_at": values["modified_at"],
            },
        )
        if not done.rowcount:
            self._refuse_update(resource)
        return changed

    def _refuse_update(self, resource: Resource) -> None:
        stored = self.get(resource.ref)
        if stored is None:
            raise NotFound(resource.ref)
        raise Conflict(
            f"{resource.ref} was changed meanwhile: it is at revision {stored.revision}, "
            f"not {resource.revision}",
            hint="read it again and repeat the change",
        )

    def get(self, ref: Ref) -> Resource | None:
        """Read within the transaction."""
        row = self._connection.execute(_GET, _of(ref)).first()
        return None if row is None else resource_from_row(row)

    def delete(self, ref: Ref) -> None:
        """Remove it with its tags; links and events stay. Raises NotFound."""
        if not self._connection.execute(_DELETE, _of(ref)).rowcount:
            raise NotFound(ref)
        self._connection.execute(delete(TAG).where(TAG.c.ref == ref_text(ref)))

    def wake(self, ref: Ref) -> None:
        """Put it on the work queue now; wakes a worker that already holds it once more."""
        self._connection.execute(_WAKE, {**_of(ref), "woken_at": micros(now())})

    def link(self, link: Link) -> None:
        """Add an edge; adding it again changes nothing."""
        self._connection.execute(
            self._insert(LINK).on_conflict_do_nothing(),
            {
                "source": ref_text(link.source),
                "kind": link.kind,
                "target": ref_text(link.target),
                "role": link.role,
            },
        )

    def tag(self, ref: Ref, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one."""
        mine = TAG.c.ref == ref_text(ref)
        gone = [key for key, value in tags.items() if value is None]
        if gone:
            self._connection.execute(delete(TAG).where(mine, TAG.c.key.in_(gone)))
        rows = [
            {"ref": ref_text(ref), "key": key, "value": value}
            for key, value in tags.items()
            if value is not None
        ]
        if rows:
            insert = self._insert(TAG)
            self._connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["ref", "key"], set_={"value": insert.excluded.value}
                ),
                rows,
            )

    def append(self, event: Event) -> None:
        """Write a line of the journal; who follows it becomes due shortly after the commit."""
        self._appended = True
        self._connection.execute(
            self._insert(EVENT),
            {
                "at": micros(event.at),
                "actor": event.actor,
                "action": event.action,
                "ref": ref_text(event.ref),
                "detail": event.detail,
            },
        )

    def call_followers(self) -> None:
        """Make due who follows the journal, if it has grown."""
        if self._appended:
            call_at = micros(now() + timedelta(seconds=DELAY_S))
            self._connection.execute(_CALL_FOLLOWERS, {"call_at": call_at})


def _lease_end(lease_s: float) -> int:
    return micros(now()) + round(lease_s * 1_000_000)


@contextmanager
def _unavailable(verb: str) -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        cause = getattr(error, "orig", None) or error
        raise Unavailable(f"the metadata store cannot be {verb}: {cause}") from error
