"""Fleets: so many healthy instances of a variant's containers, whatever dies."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from clary.endpoints import instances
from clary.endpoints.files import Files
from clary.endpoints.instances import DRAIN_S, Instance, State, Wanted
from clary.endpoints.model import FLEET, FleetSpec, FleetStatus
from clary.endpoints.targets import IDLE_S, TIMEOUT_S, comes_by_use, needs_none, targets
from clary.endpoints.workers import Workers
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import ClaryError, NotFound, Unavailable
from clary.kernel.resource import Event, Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from clary.endpoints.workers import Tools
    from clary.kernel.names import Ref
    from clary.kernel.ports import Transaction

    Change = Callable[[FleetSpec, State], State]

_FAST_S, _LOOK_S, _HEALTH_S = 0.01, 0.25, 2.0
_SLACK_S = 5.0
_LONGEST_REASON = 1024
_ACTOR = "clary"


@dataclass(frozen=True, slots=True)
class FleetState:
    """How a fleet is: ``ready`` instances of ``desired``, and why it failed or one did last."""

    status: FleetStatus
    ready: int
    desired: int
    reason: str


class _Interrupted(Exception):
    """The worker stops, or the fleet is to go; somebody goes on later."""


class Fleets:
    """The fleets of a home; ``run`` is the worker's handler of them.

    Parameters
    ----------
    tools
        See ``workers.Tools``.
    """

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

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
                wait_s = _Turn(self, found, stopping).go()
            except _Interrupted:
                continue
            if wait_s is None:
                return None
            if wait_s >= _LOOK_S:
                return now() + timedelta(seconds=wait_s)
            stopping.wait(wait_s)
        return now()

    def change(self, ref: Ref, change: Change, *, wake: bool = False) -> Resource | None:
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
        return made

    def _written(
        self, transaction: Transaction, found: Resource, spec: FleetSpec, state: State
    ) -> Resource:
        status = found.status
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


class _Turn:
    """One look at a fleet, and what follows from it."""

    def __init__(self, fleets: Fleets, resource: Resource, stopping: threading.Event) -> None:
        self._fleets = fleets
        self._resource = resource
        self._ref = resource.ref
        self._spec = build(FleetSpec, resource.body)
        self._state = instances.read(self._spec)
        self._workers = Workers(fleets.tools, self._ref, self._spec)
        self._stopping = stopping
        self._checked_at = 0.0
        self._idle_s: dict[int, float] = {}

    def go(self) -> float | None:
        """Do what is to be done; returns in how many seconds to look again."""
        for one in self._state.instances:
            {"starting": self._starting, "ready": self._ready, "leaving": self._leaving}[one.phase](
                one
            )
        if self._resource.status == "Draining":
            return self._drained()
        if self._resource.status != "Failed" and not self._spec.compiled:
            self._fleets.change(self._ref, self._adjusted)
        return self._patience()

    def _starting(self, one: Instance) -> None:
        try:
            self._workers.start(one, self._check)
        except Unavailable:
            raise
        except (ClaryError, OSError) as error:
            self._fail(one, str(error))
            return
        status = self._workers.status(one)
        if status is not None and status.state != "running":
            self._fail(one, self._workers.reason(one))
        elif self._workers.is_listening(one):
            self._fleets.change(
                self._ref,
                lambda _, state: instances.changed(
                    state, one.serial, phase="ready", since=time.time()
                ),
            )
        elif time.time() - one.since > self._spec.startup_s:
            self._fail(one, f"it was not ready within {self._spec.startup_s:g} s")

    def _ready(self, one: Instance) -> None:
        status = self._workers.status(one)
        if status is None or status.state != "running":
            self._fail(one, self._workers.reason(one))
            return
        beats = self._workers.beats(one)
        limit_s = self._spec.limits.get("timeout_s", TIMEOUT_S) + _SLACK_S
        if not all(beats) or any(beat and beat.busy_s > limit_s for beat in beats):
            status = self._workers.status(one)
            running = status is not None and status.state == "running"
            self._fail(one, "it does not answer" if running else self._workers.reason(one))
            return
        self._idle_s[one.serial] = min(beat.idle_s for beat in beats if beat)
        if comes_by_use(self._spec) and self._idle_s[one.serial] > self._longest_idle_s:
            self._fleets.change(self._ref, partial(self._unused, one))

    @property
    def _longest_idle_s(self) -> float:
        return self._spec.limits.get("idle_s", IDLE_S)

    def _unused(self, one: Instance, spec: FleetSpec, state: State) -> State:
        """Have an instance leave that nobody uses, unless it is to be kept."""
        kept = spec.serverless.provisioned if spec.serverless else 0
        if state.ready <= kept:
            return state
        return instances.idle(state, one.serial, time.time())

    def _leaving(self, one: Instance) -> None:
        waited = time.time() - one.since
        longest = self._spec.limits.get("timeout_s", TIMEOUT_S) + _SLACK_S
        if not one.dead and waited < longest:
            if waited < DRAIN_S:
                return
            beats = self._workers.beats(one)
            if any(beat is not None and beat.busy_s > 0 for beat in beats):
                return
        if self._workers.stop(one):
            self._fleets.change(self._ref, lambda _, state: instances.without(state, one.serial))

    def _fail(self, one: Instance, reason: str) -> None:
        text = reason[:_LONGEST_REASON]

        def change(_: FleetSpec, state: State) -> State:
            return instances.failed(state, one.serial, text, time.time())

        self._fleets.change(self._ref, change)

    def _adjusted(self, spec: FleetSpec, state: State) -> State:
        wanted = targets(spec, state, self._idle_s)
        if spec.serverless is None and comes_by_use(spec):  # those that made room
            left = {
                name: one for name, one in state.wanted.items() if name in wanted or one.failure
            }
            state = msgspec.structs.replace(state, wanted=left)
        return instances.adjusted(state, wanted, time.time())

    def _drained(self) -> float | None:
        found = self._fleets.tools.store.get(self._ref)
        if found is None:
            return None
        if instances.read(build(FleetSpec, found.body)).instances:
            return _FAST_S * 5
        Files(self._fleets.tools, self._ref).discard()
        with self._fleets.tools.store.begin() as transaction:
            if transaction.get(self._ref) is None:
                return None
            transaction.delete(self._ref)
            transaction.append(Event(now(), _ACTOR, f"{FLEET}.deleted", self._ref))
            if self._resource.parent is not None:
                transaction.wake(self._resource.parent)
        return None

    def _patience(self) -> float | None:
        """Say in how many seconds something may have to be done."""
        found = self._fleets.tools.store.get(self._ref)
        if found is None:
            return None
        state = instances.read(build(FleetSpec, found.body))
        phases = {one.phase for one in state.instances}
        if "starting" in phases or any(one.dead for one in state.instances):
            return _FAST_S
        if "leaving" in phases:
            return _LOOK_S
        if found.status == "Failed" or self._spec.compiled:
            return None
        if state.not_before > time.time():
            return max(_FAST_S, state.not_before - time.time())
        return _HEALTH_S if phases else None

    def _check(self) -> None:
        """Give up fetching files when the worker stops or the fleet is to go."""
        if self._stopping.is_set():
            raise _Interrupted
        if time.monotonic() - self._checked_at > _LOOK_S:
            self._checked_at = time.monotonic()
            found = self._fleets.tools.store.get(self._ref)
            if found is None or found.status != self._resource.status:
                raise _Interrupted


def _first(spec: FleetSpec) -> int:
    """How many instances must be ready for it to be in service."""
    return 1 if spec.serverless else spec.count


def _existing(transaction: Transaction, ref: Ref) -> Resource:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
