"""``DeploymentConfig``, read and checked: how an update of an endpoint goes about it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELD = "DeploymentConfig"
_LONGEST_WAIT_S = 3600
_SHORTEST_LIMIT_S, _LONGEST_LIMIT_S = 600, 28_800
_SPARE_S = 3600.0
"""Time for starting fleets, beside the waits, where no limit is given."""
_MOST_ALARMS = 10


class CapacitySize(Struct, frozen=True, rename="pascal"):
    """A part of the instances: so many, or so many percent."""

    type: Literal["INSTANCE_COUNT", "CAPACITY_PERCENT"]
    value: int


class _Routing(Struct, frozen=True, rename="pascal"):
    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"]
    wait_interval_in_seconds: int
    canary_size: CapacitySize | None = None
    linear_step_size: CapacitySize | None = None


class _BlueGreen(Struct, frozen=True, rename="pascal"):
    traffic_routing_configuration: _Routing
    termination_wait_in_seconds: int = 0
    maximum_execution_timeout_in_seconds: int | None = None


class _Rolling(Struct, frozen=True, rename="pascal"):
    maximum_batch_size: CapacitySize
    wait_interval_in_seconds: int
    maximum_execution_timeout_in_seconds: int | None = None
    rollback_maximum_batch_size: CapacitySize | None = None


class _Alarm(Struct, frozen=True, rename="pascal"):
    alarm_name: str


class _Rollback(Struct, frozen=True, rename="pascal"):
    alarms: tuple[_Alarm, ...] = ()


class _Policy(Struct, frozen=True, rename="pascal"):
    blue_green_update_policy: _BlueGreen | None = None
    rolling_update_policy: _Rolling | None = None
    auto_rollback_configuration: _Rollback = _Rollback()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment does, whatever it was called.

    Parameters
    ----------
    shares
        The new version's share of the traffic after each step: rising, the last is 1.
    wait_s
        How long each step bakes.
    termination_wait_s
        How long the old fleets stay after the last bake.
    limit_s
        After so long a deployment that has not ended is rolled back.
    is_rolling
        Instances are replaced step by step; else all new ones are made first.
    rollback_share
        How much of the traffic a rolled back rolling update takes back at a time.
    alarms
        Any of these in ALARM rolls the deployment back.
    """

    shares: tuple[float, ...] = (1.0,)
    wait_s: float = 0.0
    termination_wait_s: float = 0.0
    limit_s: float = _SPARE_S
    is_rolling: bool = False
    rollback_share: float = 1.0
    alarms: tuple[str, ...] = ()


def check_alarms(plan: Plan, states: Mapping[str, str]) -> None:
    """Refuse to begin a deployment that its alarms could not guard.

    Parameters
    ----------
    plan
        What is to begin.
    states
        The state of each of its alarms that there is.

    Raises
    ------
    InvalidInput
        An alarm does not exist, or is in ALARM already.
    """
    where = f"{FIELD}.AutoRollbackConfiguration.Alarms"
    for name in plan.alarms:
        if name not in states:
            raise InvalidInput(where, f"the alarm {name!r} does not exist")
        if states[name] == "ALARM":
            raise InvalidInput(where, f"the alarm {name!r} is in ALARM already", legal="OK")


def plan(policy: Mapping[str, Any] | None, instances: int) -> Plan:
    """Read the public ``DeploymentConfig`` of an update to ``instances`` in all; None: all at once.

    Raises
    ------
    InvalidInput
        A size, a wait or a limit is not legal; names the member and what is.

    Examples
    --------
    >>> size = {"Type": "CAPACITY_PERCENT", "Value": 40}
    >>> routing = {"Type": "LINEAR", "LinearStepSize": size, "WaitIntervalInSeconds": 60}
    >>> plan({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}, 2).shares
    (0.4, 0.8, 1.0)
    """
    view = build(_Policy, policy or {}, field=FIELD)
    blue_green, rolling = view.blue_green_update_policy, view.rolling_update_policy
    alarms = tuple(alarm.alarm_name for alarm in view.auto_rollback_configuration.alarms)
    if len(alarms) > _MOST_ALARMS:
        where = f"{FIELD}.AutoRollbackConfiguration.Alarms"
        raise InvalidInput(where, f"{len(alarms)} are given", legal=f"at most {_MOST_ALARMS}")
    if blue_green and rolling:
        both = "BlueGreenUpdatePolicy and RollingUpdatePolicy are both given"
        raise InvalidInput(FIELD, both, legal="one of them")
    if rolling:
        return _rolling(rolling, instances, alarms)
    return _blue_green(blue_green, instances, alarms) if blue_green else Plan(alarms=alarms)


def _blue_green(policy: _BlueGreen, instances: int, alarms: tuple[str, ...]) -> Plan:
    where = f"{FIELD}.BlueGreenUpdatePolicy"
    routing, place = policy.traffic_routing_configuration, f"{where}.TrafficRoutingConfiguration"
    last_wait_s = policy.termination_wait_in_seconds
    _within(f"{where}.TerminationWaitInSeconds", last_wait_s, 0, _LONGEST_WAIT_S)
    shares: tuple[float, ...] = (1.0,)
    if routing.type == "CANARY":
        size = _given(routing.canary_size, f"{place}.CanarySize", "CANARY")
        shares = (_share(size, f"{place}.CanarySize", instances, (1, 50)), 1.0)
    elif routing.type == "LINEAR":
        size = _given(routing.linear_step_size, f"{place}.LinearStepSize", "LINEAR")
        shares = _steps(_share(size, f"{place}.LinearStepSize", instances, (10, 50)))
    waits_s = len(shares) * routing.wait_interval_in_seconds + last_wait_s
    _within(f"{place}.WaitIntervalInSeconds", routing.wait_interval_in_seconds, 0, _LONGEST_WAIT_S)
    return Plan(
        shares,
        routing.wait_interval_in_seconds,
        last_wait_s,
        _limit(policy.maximum_execution_timeout_in_seconds, waits_s, where),
        alarms=alarms,
    )


def _rolling(policy: _Rolling, instances: int, alarms: tuple[str, ...]) -> Plan:
    where = f"{FIELD}.RollingUpdatePolicy"
    wait_s = policy.wait_interval_in_seconds
    _within(f"{where}.WaitIntervalInSeconds", wait_s, 0, _LONGEST_WAIT_S)
    shares = _steps(
        _share(policy.maximum_batch_size, f"{where}.MaximumBatchSize", instances, (5, 50))
    )
    back, rollback_share = policy.rollback_maximum_batch_size, 1.0
    if back is not None:
        rollback_share = _share(back, f"{where}.RollbackMaximumBatchSize", instances, (5, 100))
    return Plan(
        shares,
        wait_s,
        0.0,
        _limit(policy.maximum_execution_timeout_in_seconds, len(shares) * wait_s, where),
        is_rolling=True,
        rollback_share=rollback_share,
        alarms=alarms,
    )


def _steps(step: float) -> tuple[float, ...]:
    count = ceil(1.0 / step - 1e-9)
    return (*(round(step * number, 9) for number in range(1, count)), 1.0)


def _share(size: CapacitySize, where: str, instances: int, percents: tuple[int, int]) -> float:
    """Read a size as a share; one instance may always be replaced where there are two."""
    least, most = percents
    if size.type == "CAPACITY_PERCENT":
        _within(f"{where}.Value", size.value, least, most, "% of the capacity")
        return size.value / 100
    largest = max(1, instances * most // 100)
    if instances == 1 and most < 100:
        problem = f"{size.value} of 1 instance is all of it"
        raise InvalidInput(f"{where}.Value", problem, legal=f"a CAPACITY_PERCENT up to {most}")
    smallest = max(1, ceil(instances * least / 100))
    _within(f"{where}.Value", size.value, smallest, largest, f"of {instances} instances")
    return size.value / instances


def _given(size: CapacitySize | None, where: str, kind: str) -> CapacitySize:
    if size is None:
        raise InvalidInput(where, f"is missing, and traffic routing is {kind}")
    return size


def _limit(asked: int | None, waits_s: float, where: str) -> float:
    if asked is None:
        return waits_s + _SPARE_S
    where = f"{where}.MaximumExecutionTimeoutInSeconds"
    _within(where, asked, _SHORTEST_LIMIT_S, _LONGEST_LIMIT_S)
    if asked <= waits_s:
        raise InvalidInput(where, f"{asked} is no more than all waits, which are {waits_s:g} s")
    return asked


def _within(where: str, value: int, least: int, most: int, of: str = "s") -> None:
    if not least <= value <= most:
        raise InvalidInput(where, f"{value} is out of bounds", legal=f"{least} to {most} {of}")
