"""One transaction on the tables of the metadata store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from clary.adapters.sql_direct import of_ref
from clary.adapters.sql_schema import (
    micros,
    ref_text,
    resource_columns,
    resource_from_values,
)
from clary.kernel.clock import now
from clary.kernel.codec import to_json
from clary.kernel.errors import AlreadyExists, Conflict, NotFound
from clary.kernel.journal import DELAY_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine.interfaces import DBAPICursor

    from clary.adapters.sql_direct import Statements
    from clary.kernel.names import Ref
    from clary.kernel.resource import Event, Link, Resource


class SqlTransaction:
    """Implements ``Transaction`` on a cursor whose connection has begun one.

    ``has_queued`` says whether it has put something on the work queue.
    """

    def __init__(self, cursor: DBAPICursor, statements: Statements) -> None:
        self._cursor = cursor
        self._run = statements
        self._appended = False
        self.has_queued = False

    def insert(self, resource: Resource, *, due: bool = False) -> Resource:
        """Store a new resource; ``due`` puts it on the work queue. Raises AlreadyExists."""
        self.has_queued |= due
        values = resource_columns(resource)
        values["body"] = _text(resource.body)
        values["due_at"] = micros(now()) if due else None
        if not self._run.insert.run(self._cursor, values).rowcount:
            raise AlreadyExists(resource.ref)
        return resource

    def update(self, resource: Resource) -> Resource:
        """Replace status, body and parent; returns it with the next revision."""
        changed = replace(resource, modified_at=now(), revision=resource.revision + 1)
        values = resource_columns(changed)
        done = self._run.update.run(
            self._cursor,
            {
                **of_ref(resource.ref),
                "read_revision": resource.revision,
                "read_created_at": values["created_at"],
                "status": values["status"],
                "parent": values["parent"],
                "body": _text(resource.body),
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
        row = self._run.get.run(self._cursor, of_ref(ref)).fetchone()
        return None if row is None else resource_from_values(row)

    def delete(self, ref: Ref) -> None:
        """Remove it with its tags; links and events stay. Raises NotFound."""
        if not self._run.delete.run(self._cursor, of_ref(ref)).rowcount:
            raise NotFound(ref)
        self._run.delete_tags.run(self._cursor, {"of_ref": ref_text(ref)})

    def wake(self, ref: Ref) -> None:
        """Put it on the work queue now; wakes a worker that already holds it once more."""
        self.has_queued = True
        self._run.wake.run(self._cursor, {**of_ref(ref), "woken_at": micros(now())})

    def link(self, link: Link) -> None:
        """Add an edge; adding it again changes nothing."""
        self._run.link.run(
            self._cursor,
            {
                "source": ref_text(link.source),
                "kind": link.kind,
                "target": ref_text(link.target),
                "role": link.role,
            },
        )

    def unlink(self, link: Link) -> None:
        """Remove an edge; removing an absent one is no error."""
        self._run.unlink.run(
            self._cursor,
            {
                "of_source": ref_text(link.source),
                "of_kind": link.kind,
                "of_target": ref_text(link.target),
                "of_role": link.role,
            },
        )

    def tag(self, ref: Ref, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one."""
        of = ref_text(ref)
        for key, value in tags.items():
            if value is None:
                self._run.delete_tag.run(self._cursor, {"of_ref": of, "of_key": key})
            else:
                self._run.put_tag.run(self._cursor, {"ref": of, "key": key, "value": value})

    def append(self, event: Event) -> None:
        """Write a line of the journal; who follows it becomes due shortly after the commit."""
        self._appended = True
        self._run.append.run(
            self._cursor,
            {
                "at": micros(event.at),
                "actor": event.actor,
                "action": event.action,
                "ref": ref_text(event.ref),
                "detail": _text(event.detail),
            },
        )

    def call_followers(self) -> None:
        """Make due who follows the journal, if it has grown."""
        if self._appended:
            call_at = micros(now() + timedelta(seconds=DELAY_S))
            self._run.call_followers.run(self._cursor, {"call_at": call_at})


def _text(document: Mapping[str, object]) -> str:
    return to_json(document).decode()
