"""What happens when an execution has found violations: those that are new are told, once.

A violation that the execution before had found too is not new. Whoever is to be told has a notice,
a resource that is written with the end of the execution and sent until it has arrived.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, structs

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import ClaryError
from clary.kernel.names import arn
from clary.kernel.resource import Event, Resource
from clary.monitoring.channels import (
    CHANNEL,
    FINDINGS,
    Channel,
    Channels,
    Finding,
    Findings,
    channel,
    findings,
)
from clary.pipelines.deliveries import Deliveries
from clary.pipelines.targets import Target

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.monitoring.model import Execution

NOTICE = "monitoring-notice"
GIVE_UP = timedelta(hours=24)
_MOST = 1000
_MOST_TOLD = 50
_FIRST_S, _LONGEST_S = 5.0, 3600.0
_log = logging.getLogger(__name__)


class Notice(Struct, frozen=True):
    """The body of a notice: what is told to whom.

    Parameters
    ----------
    channel
        The name of the channel.
    document
        What is told.
    tries
        How often it could not be sent.
    """

    channel: str
    document: dict[str, Any]
    tries: int = 0


class Sender(Protocol):
    """Tells the world outside."""

    def send(self, to: Channel, document: Mapping[str, Any], *, key: str) -> None:
        """Send a document, once more with the same ``key`` where that failed before.

        Raises
        ------
        ClaryError
            It did not arrive; says why, without secrets.
        """


class Alerts:
    """Tells of new violations; ``run`` is the worker's handler of notices."""

    def __init__(self, store: MetadataStore, sender: Sender) -> None:
        self._store = store
        self._channels = Channels(store)
        self._sender = sender

    def settle(
        self, change: Transaction, ref: Ref, value: Execution, found: Sequence[dict[str, Any]]
    ) -> None:
        """Take in what an execution found, in the transaction that says that it has ended."""
        schedule = ref.sibling("monitoring-schedule", value.schedule)
        at = now()
        place = schedule.sibling(FINDINGS, value.schedule)
        kept = change.get(place)
        before = findings(kept)
        there = {key(one): one for one in found[:_MOST]}
        new = [one for name, one in there.items() if name not in before.open]
        gone = [name for name in before.open if name not in there]
        if not (new or gone or there):
            return
        after = structs.replace(before, open=_lasting(before, there, at, ref.name))
        if kept is None:
            change.insert(Resource(place, plain(after), at, at))
        else:
            change.update(replace(kept, body=plain(after), modified_at=at))
        told = [one for one in new if not before.is_muted(one, at)]
        if new:
            detail = {"execution": ref.name, "new": len(new), "told": len(told)}
            change.append(Event(at, value.actor, "monitoring-schedule.violated", schedule, detail))
        if gone:
            detail = {"execution": ref.name, "resolved": len(gone)}
            change.append(Event(at, value.actor, "monitoring-schedule.resolved", schedule, detail))
        document = _document(ref, value, schedule)
        if told:
            self._tell(change, schedule, {**document, "state": "violated", **_some(told)})
        if gone:
            ended = [before.open[name].violation for name in gone]
            quiet = [one for one in ended if not before.is_muted(one, at)]
            if quiet:
                self._tell(change, schedule, {**document, "state": "resolved", **_some(quiet)})

    def _tell(self, change: Transaction, schedule: Ref, document: JsonObject) -> None:
        at = now()
        for one in self._channels.of(schedule, schedule.name):
            given = channel(one)
            whole = f"{document['execution']} {document['state']} {one.ref.name}"
            name = hashlib.sha256(whole.encode()).hexdigest()
            if given.kind != "pipeline":
                body = plain(Notice(one.ref.name, document))
                change.insert(Resource(one.ref.sibling(NOTICE, name), body, at, at), due=True)
            elif document["state"] == "violated":
                pipeline = Target(arn(one.ref.sibling("pipeline", given.target)))
                Deliveries.add(change, name, schedule, pipeline, document, actor=given.actor)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Send a notice; returns when to try again."""
        del stopping
        notice = build(Notice, resource.body)
        ref = resource.ref.sibling(CHANNEL, notice.channel)
        found = self._store.get(ref)
        if found is None:
            self._drop(resource, ref, "dropped", {"reason": "the channel is gone"})
            return None
        try:
            self._sender.send(channel(found), notice.document, key=resource.ref.name)
        except ClaryError as error:
            return self._later(resource, notice, ref, error)
        self._drop(resource, ref, "told", {"execution": notice.document["execution"]})
        return None

    def _later(
        self, resource: Resource, notice: Notice, ref: Ref, error: ClaryError
    ) -> datetime | None:
        _log.warning("channel %s could not be told: %s", ref.name, error.message)
        if now() - resource.created_at > GIVE_UP:
            self._drop(resource, ref, "failed", {"reason": error.message})
            return None
        tries = notice.tries + 1
        with self._store.begin() as change:
            body = plain(structs.replace(notice, tries=tries))
            change.update(replace(resource, body=body))
        return now() + timedelta(seconds=min(_FIRST_S * 2 ** min(tries - 1, 12), _LONGEST_S))

    def _drop(self, resource: Resource, ref: Ref, word: str, detail: Mapping[str, Any]) -> None:
        with self._store.begin() as change:
            change.delete(resource.ref)
            change.append(Event(now(), "", f"{CHANNEL}.{word}", ref, dict(detail)))


def key(violation: Mapping[str, Any]) -> str:
    """Say which violations are the same one, found again: of one check of one thing."""
    names = ("feature_name", "metric_name", "facet", "facet_value", "constraint_check_type")
    block = violation.get("clary")
    label = block.get("label") if isinstance(block, dict) else None
    whole = "\n".join(str(violation.get(name) or "") for name in names)
    return hashlib.sha256(f"{whole}\n{label or ''}".encode()).hexdigest()[:24]


def _lasting(
    before: Findings, there: Mapping[str, dict[str, Any]], at: datetime, execution: str
) -> dict[str, Finding]:
    made = {}
    for name, violation in there.items():
        known = before.open.get(name)
        first, times = (known.first_at, known.times + 1) if known else (at, 1)
        made[name] = Finding(violation, first, at, times, execution)
    return made


def _document(ref: Ref, value: Execution, schedule: Ref) -> JsonObject:
    document: JsonObject = plain(
        {
            "schedule": value.schedule,
            "arn": arn(schedule),
            "type": value.type,
            "endpoint": value.endpoint,
            "execution": ref.name,
            "start": value.start,
            "end": value.end,
            "report": value.output,
        }
    )
    return document


def _some(found: Sequence[dict[str, Any]]) -> JsonObject:
    return {"count": len(found), "violations": list(found[:_MOST_TOLD])}
