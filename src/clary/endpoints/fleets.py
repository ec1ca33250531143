"""Fleets: so many healthy instances of a variant's containers, whatever dies."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from clary.endpoints import instances
from clary.endpoints.instances import State, Wanted
from clary.endpoints.meters import NAMESPACE
from clary.endpoints.model import FLEET, FleetSpec, FleetStatus
from clary.endpoints.targets import comes_by_use, needs_none, targets
from clary.endpoints.turns import LOOK_S, Interrupted, Turn
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import NotFound
from clary.kernel.resource import Event, Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from clary.endpoints.workers import Tools
    from clary.kernel.names import Ref
    from clary.kernel.ports import Transaction
    from clary.metrics.recorder import Recorder, Series

    Change = Callable[[FleetSpec, State], State]

_ACTOR = "clary"


@dataclass(frozen=True, slots=True)
class FleetState:
    """How a fleet is: ``ready`` instances of ``desired``, and why it failed or one did last."""

    status: FleetStatus
    ready: int
    desired: int
    reason: str


class Fleets:
    """The fleets of a home; ``run`` is the worker's handler of them.

    Parameters
    ----------
    tools
        See ``workers.Tools``.
    recorder
        Told how long instances that come by use took to be ready.

    Attributes
    ----------
    silences
        How often in a row this process has had no sign of life from an instance.
    """

    def __init__(self, tools: Tools, recorder: Recorder | None = None) -> None:
        self.tools = tools
        self._recorder = recorder
        self._setups: dict[Ref, Series] = {}
        self.silences: dict[tuple[Ref, int], int] = {}

    def create(
        self, ref: Ref, spec: FleetSpec, *, parent: Ref, transaction: Transaction
    ) -> Resource:
        """Make a fleet; it starts its instances once the transaction is committed.

        Raises
        ------
        AlreadyExists
            There is one of this name.
        """
        moment = now()
        state = State(wanted={"": Wanted(1)} if spec.serverless else {})
        body = plain(msgspec.structs.replace(spec, state=instances.write(state)))
        status = "InService" if needs_none(spec) else "Starting"
        made = transaction.insert(Resource(ref, body, moment, moment, status, parent), due=True)
        transaction.append(Event(moment, _ACTOR, f"{FLEET}.created", ref))
        if status == "InService":
            transaction.wake(parent)  # nothing else is going to change
        return made

    def resize(self, ref: Ref, count: int, *, transaction: Transaction) -> None:
        """Change how many instances there should be. Raises NotFound."""
        found = _existing(transaction, ref)
        transaction.update(replace(found, body={**found.body, "count": count}))
        transaction.append(Event(now(), _ACTOR, f"{FLEET}.resized", ref, {"count": count}))
        transaction.wake(ref)

    def retire(self, ref: Ref, *, transaction: Transaction) -> None:
        """Have a fleet answer what is under way, then end; nothing happens when it is gone."""
        found = transaction.get(ref)
        if found is None or found.status == "Draining":
            return
        spec = build(FleetSpec, found.body)
        state = instances.retired(instances.read(spec), time.time())
        body = {**found.body, "state": instances.write(state)}
        transaction.update(replace(found, status="Draining", body=body))
        transaction.append(Event(now(), _ACTOR, f"{FLEET}.draining", ref))
        transaction.wake(ref)

    def state(self, resource: Resource) -> FleetState:
        """Say how a fleet is."""
        spec = build(FleetSpec, resource.body)
        state = instances.read(spec)
        status: Any = resource.status
        if needs_none(spec):
            return FleetState(status, spec.count, spec.count, state.reason)
        desired = sum(one.count for one in targets(spec, state, {}).values())
        return FleetState(status, state.ready, desired, state.reason)

    def demand(self, ref: Ref, model: str, wanted: Wanted) -> None:
        """Have at least so many instances of a model, for a fleet whose come and go by use.

        A failure noted earlier is forgotten: it is tried again.
        """
        self.change(ref, lambda _, state: instances.demanded(state, model, wanted), wake=True)

    def report(self, ref: Ref) -> None:
        """Have a fleet looked at now, because an instance seems to be gone."""
        with self.tools.store.begin(durable=False) as transaction:
            transaction.wake(ref)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Look after a fleet until nothing changes for a while; returns when to look again."""
        ref = resource.ref
        while not stopping.is_set():
            found = self.tools.store.get(ref)
            if found is None:
                return None
            try:
                wait_s = Turn(self, found, stopping).go()
            except Interrupted:
                continue
            if wait_s is None:
                return None
            if wait_s >= LOOK_S:
                return now() + timedelta(seconds=wait_s)
            stopping.wait(wait_s)
        return now()

    def ready(self, ref: Ref, serial: int) -> None:
        """Have an instance take requests."""
        at = time.time()

        def change(spec: FleetSpec, state: State) -> State:
            for one in state.instances:
                if one.serial == serial and comes_by_use(spec) and one.phase == "starting":
                    self._measure(ref, spec, at - one.since)
            return instances.changed(state, serial, phase="ready", since=at)

        self.change(ref, change)

    def forget(self, ref: Ref) -> None:
        """Let go of what this process knows of a fleet that is gone."""
        self._setups.pop(ref, None)

    def _measure(self, ref: Ref, spec: FleetSpec, took_s: float) -> None:
        if self._recorder is None:
            return
        if ref not in self._setups:
            name = "ModelSetupTime" if spec.serverless else "ModelLoadingTime"
            where = {"EndpointName": spec.endpoint, "VariantName": spec.variant}
            self._setups[ref] = self._recorder.series(
                NAMESPACE, name, where, "Microseconds", near=ref
            )
        self._setups[ref].add(took_s * 1e6)

    def failed(self, ref: Ref, serial: int, reason: str) -> None:
        """Take an instance out that cannot answer any more, and say why."""
        event = Event(now(), _ACTOR, f"{FLEET}.instance-failed", ref, {"reason": reason})
        self.change(
            ref,
            lambda _, state: instances.failed(state, serial, reason, time.time()),
            event=event,
        )

    def change(
        self, ref: Ref, change: Change, *, wake: bool = False, event: Event | None = None
    ) -> Resource | None:
        """Change a fleet's notes; tells its endpoint when status or ready instances change."""
        with self.tools.store.begin(durable=False) as transaction:
            found = transaction.get(ref)
            if found is None:
                return None
            spec = build(FleetSpec, found.body)
            before = instances.read(spec)
            after = change(spec, before)
            if after == before:
                return found
            made = self._written(transaction, found, spec, after)
            differs = (made.status, after.ready) != (found.status, before.ready)
            if differs and found.parent is not None:
                transaction.wake(found.parent)
            if wake:
                transaction.wake(ref)
            if event is not None:
                transaction.append(event)
        return made

    def _written(
        self, transaction: Transaction, found: Resource, spec: FleetSpec, state: State
    ) -> Resource:
        status = found.status
        if status == "Draining":  # it was retired while somebody looked after it as it had been
            state = instances.retired(state, time.time())
        if status == "Starting" and state.ready >= _first(spec):
            status = "InService"
        elif status == "Starting" and state.reason:
            status, state = "Failed", instances.retired(state, time.time())
        body = {**found.body, "state": instances.write(state)}
        made = transaction.update(replace(found, status=status, body=body))
        if status != found.status:
            detail = {"reason": state.reason} if state.reason else {}
            event = f"{FLEET}.{'in-service' if status == 'InService' else 'failed'}"
            transaction.append(Event(now(), _ACTOR, event, found.ref, detail))
        return made


def _first(spec: FleetSpec) -> int:
    """How many instances must be ready for it to be in service."""
    return 1 if spec.serverless else spec.count


def _existing(transaction: Transaction, ref: Ref) -> Resource:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
