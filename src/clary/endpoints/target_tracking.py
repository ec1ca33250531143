"""How many instances a load needs: target tracking, as pure decisions.

A policy's load is what all instances have to do together, in units of the policy's target: requests
a minute, requests under way at a time. Load over target is the number of instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALE_IN_BELOW = 0.9
"""Instances are removed only while the load is below this share of what they are for."""
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Demand:
    """What one policy measures.

    Parameters
    ----------
    policy
        Its name.
    target
        Load that one instance is for; above 0.
    recent
        The load in each of the last periods: instances are added when all of them need more.
    long
        The load in each period of a longer time: they are removed when none needs as many; empty:
        never.
    scale_out_cooldown_s, scale_in_cooldown_s
        After adding, and after removing.
    is_exact
        The load does not depend on the number of instances, so that adding does not have to wait
        until what was added before shows.
    """

    policy: str
    target: float
    recent: Sequence[float] = ()
    long: Sequence[float] = ()
    scale_out_cooldown_s: float = 300.0
    scale_in_cooldown_s: float = 300.0
    is_exact: bool = True
    may_scale_in: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a scalable target allows, and when it was scaled last."""

    least: int
    most: int
    may_scale_out: bool = True
    may_scale_in: bool = True
    scaled_out_at: datetime | None = None
    scaled_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many instances there should be, and why; ``cause`` is empty when nothing changes."""

    capacity: int
    cause: str = ""


def target_tracking(capacity: int, demand: Demand) -> int:
    """Say how many instances one policy wants, of ``capacity`` that there are.

    Examples
    --------
    >>> target_tracking(2, Demand("p", 100.0, recent=[350.0], long=[20.0, 350.0]))
    4
    >>> target_tracking(4, Demand("p", 100.0, recent=[90.0], long=[150.0, 90.0]))
    2
    >>> target_tracking(4, Demand("p", 100.0, recent=[361.0], long=[361.0]))
    4
    """
    if demand.recent and (wanted := _needed(min(demand.recent), demand.target)) > capacity:
        return wanted
    if demand.long:
        most = max(demand.long)
        if most < SCALE_IN_BELOW * demand.target * capacity:
            return min(capacity, _needed(most, demand.target))
    return capacity


def decide(capacity: int, demands: Sequence[Demand], bounds: Bounds, at: datetime) -> Decision:
    """Say how many instances there should be.

    The policy that wants the most goes first when instances are added; they are removed only when
    every policy that may remove any agrees.
    """
    out = [(target_tracking(capacity, one), one) for one in demands if _may_add(one, bounds, at)]
    wanted, by = max(((n, one.policy) for n, one in out), default=(capacity, ""))
    if wanted <= capacity:
        wanted, by = capacity, ""
        removing = [one for one in demands if one.may_scale_in]
        if removing and bounds.may_scale_in and all(_rested(one, bounds, at) for one in removing):
            wanted, by = max((target_tracking(capacity, one), one.policy) for one in removing)
    kept = min(max(wanted, bounds.least), bounds.most)
    if not _is_allowed(kept - capacity, bounds) or kept == capacity:
        return Decision(capacity)
    if kept == wanted:
        return Decision(kept, f"policy {by}")
    return Decision(kept, "minimum capacity" if kept == bounds.least else "maximum capacity")


def _needed(load: float, target: float) -> int:
    return max(0, ceil(load / target - _EPSILON))


def _may_add(demand: Demand, bounds: Bounds, at: datetime) -> bool:
    return demand.is_exact or _is_past(bounds.scaled_out_at, demand.scale_out_cooldown_s, at)


def _rested(demand: Demand, bounds: Bounds, at: datetime) -> bool:
    """Say whether both cooldowns of a policy are over."""
    return _is_past(bounds.scaled_out_at, demand.scale_out_cooldown_s, at) and _is_past(
        bounds.scaled_in_at, demand.scale_in_cooldown_s, at
    )


def _is_past(since: datetime | None, cooldown_s: float, at: datetime) -> bool:
    return since is None or at - since >= timedelta(seconds=cooldown_s)


def _is_allowed(change: int, bounds: Bounds) -> bool:
    return bounds.may_scale_out if change > 0 else bounds.may_scale_in
