"""Metadata and the work queue in a SQL database, in SQL that SQLite and Postgres both speak.

A process keeps one connection for writing, because SQLite has one writer and waiting for a
connection is fairer and faster than waiting for its lock, and a few for reading.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, union_all
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from clary.adapters.sql_batches import links, resources, tags
from clary.adapters.sql_direct import CLAIMABLE, REF, Statements, direct, of_ref
from clary.adapters.sql_schema import (
    EVENT,
    RESOURCE,
    event_from_row,
    event_from_values,
    micros,
    ref_text,
    resource_from_row,
    resource_from_values,
)
from clary.adapters.sql_select import select_page, token_after
from clary.adapters.sql_transaction import SqlTransaction
from clary.kernel.clock import now
from clary.kernel.errors import Unavailable
from clary.kernel.resource import Claim, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import CompoundSelect, Connection, Engine, Table
    from sqlalchemy.engine.interfaces import DBAPICursor
    from sqlalchemy.pool import PoolProxiedConnection

    from clary.adapters.sql_direct import Direct
    from clary.kernel.names import Ref
    from clary.kernel.resource import Event, Link, Query, Resource

_C = RESOURCE.c


def _first_due(kinds: Sequence[str]) -> CompoundSelect[Any]:
    """Ask for the first due of each kind, which is one look into the index a kind."""
    firsts = [
        select(_C.due_at, *(_C[name] for name in REF))
        .where(_C.kind == kind, CLAIMABLE)
        .order_by(_C.due_at)
        .limit(1)
        .subquery()
        for kind in kinds
    ]
    return union_all(*(select(first) for first in firsts)).order_by("due_at").limit(1)


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
        self._statements = Statements(writes.dialect, insert)
        self._first_due: dict[tuple[str, ...], Direct] = {}
        self._driver_error: type[Exception] = writes.dialect.loaded_dbapi.OperationalError
        self._queue_changed = threading.Condition()
        self._queued = 0
        self._seen = threading.local()

    def close(self) -> None:
        """Give back every connection; the store is of no use afterwards."""
        self._reads.dispose()
        self._writes.dispose()

    @contextmanager
    def begin(self, *, durable: bool = True) -> Iterator[SqlTransaction]:
        """Open a write transaction. An exception inside rolls it back."""
        with self._write(durable=durable) as cursor:
            transaction = SqlTransaction(cursor, self._statements)
            yield transaction
            transaction.call_followers()
        if transaction.has_queued:
            self._note_queued()

    def get(self, ref: Ref) -> Resource | None:
        """Read one resource, or None."""
        with self._look() as cursor:
            row = self._statements.get.run(cursor, of_ref(ref)).fetchone()
        return None if row is None else resource_from_values(row)

    def get_all(self, refs: Iterable[Ref]) -> Mapping[Ref, Resource]:
        """Read those of many resources that there are, in the order of ``refs``."""
        with self._read() as connection:
            return resources(connection, refs)

    def select(self, query: Query) -> Page:
        """List resources, one page. Raises InvalidInput for a token it did not give."""
        statement = select_page(query)
        with self._read() as connection:
            rows = connection.execute(statement).all()
        items = [resource_from_row(row) for row in rows[: query.limit]]
        more = len(rows) > query.limit
        return Page(items, token_after(query, rows[query.limit - 1]) if more else "")

    def links(self, *refs: Ref, incoming: bool) -> Sequence[Link]:
        """Edges that end (``incoming``) or start at any of ``refs``, in the order of adding."""
        with self._read() as connection:
            return links(connection, refs, incoming=incoming)

    def tags(self, ref: Ref) -> Mapping[str, str]:
        """Tags of a resource, by key; empty when it has none."""
        with self._read() as connection:
            return tags(connection, [ref]).get(ref, {})

    def tags_of(self, refs: Iterable[Ref]) -> Mapping[Ref, Mapping[str, str]]:
        """Tags of those of many resources that have any."""
        with self._read() as connection:
            return tags(connection, refs)

    def events(
        self, *, after: int = 0, limit: int = 1000, ref: Ref | None = None
    ) -> Sequence[Event]:
        """Journal lines with ``id > after``, oldest first."""
        if ref is None:  # what every reader of the journal asks for
            with self._look() as cursor:
                values = {"after": after, "most": limit}
                return list(
                    map(event_from_values, self._statements.events.run(cursor, values).fetchall())
                )
        statement = select(EVENT).where(EVENT.c.id > after).order_by(EVENT.c.id).limit(limit)
        statement = statement.where(EVENT.c.ref == ref_text(ref))
        with self._read() as connection:
            return [event_from_row(row) for row in connection.execute(statement)]

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Claim | None:
        """Take one due resource of ``kinds`` that nobody holds, or None."""
        self._seen.queued = self._queued
        while True:
            at = micros(now())
            due = self._due(tuple(kinds), owner, at)
            if due is None:
                return None
            with self._write(durable=False) as cursor:
                values = {**due, "at": at, "claimer": owner, "lease_end": _lease_end(lease_s)}
                if self._statements.claim.run(cursor, values).rowcount:
                    [row] = self._statements.claimed.run(cursor, due).fetchall()
                    return Claim(resource_from_values(row), owner, row[-1])

    def _due(self, kinds: tuple[str, ...], owner: str, at: int) -> dict[str, Any] | None:
        if not kinds:
            return None
        statement = self._first_due.get(kinds)
        if statement is None:
            statement = direct(_first_due(kinds), self._reads.dialect)
            self._first_due[kinds] = statement
        with self._look() as cursor:
            row = statement.run(cursor, {"at": at, "claimer": owner}).fetchone()
        names = (f"of_{name}" for name in REF)
        return None if row is None else dict(zip(names, row[1:], strict=True))

    def renew(self, owner: str, lease_s: float) -> None:
        """Extend every lease of ``owner``."""
        with self._write(durable=False) as cursor:
            values = {"holder": owner, "lease_end": _lease_end(lease_s)}
            self._statements.renew.run(cursor, values)

    def release(self, claim: Claim, due_at: datetime | None) -> None:
        """Give it back; due again at ``due_at`` (None: when woken), at once if woken meanwhile."""
        with self._write(durable=False) as cursor:
            self._statements.release.run(
                cursor,
                {
                    **of_ref(claim.resource.ref),
                    "holder": claim.owner,
                    "claimed_wakes": claim.wakes,
                    "released_at": micros(now()),
                    "next_due_at": due_at and micros(due_at),
                },
            )
        self._note_queued()

    def wait(self, timeout_s: float) -> None:
        """Return when this process has put or given back something, or after ``timeout_s``.

        What happened since this thread last began to ``claim``, or returned from here, counts.
        """
        with self._queue_changed:
            seen = getattr(self._seen, "queued", self._queued)
            self._queue_changed.wait_for(lambda: self._queued != seen, timeout_s)
            self._seen.queued = self._queued

    def _note_queued(self) -> None:
        with self._queue_changed:
            self._queued += 1
            self._queue_changed.notify_all()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._unavailable("read"), self._reads.connect() as connection:
            yield connection

    @contextmanager
    def _look(self) -> Iterator[DBAPICursor]:
        with self._unavailable("read"):
            connection = self._reads.raw_connection()
            try:
                yield connection.cursor()
            finally:
                connection.close()

    @contextmanager
    def _write(self, *, durable: bool) -> Iterator[DBAPICursor]:
        with self._unavailable("written"):
            connection = self._writes.raw_connection()
            try:
                cursor = connection.cursor()
                self._begin(connection, cursor, durable=durable)
                yield cursor
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            finally:
                connection.close()

    def _begin(
        self, connection: PoolProxiedConnection, cursor: DBAPICursor, *, durable: bool
    ) -> None:
        """Begin a transaction that may write; its commit waits for the disk if ``durable``."""
        raise NotImplementedError

    @contextmanager
    def _unavailable(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (OperationalError, PoolTimeout, self._driver_error) as error:
            cause = getattr(error, "orig", None) or error
            raise Unavailable(f"the metadata store cannot be {verb}: {cause}") from error


def _lease_end(lease_s: float) -> int:
    return micros(now()) + round(lease_s * 1_000_000)
