"""The instances of a fleet, and what is to become of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.codec import build, plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from clary.endpoints.model import FleetSpec

STEADY_S = 60.0
"""An instance that has lived so long ends a series of failures."""
_MOST_FAILURES = 1000
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0


class Instance(msgspec.Struct, frozen=True):
    """One process for each of the fleet's stages.

    Parameters
    ----------
    serial
        Its number, never used again.
    model
        The ``TargetModel`` it is for; empty where there is one for all.
    etag
        Of the artifact of that model.
    phase
        ``starting``; ``ready`` for requests; or ``leaving``: it gets no new ones.
    since
        When the phase began, seconds since 1970.
    dead
        It cannot answer any more, and need not be waited for.
    """

    serial: int
    model: str = ""
    etag: str = ""
    phase: Literal["starting", "ready", "leaving"] = "starting"
    since: float = 0.0
    dead: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """How many instances there should be for a model, and why there are none."""

    count: int
    etag: str = ""
    failure: str = ""


class State(msgspec.Struct, frozen=True):
    """The handler's notes: member ``state`` of a ``FleetSpec``.

    Parameters
    ----------
    serial
        The next instance's.
    wanted
        By model, for fleets whose instances come and go by use.
    failures
        How many have failed since one was steady.
    not_before
        No instance is started before this moment.
    reason
        Why the last one failed.
    """

    serial: int = 1
    instances: tuple[Instance, ...] = ()
    wanted: dict[str, Wanted] = msgspec.field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0
    reason: str = ""

    @property
    def ready(self) -> int:
        """How many can take requests."""
        return sum(one.phase == "ready" for one in self.instances)


def read(spec: FleetSpec) -> State:
    """Read a fleet's notes."""
    return build(State, spec.state)


def write(state: State) -> dict[str, Any]:
    """Write them as they are stored."""
    found: dict[str, Any] = plain(state)
    return found


def changed(state: State, serial: int, **members: Any) -> State:
    """Change one instance, if it is there."""
    instances = tuple(
        msgspec.structs.replace(one, **members) if one.serial == serial else one
        for one in state.instances
    )
    return msgspec.structs.replace(state, instances=instances)


def without(state: State, serial: int) -> State:
    """Forget an instance that is gone."""
    left = tuple(one for one in state.instances if one.serial != serial)
    return msgspec.structs.replace(state, instances=left)


def failed(state: State, serial: int, reason: str, at: float) -> State:
    """Take an instance out that has failed; the next waits the longer the more have.

    ``reason`` is empty where nothing is wrong with it, as when the machine has lost its power.
    """
    one = next((one for one in state.instances if one.serial == serial), None)
    if one is None:
        return state
    state = changed(state, serial, phase="leaving", since=at, dead=True)
    if not reason:
        return state
    steady = one.phase == "ready" and at - one.since >= STEADY_S
    failures = 1 if steady else state.failures + 1
    delay_s = _FIRST_DELAY_S * 2 ** min(failures - 2, 10) if failures > 1 else 0.0
    wanted = dict(state.wanted)
    if known := wanted.get(one.model):  # it is asked for again by the next request
        why = reason if one.phase == "starting" else ""
        wanted[one.model] = Wanted(0 if why else max(0, known.count - 1), known.etag, why)
    return msgspec.structs.replace(
        state,
        wanted=wanted,
        failures=failures,
        not_before=at + min(delay_s, _LONGEST_DELAY_S),
        reason=reason,
    )


def idle(state: State, serial: int, at: float) -> State:
    """Have an instance that came by use leave, because nobody has used it for long."""
    one = next(one for one in state.instances if one.serial == serial)
    known = state.wanted.get(one.model, Wanted(0))
    left = msgspec.structs.replace(known, count=max(0, known.count - 1))
    state = changed(state, serial, phase="leaving", since=at)
    return msgspec.structs.replace(state, wanted={**state.wanted, one.model: left})


def forgotten(state: State, models: Collection[str]) -> State:
    """Want no instances of some models any more; why one failed is still known."""
    left = {name: one for name, one in state.wanted.items() if one.failure or name not in models}
    return msgspec.structs.replace(state, wanted=left)


def demanded(state: State, model: str, wanted: Wanted) -> State:
    """Want at least so many instances of a model; a failure noted earlier is forgotten."""
    known = state.wanted.get(model)
    if known and known.etag == wanted.etag and known.count >= wanted.count:
        return state
    others = state.wanted
    if len(others) > _MOST_FAILURES:
        others = {name: one for name, one in others.items() if one.count}
    return msgspec.structs.replace(state, wanted={**others, model: wanted})


def retired(state: State, at: float) -> State:
    """Have every instance leave."""
    instances = tuple(
        one
        if one.phase == "leaving"
        else msgspec.structs.replace(one, phase="leaving", since=at, dead=one.phase == "starting")
        for one in state.instances
    )
    return msgspec.structs.replace(state, instances=instances, wanted={})


def adjusted(state: State, targets: dict[str, Wanted], at: float) -> State:
    """Have instances come and go until there are as many of each model as there should be.

    An instance of a model whose artifact has changed leaves once another of it is ready.
    """
    for model in {one.model for one in state.instances} | set(targets):
        state = _adjusted(state, model, targets.get(model, Wanted(0)), at)
    return state


def _adjusted(state: State, model: str, wanted: Wanted, at: float) -> State:
    mine = [one for one in state.instances if one.model == model and one.phase != "leaving"]
    fresh = [one for one in mine if one.etag == wanted.etag]
    stale = [one for one in mine if one.etag != wanted.etag]
    for _ in range(wanted.count - len(fresh)):
        if at < state.not_before and not model:  # a model that fails keeps no other waiting
            break
        one = Instance(state.serial, model, wanted.etag, since=at)
        state = msgspec.structs.replace(
            state, serial=state.serial + 1, instances=(*state.instances, one)
        )
    surplus = sorted(fresh, key=lambda one: (one.phase != "starting", -one.serial))
    leaving = surplus[: max(0, len(fresh) - wanted.count)]
    if any(one.phase == "ready" for one in fresh) or not wanted.count:
        leaving += stale
    for one in leaving:
        state = changed(state, one.serial, phase="leaving", since=at, dead=one.phase == "starting")
    return state
