"""One transaction on the tables of the metadata store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, or_, update

from clary.adapters.sql_schema import (
    EVENT,
    LINK,
    RESOURCE,
    TAG,
    micros,
    ref_columns,
    ref_text,
    resource_columns,
    resource_from_row,
)
from clary.adapters.sql_select import SELECT
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict, NotFound
from clary.kernel.journal import DELAY_S, FOLLOWER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection, Table

    from clary.kernel.names import Ref
    from clary.kernel.resource import Event, Link, Resource

_C = RESOURCE.c


def is_ref() -> ColumnElement[bool]:
    """Compare with the ref that ``of_ref`` binds."""
    names = ("kind", "account", "region", "name", "version")
    return and_(*(_C[name] == bindparam(f"of_{name}") for name in names))


def of_ref(ref: Ref) -> dict[str, Any]:
    """Give ``is_ref`` its values."""
    return {f"of_{name}": value for name, value in ref_columns(ref).items()}


GET = SELECT.where(is_ref())
_UPDATE = (
    update(RESOURCE)
    .where(
        is_ref(),
        _C.revision == bindparam("read_revision"),
        _C.created_at == bindparam("read_created_at"),  # else another resource of the same name
    )
    .values(revision=_C.revision + 1)
)
_DELETE = delete(RESOURCE).where(is_ref())
_WAKE = (
    update(RESOURCE)
    .where(is_ref())
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


class Inserts:
    """The statements that depend on the dialect, built once.

    Parameters
    ----------
    insert
        The dialect's INSERT that knows ON CONFLICT.
    """

    def __init__(self, insert: Callable[[Table], Any]) -> None:
        tag = insert(TAG)
        self.resource = insert(RESOURCE).on_conflict_do_nothing()
        self.link = insert(LINK).on_conflict_do_nothing()
        self.event = insert(EVENT)
        self.tag = tag.on_conflict_do_update(
            index_elements=["ref", "key"], set_={"value": tag.excluded.value}
        )


class SqlTransaction:
    """Implements ``Transaction`` on a connection that has begun one.

    ``has_queued`` says whether it has put something on the work queue.
    """

    def __init__(self, connection: Connection, inserts: Inserts) -> None:
        self._connection = connection
        self._inserts = inserts
        self._appended = False
        self.has_queued = False

    def insert(self, resource: Resource, *, due: bool = False) -> Resource:
        """Store a new resource; ``due`` puts it on the work queue. Raises AlreadyExists."""
        values = resource_columns(resource) | {"due_at": micros(now()) if due else None}
        self.has_queued |= due
        done = self._connection.execute(self._inserts.resource, values)
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
                **of_ref(resource.ref),
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
        row = self._connection.execute(GET, of_ref(ref)).first()
        return None if row is None else resource_from_row(row)

    def delete(self, ref: Ref) -> None:
        """Remove it with its tags; links and events stay. Raises NotFound."""
        if not self._connection.execute(_DELETE, of_ref(ref)).rowcount:
            raise NotFound(ref)
        self._connection.execute(delete(TAG).where(TAG.c.ref == ref_text(ref)))

    def wake(self, ref: Ref) -> None:
        """Put it on the work queue now; wakes a worker that already holds it once more."""
        self.has_queued = True
        self._connection.execute(_WAKE, {**of_ref(ref), "woken_at": micros(now())})

    def link(self, link: Link) -> None:
        """Add an edge; adding it again changes nothing."""
        self._connection.execute(
            self._inserts.link,
            {
                "source": ref_text(link.source),
                "kind": link.kind,
                "target": ref_text(link.target),
                "role": link.role,
            },
        )

    def unlink(self, link: Link) -> None:
        """Remove an edge; removing an absent one is no error."""
        ends = {"source": ref_text(link.source), "target": ref_text(link.target)}
        values = {**ends, "kind": link.kind, "role": link.role}
        self._connection.execute(
            delete(LINK).where(*(LINK.c[name] == value for name, value in values.items()))
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
            self._connection.execute(self._inserts.tag, rows)

    def append(self, event: Event) -> None:
        """Write a line of the journal; who follows it becomes due shortly after the commit."""
        self._appended = True
        self._connection.execute(
            self._inserts.event,
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
