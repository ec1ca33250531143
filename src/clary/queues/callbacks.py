"""Callbacks: a message goes out with a token, and whoever sends the token back ends the step."""

from __future__ import annotations

import secrets
import string
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from clary.kernel.clock import now
from clary.kernel.codec import build, plain, to_json
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.kernel.names import arn
from clary.kernel.outputs import OutputParameter, Value, typed
from clary.kernel.resource import Event, Resource
from clary.queues.model import Draft, from_url

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction
    from clary.queues.messages import Messages

CALLBACK = "pipeline-callback"
WAITING = ("Executing", "Stopping")
TIMEOUT_S = 7 * 86_400
"""How long an answer is waited for."""
_LETTERS = string.ascii_letters + string.digits
_TOKEN_LENGTH = 10
_LONGEST_REASON = 256


class Callback(msgspec.Struct, frozen=True):
    """The body of a callback's resource, whose name is its token."""

    url: str
    arguments: dict[str, Any]
    outputs: list[OutputParameter]
    actor: str
    until: datetime
    values: dict[str, Value] = {}
    reason: str = ""


class Callbacks:
    """What waits for an answer from outside; ``run`` is the worker's handler of it.

    Parameters
    ----------
    store
        Where callbacks lie.
    messages
        Carries the tokens.
    """

    def __init__(self, store: MetadataStore, messages: Messages) -> None:
        self._store = store
        self._messages = messages

    def ask(
        self,
        execution: Ref,
        url: str,
        arguments: Mapping[str, Any],
        outputs: Sequence[OutputParameter],
        *,
        actor: str,
        transaction: Transaction,
    ) -> Ref:
        """Send the message of a callback that ``execution`` waits for.

        Raises
        ------
        NotFound
            There is no such queue.
        InvalidInput
            The URL is none of a queue, or the message is too long.
        """
        token = "".join(secrets.choice(_LETTERS) for _ in range(_TOKEN_LENGTH))
        ref = execution.sibling(CALLBACK, token)
        at = now()
        callback = Callback(
            url, dict(arguments), list(outputs), actor, at + timedelta(seconds=TIMEOUT_S)
        )
        made = Resource(ref, plain(callback), at, at, "Executing", execution)
        transaction.insert(made, due=True)
        self._send(made, callback, "Executing", transaction)
        return ref

    def get(self, ref: Ref) -> tuple[str, Callback]:
        """Read how far a callback is, and the callback. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found.status, build(Callback, found.body)

    def succeed(self, ref: Ref, given: Mapping[str, str], *, actor: str) -> Ref:
        """Answer with outputs; returns the execution. Answering again alike changes nothing.

        Raises
        ------
        NotFound
            Nobody waits for this token.
        InvalidInput
            An output is missing, of another type or not declared.
        Conflict
            It was answered otherwise.
        """
        _, callback = self.get(ref)
        legal = ", ".join(one.output_name for one in callback.outputs) or "none is declared"
        for name in given:
            if name not in [one.output_name for one in callback.outputs]:
                raise InvalidInput(f"OutputParameters.{name}", "is not declared", legal=legal)
        values = typed(callback.outputs, given)
        return self._end(ref, "Succeeded", actor, values=values)

    def fail(self, ref: Ref, reason: str, *, actor: str) -> Ref:
        """Answer with a failure; returns the execution. Raises NotFound, Conflict."""
        return self._end(ref, "Failed", actor, reason=reason[:_LONGEST_REASON] or "no reason given")

    def stop(self, ref: Ref) -> None:
        """Tell the other side, once, that the execution is to stop; it still has to answer."""
        with self._store.begin() as transaction:
            found = transaction.get(ref)
            if found is None or found.status != "Executing":
                return
            transaction.update(replace(found, status="Stopping"))
            self._send(found, build(Callback, found.body), "Stopping", transaction)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Fail a callback that nobody answered in time; returns when to look again."""
        del stopping
        callback = build(Callback, resource.body)
        if resource.status not in WAITING:
            return None
        if now() < callback.until:
            return callback.until
        reason = f"no answer within {TIMEOUT_S // 86_400} days"
        self._end(resource.ref, "Failed", callback.actor, reason=reason)
        return None

    def _send(
        self, resource: Resource, callback: Callback, status: str, transaction: Transaction
    ) -> None:
        execution = resource.parent
        if execution is None:
            raise TypeError(f"{resource.ref} belongs to no execution")
        ref = resource.ref
        body = {
            "token": ref.name,
            "pipelineExecutionArn": arn(execution),
            "arguments": callback.arguments,
            "status": status,
        }
        queue = from_url(callback.url, account=ref.account, region=ref.region, field="SqsQueueUrl")
        draft = Draft(to_json(body).decode())
        self._messages.send(queue, draft, actor=callback.actor, transaction=transaction)

    def _end(self, ref: Ref, status: str, actor: str, **outcome: Any) -> Ref:
        with self._store.begin() as transaction:
            found = transaction.get(ref)
            if found is None or found.parent is None:
                raise NotFound(ref)
            ended = {**found.body, **outcome}
            if found.status not in WAITING:
                if (found.status, dict(found.body)) != (status, ended):
                    raise Conflict(f"{ref} was answered already: {found.status}")
                return found.parent
            transaction.update(replace(found, status=status, body=ended))
            transaction.append(Event(now(), actor, f"{ref.kind}.{status.lower()}", ref, outcome))
            transaction.wake(found.parent)
            return found.parent
