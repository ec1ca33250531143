"""Deliveries: what a schedule or rule has decided to start, started once, whatever dies when.

A delivery is a resource that is inserted with the decision. A pipeline is started by a client token
that is the delivery's name; a message, or the call of a function, is written in the transaction
that removes the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from clary.functions.model import Asked
from clary.kernel.clock import now
from clary.kernel.codec import build, plain, to_json
from clary.kernel.errors import ClaryError, Conflict
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Resource
from clary.pipelines.targets import Target
from clary.queues.model import Attribute, Draft

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from datetime import datetime

    from clary.functions.invocations import Invocations
    from clary.kernel.ports import MetadataStore, Transaction
    from clary.pipelines.service import Pipelines
    from clary.queues.messages import Messages

DELIVERY = "delivery"
RETRIES = 2


class Delivery(msgspec.Struct, frozen=True):
    """The body of a delivery's resource.

    Parameters
    ----------
    cause
        The schedule or rule.
    target
        What is started.
    event
        What happened; what the target is given is made of it.
    actor
        In whose name.
    """

    cause: Ref
    target: Target
    event: dict[str, Any]
    actor: str


@dataclass(frozen=True, slots=True)
class Receivers:
    """The services that deliveries go to."""

    pipelines: Pipelines
    messages: Messages
    invocations: Invocations


class Deliveries:
    """What is on its way; ``run`` is the worker's handler of it."""

    def __init__(self, store: MetadataStore, receivers: Receivers) -> None:
        self._store = store
        self._to = receivers

    @staticmethod
    def add(
        transaction: Transaction,
        name: str,
        cause: Ref,
        target: Target,
        event: Mapping[str, Any],
        *,
        actor: str,
    ) -> None:
        """Put a delivery on its way, once for each name of 32 to 128 characters."""
        ref = cause.sibling(DELIVERY, name)
        if transaction.get(ref) is None:
            at = now()
            delivery = Delivery(cause, target, dict(event), _assumed(target, cause.kind) or actor)
            transaction.insert(Resource(ref, plain(delivery), at, at, parent=cause), due=True)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Deliver; what the receiver refuses is written down and goes to the dead letters."""
        del stopping
        delivery = build(Delivery, resource.body)
        try:
            self._deliver(resource.ref, delivery)
        except ClaryError as error:
            if error.retryable or isinstance(error, Conflict):
                raise
            self._refuse(resource.ref, delivery, error)
        return None

    def _deliver(self, ref: Ref, delivery: Delivery) -> None:
        target, event = delivery.target, delivery.event
        made = ""
        if target.ref.kind == "pipeline":
            request = {
                "ClientRequestToken": ref.name,
                "PipelineParameters": target.parameters(event),
            }
            started = self._to.pipelines.start(target.ref, request, actor=delivery.actor)
            made = started.ref.name
        with self._store.begin() as transaction:
            if transaction.get(ref) is None:
                return
            if target.ref.kind == "queue":
                draft = Draft(target.text(event))
                made = self._to.messages.send(
                    target.ref, draft, actor=delivery.actor, transaction=transaction
                )
            elif target.ref.kind == "function":
                asked = Asked(target.text(event).encode(), delivery.actor, again=RETRIES)
                call = self._to.invocations.start(target.ref, asked, transaction=transaction)
                made = call.name
            self._end(transaction, ref, delivery, "delivered", {"made": made})

    def _refuse(self, ref: Ref, delivery: Delivery, error: ClaryError) -> None:
        letters = delivery.target.dead_letters
        with self._store.begin() as transaction:
            if transaction.get(ref) is None:
                return
            if letters is not None and transaction.get(letters) is not None:
                why = {
                    "ERROR_CODE": Attribute("String", type(error).__name__),
                    "ERROR_MESSAGE": Attribute("String", error.message),
                    "TARGET_ARN": Attribute("String", delivery.target.arn),
                }
                draft = Draft(to_json(delivery.event).decode(), why)
                self._to.messages.send(
                    letters, draft, actor=delivery.actor, transaction=transaction
                )
            self._end(transaction, ref, delivery, "failed", {"reason": error.message})

    @staticmethod
    def _end(
        transaction: Transaction,
        ref: Ref,
        delivery: Delivery,
        word: str,
        detail: Mapping[str, Any],
    ) -> None:
        transaction.delete(ref)
        whole = {"target": delivery.target.arn, **detail}
        action = f"{delivery.cause.kind}.{word}"
        transaction.append(Event(now(), delivery.actor, action, delivery.cause, whole))


def _assumed(target: Target, session: str) -> str:
    """Name who a target's role makes of its caller; empty without a role."""
    account, _, path = target.role_arn.removeprefix("arn:aws:iam::").partition(":role/")
    role = path.rpartition("/")[2]
    return f"arn:aws:sts::{account}:assumed-role/{role}/{session}" if role else ""
