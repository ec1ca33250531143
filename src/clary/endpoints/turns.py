"""One look at a fleet: what has become of its instances, and what follows from it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from clary.endpoints import frames, instances
from clary.endpoints.files import Files
from clary.endpoints.model import FLEET, FleetSpec
from clary.endpoints.targets import IDLE_S, TIMEOUT_S, comes_by_use, is_multi_model, targets
from clary.endpoints.workers import Workers
from clary.kernel.clock import now
from clary.kernel.codec import build
from clary.kernel.errors import ClaryError, Unavailable
from clary.kernel.resource import Event

if TYPE_CHECKING:
    import threading

    from clary.endpoints.fleets import Fleets
    from clary.endpoints.instances import Instance, State
    from clary.jobs.ports import ProcessStatus
    from clary.kernel.resource import Resource

FAST_S, LOOK_S, HEALTH_S = 0.01, 0.25, 2.0
_SLACK_S = 5.0
_MOST_SILENCES = 2
_LONGEST_REASON = 1024


class Interrupted(Exception):
    """The worker stops, or the fleet is to go; somebody goes on later."""


class Turn:
    """One look at a fleet.

    Parameters
    ----------
    fleets
        Where its notes are changed.
    resource
        The fleet as it is now.
    stopping
        Set when the worker stops.
    """

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
        """Do what is to be done; returns in how many seconds to look again, None: when woken.

        Raises
        ------
        Interrupted
            Somebody else is to go on, or the fleet has changed meanwhile.
        Unavailable
            An instance cannot be started or ended now.
        """
        phases = {"starting": self._starting, "ready": self._ready, "leaving": self._leaving}
        unavailable: Unavailable | None = None
        for one in self._state.instances:
            try:
                phases[one.phase](one)
            except Unavailable as error:  # the others go on
                unavailable = error
        if unavailable is not None:
            raise unavailable
        if self._resource.status == "Draining":
            return self._drained()
        if self._resource.status != "Failed" and not self._spec.compiled:
            self._fleets.change(self._ref, self._adjusted)
        return self._patience()

    def _starting(self, one: Instance) -> None:
        late = time.time() - one.since > self._spec.startup_s
        try:
            self._workers.start(one, self._check)
        except Unavailable as error:
            if not late:
                raise
            self._fail(one, error.message)
            return
        except (ClaryError, OSError) as error:
            self._fail(one, str(error))
            return
        status = self._workers.status(one)
        if status is not None and status.state != "running":
            self._fail(one, self._workers.reason(one))
        elif self._workers.is_listening(one):
            self._fleets.ready(self._ref, one.serial)
        elif self._is_late(status):
            self._fail(one, f"it was not ready within {self._spec.startup_s:g} s")

    def _is_late(self, status: ProcessStatus | None) -> bool:
        """Say whether a process has had its time; what it took to prepare it does not count."""
        if status is None or status.started_at is None:
            return False
        return (now() - status.started_at).total_seconds() > self._spec.startup_s

    def _ready(self, one: Instance) -> None:
        status = self._workers.status(one)
        if status is None or status.state != "running":
            self._fail(one, self._workers.reason(one))
            return
        silences = self._fleets.silences
        where = (self._ref, one.serial)
        try:
            beats = self._workers.beats(one)
        except (frames.Late, frames.Vanished) as error:
            silences[where] = silences.get(where, 0) + 1
            if isinstance(error, frames.Vanished) or silences[where] >= _MOST_SILENCES:
                self._fail(one, "it does not answer")
            return
        silences.pop(where, None)
        limit_s = self._timeout_s + _SLACK_S
        if any(beat.busy_s > limit_s for beat in beats):
            self._fail(one, f"it has been at a request for more than {limit_s:g} s")
            return
        self._idle_s[one.serial] = min(beat.idle_s for beat in beats)
        longest_s = self._spec.limits.get("idle_s", IDLE_S)
        if comes_by_use(self._spec) and self._idle_s[one.serial] > longest_s:
            self._fleets.change(self._ref, partial(_unused, one))

    def _leaving(self, one: Instance) -> None:
        waited = time.time() - one.since
        if not one.dead and waited < self._timeout_s + _SLACK_S:
            if waited < self._fleets.tools.drain_s:
                return
            try:
                if any(beat.busy_s > 0 for beat in self._workers.beats(one)):
                    return
            except (frames.Late, frames.Vanished):
                pass  # it cannot be at work for anybody
        if self._workers.stop(one):
            self._fleets.silences.pop((self._ref, one.serial), None)
            self._fleets.change(self._ref, lambda _, state: instances.without(state, one.serial))

    def _fail(self, one: Instance, reason: str) -> None:
        self._fleets.failed(self._ref, one.serial, reason[:_LONGEST_REASON])

    def _adjusted(self, spec: FleetSpec, state: State) -> State:
        wanted = targets(spec, state, self._idle_s)
        if is_multi_model(spec):
            out = {one.model for one in state.instances} - wanted.keys()  # they make room
            state = instances.forgotten(state, out)
        return instances.adjusted(state, wanted, time.time())

    def _drained(self) -> float | None:
        state = self._now()
        if state is None:
            return None
        if state.instances:
            return LOOK_S if all(not one.dead for one in state.instances) else FAST_S
        Files(self._fleets.tools, self._ref).discard()
        self._fleets.forget(self._ref)
        with self._fleets.tools.store.begin() as transaction:
            if transaction.get(self._ref) is None:
                return None
            transaction.delete(self._ref)
            transaction.append(Event(now(), "clary", f"{FLEET}.deleted", self._ref))
            if self._resource.parent is not None:
                transaction.wake(self._resource.parent)
        return None

    def _patience(self) -> float | None:
        """Say in how many seconds something may have to be done."""
        state = self._now()
        if state is None:
            return None
        phases = {one.phase for one in state.instances}
        if "starting" in phases or any(one.dead for one in state.instances):
            return FAST_S
        if "leaving" in phases:
            return LOOK_S
        if self._resource.status == "Failed" or self._spec.compiled:
            return None
        waits = [HEALTH_S] if phases else []
        if state.not_before > time.time():
            waits.append(max(FAST_S, state.not_before - time.time()))
        there = {one.model for one in state.instances}
        if any(one.count and model not in there for model, one in state.wanted.items()):
            waits.append(LOOK_S)  # for another model to make room
        return min(waits, default=None)

    def _now(self) -> State | None:
        """Read the notes as they are now; None when the fleet is gone."""
        found = self._fleets.tools.store.get(self._ref)
        return None if found is None else instances.read(build(FleetSpec, found.body))

    @property
    def _timeout_s(self) -> float:
        return self._spec.limits.get("timeout_s", TIMEOUT_S)

    def _check(self) -> None:
        """Give up fetching files when the worker stops or the fleet is to go."""
        if self._stopping.is_set():
            raise Interrupted
        if time.monotonic() - self._checked_at > LOOK_S:
            self._checked_at = time.monotonic()
            found = self._fleets.tools.store.get(self._ref)
            if found is None or found.status != self._resource.status:
                raise Interrupted


def _unused(one: Instance, spec: FleetSpec, state: State) -> State:
    """Have an instance leave that nobody uses, unless it is to be kept."""
    kept = spec.serverless.provisioned if spec.serverless else 0
    if state.ready <= kept:
        return state
    return instances.idle(state, one.serial, time.time())
