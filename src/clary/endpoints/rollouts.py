"""From an old version of an endpoint to a new one, step by step, or back: pure decisions.

A deployment is data. ``advance`` looks at it, at the fleets and the alarms, and says what should be
there now; whoever applies a ``Change`` in one transaction may die before or after it, and the next
one comes to the same decision.

``Preparing``    the fleets that the next step needs are starting
``Baking``       the step's traffic is on the new fleets, and alarms are watched
``Terminating``  all traffic is on the new fleets, the old ones stand by
``RollingBack``  traffic goes back to the old fleets
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from clary.endpoints.guardrails import Plan, plan
from clary.endpoints.model import FleetStatus, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Outcome = Literal["", "Succeeded", "RolledBack", "Failed", "RollbackFailed"]
_LOOK_S = 1.0
"""How often alarms are looked at."""
_START_S = 5.0
"""How often fleets are looked at that say by themselves when they have changed."""


class Deployment(Struct, frozen=True):
    """The member ``deployment`` in the body of an endpoint that is being made or updated.

    Parameters
    ----------
    uid
        Names it in events.
    config
        Name of the endpoint-config that is to be served.
    generation
        Of the new fleets.
    started_at, since
        When the deployment, and when its stage, began.
    new
        The routes that all traffic takes in the end.
    old
        The routes as they were; none when the endpoint is being made.
    counts
        Instances of each fleet, old and new, when it has all of its traffic; 0: it scales itself.
    policy
        The public ``DeploymentConfig``; None: all at once.
    step
        How many of the plan's steps have been baked.
    share
        The new routes' share of the traffic at present.
    reason
        Why it is rolled back.
    """

    uid: str
    config: str
    generation: int
    started_at: datetime
    since: datetime
    new: tuple[Route, ...]
    old: tuple[Route, ...] = ()
    counts: dict[str, int] = {}
    policy: dict[str, Any] | None = None
    stage: Literal["Preparing", "Baking", "Terminating", "RollingBack"] = "Preparing"
    step: int = 0
    share: float = 0.0
    reason: str = ""

    @property
    def plan(self) -> Plan:
        """The steps it takes."""
        if not self.old:
            return Plan()
        return plan(self.policy, sum(self.counts.get(route.fleet, 0) or 1 for route in self.new))


class Fleet(Protocol):
    """What is seen of a fleet."""

    @property
    def status(self) -> FleetStatus:
        """InService once all of its first instances were ready."""

    @property
    def ready(self) -> int:
        """Instances that answer."""

    @property
    def reason(self) -> str:
        """Why it has failed."""


class Change(Struct, frozen=True):
    """What should be so now, all in one transaction.

    Parameters
    ----------
    deployment
        To be kept, unless there is an ``outcome``.
    counts
        Fleets that should exist, with so many instances.
    routes
        What the endpoint serves.
    retired
        Fleets that are not needed any more.
    due_at
        When to look again, if no fleet wakes the endpoint earlier.
    outcome
        How it ended: on the new routes, on the old ones, on none (``Failed``: nothing was there
        before), or on both because the old fleets did not come back (``RollbackFailed``).
    """

    deployment: Deployment
    counts: dict[str, int]
    routes: tuple[Route, ...]
    retired: tuple[str, ...] = ()
    due_at: datetime | None = None
    outcome: Outcome = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    fleets: Mapping[str, Fleet]
    alarms: Mapping[str, str]
    at: datetime


def advance(
    deployment: Deployment,
    fleets: Mapping[str, Fleet],
    alarms: Mapping[str, str],
    at: datetime,
) -> Change:
    """Decide what comes next.

    Parameters
    ----------
    deployment
        As it was kept last.
    fleets
        Its fleets by name, as far as they exist.
    alarms
        The state of each of its plan's alarms by name; one that has gone is left out.
    at
        The present moment.
    """
    seen = _Seen(fleets, alarms, at)
    if deployment.stage != "RollingBack" and (trouble := _trouble(deployment, seen)):
        if not deployment.old:
            gone = tuple(route.fleet for route in deployment.new)
            failed = replace(deployment, reason=trouble)
            return Change(failed, {}, (), gone, None, "Failed")
        deployment = replace(deployment, stage="RollingBack", reason=trouble, since=at)
    if deployment.stage == "RollingBack":
        return _roll_back(deployment, seen)
    while True:
        moved = _NEXT[deployment.stage](deployment, seen)
        if moved is None:
            return Change(
                deployment,
                _counts(deployment),
                routes(deployment),
                due_at=_look_again(deployment, at),
            )
        if moved.step == len(moved.plan.shares) and moved.stage == "Preparing":
            return Change(moved, {}, routes(moved), _names(moved.old), None, "Succeeded")
        deployment = moved


def routes(deployment: Deployment) -> tuple[Route, ...]:
    """Share the traffic between old and new routes.

    While both are there, weights add up to those of the new routes, and each variant's to what it
    had and will have, in proportion. Shadows are the old ones until all traffic is on the new.
    """
    share, old, new = deployment.share, deployment.old, deployment.new
    if share <= 0.0:
        return old
    if share >= 1.0:
        return new
    total = sum(route.weight for route in new if route.shadow is None)
    before = sum(route.weight for route in old if route.shadow is None)
    scale = (1.0 - share) * (total / before if total and before else 1.0)
    kept = (
        route if route.shadow is not None else replace(route, weight=route.weight * scale)
        for route in old
    )
    added = (replace(x, weight=x.weight * share) for x in new if x.shadow is None)
    return (*kept, *added)


def _trouble(deployment: Deployment, seen: _Seen) -> str:
    """Say why the deployment cannot go on; empty when it can."""
    for route in deployment.new:
        fleet = seen.fleets.get(route.fleet)
        if fleet is not None and fleet.status in ("Failed", "Draining"):
            return f"Variant {route.variant} failed: {fleet.reason or fleet.status}"
    plan = deployment.plan
    ringing = [name for name in plan.alarms if seen.alarms.get(name) == "ALARM"]
    if ringing:
        return f"Alarm {', '.join(ringing)} is in ALARM"
    ended = deployment.stage == "Terminating"  # all bakes were good: too late to be late
    if not ended and seen.at - deployment.started_at > timedelta(seconds=plan.limit_s):
        return f"The deployment took longer than {plan.limit_s:g} s"
    return ""


def _prepare(deployment: Deployment, seen: _Seen) -> Deployment | None:
    counts = _counts(deployment)
    if not all(_is_ready(name, counts[name], seen) for name in _names(deployment.new)):
        return None
    share = deployment.plan.shares[deployment.step]
    return replace(deployment, stage="Baking", share=share, since=seen.at)


def _bake(deployment: Deployment, seen: _Seen) -> Deployment | None:
    plan = deployment.plan
    if seen.at - deployment.since < timedelta(seconds=plan.wait_s):
        return None
    if deployment.step + 1 == len(plan.shares):
        return replace(deployment, stage="Terminating", since=seen.at)
    return replace(deployment, stage="Preparing", step=deployment.step + 1, since=seen.at)


def _terminate(deployment: Deployment, seen: _Seen) -> Deployment | None:
    if seen.at - deployment.since < timedelta(seconds=deployment.plan.termination_wait_s):
        return None
    return replace(deployment, stage="Preparing", step=deployment.step + 1, since=seen.at)


_NEXT = {"Preparing": _prepare, "Baking": _bake, "Terminating": _terminate}


def _roll_back(deployment: Deployment, seen: _Seen) -> Change:
    """Give traffic back to the old fleets, as far as they have the instances for it."""
    plan = deployment.plan
    while deployment.share > 0.0:
        counts = _counts(deployment)
        if not _must_hurry(deployment, seen) and not all(
            _is_ready(name, counts[name] if plan.is_rolling else 0, seen)
            for name in _names(deployment.old)
        ):
            return _waiting(deployment, seen)
        deployment = replace(deployment, share=_less(deployment.share, plan))
    whole = {name: deployment.counts[name] for name in _names(deployment.old) if plan.is_rolling}
    return Change(deployment, whole, deployment.old, _names(deployment.new), None, "RolledBack")


def _waiting(deployment: Deployment, seen: _Seen) -> Change:
    counts, served = _counts(deployment), routes(deployment)
    late = seen.at - deployment.since > timedelta(seconds=deployment.plan.limit_s)
    broken = [x for x in _names(deployment.old) if _status(x, seen) in ("", "Failed", "Draining")]
    if late or broken:
        what = f"{', '.join(broken)} failed" if broken else "the old fleets are not ready"
        reason = f"{deployment.reason}; and it could not be rolled back: {what}"
        return Change(replace(deployment, reason=reason), counts, served, outcome="RollbackFailed")
    return Change(deployment, counts, served, due_at=seen.at + timedelta(seconds=_LOOK_S))


def _must_hurry(deployment: Deployment, seen: _Seen) -> bool:
    """Say whether the new fleets cannot serve, so that any old instance is better."""
    return any(_status(name, seen) != "InService" for name in _names(deployment.new))


def _less(share: float, plan: Plan) -> float:
    left = round(share - plan.rollback_share, 9) if plan.is_rolling else 0.0
    return max(0.0, left)


def _counts(deployment: Deployment) -> dict[str, int]:
    """Say how many instances each fleet should have now.

    A rolling update has new ones for the traffic of its next step, and old ones for what they
    served before; a rollback old ones for what they will serve next.
    """
    plan, wanted = deployment.plan, deployment.counts
    if not plan.is_rolling:
        return {name: wanted[name] for name in _names(deployment.new)}
    baked = plan.shares[deployment.step - 1] if deployment.step else 0.0
    if deployment.stage == "RollingBack":
        new, old = deployment.share, 1.0 - min(baked, _less(deployment.share, plan))
    else:
        new, old = plan.shares[min(deployment.step, len(plan.shares) - 1)], 1.0 - baked
    parts = [(route.fleet, new) for route in deployment.new]
    parts += [(route.fleet, old) for route in deployment.old]
    return {name: ceil(wanted[name] * part - 1e-9) for name, part in parts}


def _is_ready(name: str, count: int, seen: _Seen) -> bool:
    fleet = seen.fleets.get(name)
    return fleet is not None and fleet.status == "InService" and fleet.ready >= count


def _status(name: str, seen: _Seen) -> str:
    fleet = seen.fleets.get(name)
    return fleet.status if fleet else ""


def _names(served: Iterable[Route]) -> tuple[str, ...]:
    return tuple(route.fleet for route in served)


def _look_again(deployment: Deployment, at: datetime) -> datetime:
    plan = deployment.plan
    if deployment.stage == "Preparing":
        later = at + timedelta(seconds=_START_S)
    else:
        is_baking = deployment.stage == "Baking"
        wait_s = plan.wait_s if is_baking else plan.termination_wait_s
        later = deployment.since + timedelta(seconds=wait_s)
    return min(later, at + timedelta(seconds=_LOOK_S)) if plan.alarms else later
