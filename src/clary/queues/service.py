"""Queues: make, change, look, empty, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.resource import Event, Query, Resource
from clary.queues.messages import Messages, is_free
from clary.queues.model import Counts, check_name, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction, WorkQueue
    from clary.kernel.resource import Page
    from clary.queues.model import Settings

_PAGE = 1000


class Queues:
    """The verbs of queues; those of messages are in ``messages``.

    Parameters
    ----------
    store
        Where queues and their messages lie.
    work
        Tells when something has changed.
    """

    def __init__(self, store: MetadataStore, work: WorkQueue) -> None:
        self._store = store
        self.messages = Messages(store, work)

    def create(
        self,
        ref: Ref,
        attributes: Mapping[str, str],
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
    ) -> Resource:
        """Make a queue; making it again with the same attributes changes nothing.

        Raises
        ------
        InvalidInput, NotSupported
            Its name or an attribute is not legal, or not offered.
        AlreadyExists
            There is one of the name with other attributes.
        """
        check_name(ref.name)
        wanted = settings(attributes)
        with self._store.begin() as transaction:
            if present := transaction.get(ref):
                if settings({**present.body["attributes"], **attributes}) != settings(
                    present.body["attributes"]
                ):
                    raise AlreadyExists(ref, hint="with other attributes")
                return present
            _check_redrive(transaction, ref, wanted)
            at = now()
            made = transaction.insert(Resource(ref, {"attributes": dict(attributes)}, at, at))
            transaction.tag(ref, dict(tags or {}))
            transaction.append(Event(at, actor, "queue.created", ref))
            return made

    def get(self, ref: Ref) -> Resource:
        """Read a queue. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List queues."""
        return self._store.select(query)

    def tags(self, ref: Ref) -> Mapping[str, str]:
        """Read a queue's tags. Raises NotFound."""
        self.get(ref)
        return self._store.tags(ref)

    def tag(self, ref: Ref, tags: Mapping[str, str | None], *, actor: str) -> None:
        """Set tags; None removes one. Raises NotFound."""
        with self._store.begin() as transaction:
            _existing(transaction, ref)
            transaction.tag(ref, tags)
            transaction.append(Event(now(), actor, "queue.tagged", ref))

    def update(self, ref: Ref, attributes: Mapping[str, str], *, actor: str) -> None:
        """Change attributes. Raises NotFound, InvalidInput, NotSupported."""
        with self._store.begin() as transaction:
            queue = _existing(transaction, ref)
            whole = {**queue.body["attributes"], **attributes}
            _check_redrive(transaction, ref, settings(whole))
            transaction.update(replace(queue, body={**queue.body, "attributes": whole}))
            transaction.append(Event(now(), actor, "queue.updated", ref, dict(attributes)))

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a queue and its messages. Raises NotFound."""
        with self._store.begin() as transaction:
            _existing(transaction, ref)
            self._empty(transaction, ref)
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "queue.deleted", ref))

    def purge(self, ref: Ref, *, actor: str) -> None:
        """Remove a queue's messages. Raises NotFound."""
        with self._store.begin() as transaction:
            _existing(transaction, ref)
            self._empty(transaction, ref)
            transaction.append(Event(now(), actor, "queue.purged", ref))

    def counts(self, ref: Ref) -> Counts:
        """Count a queue's messages by what can be done with them."""
        at = now()
        found = {"Visible": 0, "Hidden": 0, "Delayed": 0}
        for message in self.messages.all(ref):
            found["Visible" if is_free(message, at) else message.status] += 1
        return Counts(found["Visible"], found["Hidden"], found["Delayed"])

    def sources(self, ref: Ref) -> Sequence[Resource]:
        """List the queues whose dead letters come to this one."""
        query = Query("queue", ref.account, ref.region, limit=_PAGE)
        return [
            one
            for one in self._store.select(query).items
            if (redrive := settings(one.body["attributes"]).redrive) and redrive.target == ref
        ]

    def _empty(self, transaction: Transaction, ref: Ref) -> None:
        for message in self.messages.all(ref):
            transaction.delete(message.ref)


def _check_redrive(transaction: Transaction, ref: Ref, wanted: Settings) -> None:
    target = wanted.redrive.target if wanted.redrive else None
    if target is not None and (target == ref or transaction.get(target) is None):
        problem = "is the queue itself" if target == ref else "does not exist"
        raise InvalidInput("RedrivePolicy.deadLetterTargetArn", f"{target} {problem}")


def _existing(transaction: Transaction, ref: Ref) -> Resource:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
