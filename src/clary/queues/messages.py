"""Messages: sent, received for a time, removed; durable, and never lost with their receiver."""

from __future__ import annotations

import secrets
import time
import uuid
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.kernel.names import arn
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Query, Resource
from clary.queues.model import MESSAGE, Message, Received, check_draft, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction, WorkQueue
    from clary.queues.model import Draft, Settings

_LOOK_S = 0.25
"""How long a message of another process, or one that is visible again, may go unseen."""
_PAGE = 1000
_LONGEST_HIDDEN_S = 43_200


class Messages:
    """The verbs of messages.

    Parameters
    ----------
    store
        Where they lie: each is a resource below its queue.
    work
        Tells when something has changed.
    """

    def __init__(self, store: MetadataStore, work: WorkQueue) -> None:
        self._store = store
        self._work = work

    def send(
        self, ref: Ref, draft: Draft, *, actor: str, transaction: Transaction | None = None
    ) -> str:
        """Send a message; returns its id.

        Parameters
        ----------
        transaction
            A change that this belongs to; else it is one of its own.

        Raises
        ------
        NotFound
            There is no such queue.
        InvalidInput
            It is too long, no text, or delayed for too long.
        """
        scope = nullcontext(transaction) if transaction is not None else self._store.begin()
        with scope as change:
            queue = change.get(ref)
            if queue is None:
                raise NotFound(ref)
            rules = settings_of(queue)
            check_draft(draft, rules.maximum_message_size)
            at = now()
            delay_s = rules.delay_seconds if draft.delay_s is None else draft.delay_s
            message = Message(
                text=draft.text,
                sender=actor,
                sent_at=at,
                visible_at=at + timedelta(seconds=delay_s),
                attributes=dict(draft.attributes),
                trace=draft.trace,
            )
            return self._insert(change, ref, str(uuid.uuid4()), message)

    def receive(
        self,
        ref: Ref,
        *,
        limit: int = 1,
        wait_s: float | None = None,
        hidden_s: int | None = None,
    ) -> Sequence[Received]:
        """Take up to ``limit`` messages, oldest first, that nobody else has in hand.

        Parameters
        ----------
        wait_s
            How long to wait for the first; None: as the queue says.
        hidden_s
            For how long nobody else receives them; None: as the queue says.

        Raises
        ------
        NotFound
            There is no such queue.
        InvalidInput
            A number is out of its bounds.
        """
        _check("MaxNumberOfMessages", limit, 1, 10)
        _check("WaitTimeSeconds", wait_s or 0, 0, 20)
        _check("VisibilityTimeout", hidden_s or 0, 0, _LONGEST_HIDDEN_S)
        rules = settings_of(self._queue(ref))
        hidden_s = rules.visibility_timeout if hidden_s is None else hidden_s
        given_s = rules.receive_message_wait_time_seconds if wait_s is None else wait_s
        until = time.monotonic() + given_s
        while True:
            while self._ready(ref, limit):
                if found := self._take(ref, rules, limit, hidden_s):
                    return found
            left_s = until - time.monotonic()
            if left_s <= 0:
                return ()
            self._work.wait(min(left_s, _LOOK_S))
            self._queue(ref)

    def remove(self, ref: Ref, handle: str) -> None:
        """Remove a message that was received; a handle that another receipt replaced does nothing.

        Raises
        ------
        InvalidInput
            The handle is none.
        NotFound
            There is no such queue.
        """
        self._queue(ref)
        message, receipt = _read_handle(ref, handle)
        with self._store.begin() as transaction:
            found = transaction.get(message)
            if found is not None and found.body.get("receipt") == receipt:
                transaction.delete(message)

    def hide(self, ref: Ref, handle: str, hidden_s: int) -> None:
        """Let a received message be received again in ``hidden_s`` seconds from now; 0: at once.

        Raises
        ------
        InvalidInput
            The handle is none, or the time out of its bounds.
        NotFound
            There is no such queue.
        Conflict
            The message is not in the hands of this receiver any more.
        """
        self._queue(ref)
        _check("VisibilityTimeout", hidden_s, 0, _LONGEST_HIDDEN_S)
        message, receipt = _read_handle(ref, handle)
        with self._store.begin() as transaction:
            found = transaction.get(message)
            mine = found is not None and found.body.get("receipt") == receipt
            if found is None or not mine or is_free(found, now()):
                raise Conflict(f"{handle[:40]!r}: the message is not in flight")
            visible_at = now() + timedelta(seconds=hidden_s)
            body = {**found.body, "visible_at": plain(visible_at)}
            status = "Hidden" if hidden_s else "Visible"
            transaction.update(replace(found, status=status, body=body))

    def all(self, ref: Ref) -> Iterator[Resource]:
        """Yield every message of a queue, oldest first."""
        query = Query(MESSAGE, parent=ref, descending=False, limit=_PAGE)
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)

    def _queue(self, ref: Ref) -> Resource:
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def _ready(self, ref: Ref, limit: int) -> list[Resource]:
        """Find the oldest messages that may be received now."""
        at = now()
        query = Query(MESSAGE, parent=ref, descending=False)
        free = self._store.select(replace(query, statuses=("Visible",), limit=limit)).items
        held = self._store.select(
            replace(query, statuses=("Hidden", "Delayed"), sort_by="modified", limit=_PAGE)
        ).items
        back = [message for message in held if is_free(message, at)]
        return sorted([*free, *back], key=lambda one: (one.created_at, one.ref))[:limit]

    def _take(self, ref: Ref, rules: Settings, limit: int, hidden_s: int) -> Sequence[Received]:
        taken: list[Received] = []
        at = now()
        oldest = at - timedelta(seconds=rules.message_retention_period)
        with self._store.begin() as transaction:
            for resource in self._ready(ref, limit):
                message = build(Message, resource.body)
                if message.sent_at < oldest:
                    transaction.delete(resource.ref)
                elif not self._bury(transaction, resource, message, rules):
                    taken.append(_hand_out(transaction, resource, message, at, hidden_s))
        return taken

    def _bury(
        self, transaction: Transaction, resource: Resource, message: Message, rules: Settings
    ) -> bool:
        """Move a message that was received too often to the dead-letter queue, if there is one."""
        redrive = rules.redrive
        if redrive is None or message.received < redrive.max_receive_count:
            return False
        if transaction.get(redrive.target) is None:
            return False
        transaction.delete(resource.ref)
        queue, _, name = resource.ref.name.partition("/")
        source = arn(resource.ref.sibling("queue", queue))
        dead = msgspec.structs.replace(message, source=source, receipt="", received=0)
        self._insert(transaction, redrive.target, name, dead)
        return True

    @staticmethod
    def _insert(transaction: Transaction, ref: Ref, name: str, message: Message) -> str:
        at = now()
        status = "Delayed" if message.visible_at > at else "Visible"
        made = ref.sibling(MESSAGE, f"{ref.name}/{name}")
        transaction.insert(Resource(made, plain(message), at, at, status, ref))
        return name


def is_free(message: Resource, at: datetime) -> bool:
    """Say whether a stored message may be received at a moment."""
    return datetime.fromisoformat(message.body["visible_at"]) <= at


def _hand_out(
    transaction: Transaction, resource: Resource, message: Message, at: datetime, hidden_s: int
) -> Received:
    receipt = secrets.token_urlsafe(12)
    handed = msgspec.structs.replace(
        message,
        received=message.received + 1,
        first_received_at=message.first_received_at or at,
        receipt=receipt,
        visible_at=at + timedelta(seconds=hidden_s),
    )
    status = "Hidden" if hidden_s else "Visible"
    transaction.update(replace(resource, status=status, body=plain(handed)))
    name = resource.ref.name.rpartition("/")[2]
    return Received(name, encode_token([name, receipt]), handed)


def _read_handle(ref: Ref, handle: str) -> tuple[Ref, str]:
    found: Any = decode_token(handle, field="ReceiptHandle")
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        found = []
    if len(found) != 2:
        raise InvalidInput("ReceiptHandle", f"{handle[:40]!r} is no receipt of a message")
    return ref.sibling(MESSAGE, f"{ref.name}/{found[0]}"), found[1]


def _check(field: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidInput(field, f"{value}", legal=f"{least} to {most}")
