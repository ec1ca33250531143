"""Rollouts against a simulated world: traffic, capacity and ends, whatever fails when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clary.endpoints.guardrails import plan
from clary.endpoints.model import Route
from clary.endpoints.rollouts import Deployment, advance, routes
from clary.kernel.errors import InvalidInput

START = datetime(2026, 1, 1, tzinfo=UTC)


def percent(value):
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def blue_green(kind, size=None, wait=0, termination=0, limit=None):
    routing = {"Type": kind, "WaitIntervalInSeconds": wait}
    if size:
        routing["CanarySize" if kind == "CANARY" else "LinearStepSize"] = size
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": termination,
        **({"MaximumExecutionTimeoutInSeconds": limit} if limit else {}),
    }
    return {"BlueGreenUpdatePolicy": policy}


def rolling(size, wait=0, back=None):
    policy = {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}
    return {
        "RollingUpdatePolicy": policy | ({"RollbackMaximumBatchSize": back} if back else {}),
    }


def alarmed(policy, *names):
    return {**policy, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": x} for x in names]}}


@dataclass
class Fleet:
    """A fleet whose instances need some seconds to start, and which may fail for good."""

    start_s: float
    fails_at: float | None = None
    status: str = "Starting"
    ready: int = 0
    reason: str = ""
    desired: int = 0
    asked_at: float = 0.0

    def resize(self, count, now_s):
        if count != self.desired:
            self.ready, self.desired, self.asked_at = min(self.ready, count), count, now_s

    def pass_time(self, now_s):
        if self.fails_at is not None and now_s >= self.fails_at:
            self.status, self.ready, self.reason = "Failed", 0, "model_fn raised"
        elif now_s >= self.asked_at + self.start_s:
            self.status, self.ready = "InService", self.desired


@dataclass
class World:
    deployment: Deployment
    new_fleets: dict = field(default_factory=dict)
    rings_at: float | None = None
    fleets: dict = field(default_factory=dict)
    now_s: float = 0.0
    changes: list = field(default_factory=list)

    def run(self):
        """Apply changes until there is an outcome; every one is checked on its way."""
        while not self.changes or not self.changes[-1].outcome:
            assert len(self.changes) < 400, "it never ends"
            for fleet in self.fleets.values():
                fleet.pass_time(self.now_s)
            ringing = self.rings_at is not None and self.now_s >= self.rings_at
            alarms = {"errors": "ALARM" if ringing else "OK"}
            at = START + timedelta(seconds=self.now_s)
            change = advance(self.deployment, self.fleets, alarms, at)
            self.check(change, alarms, at)
            self.changes.append(change)
            self.deployment = change.deployment
            for name, count in change.counts.items():
                fleet = self.fleets.get(name)
                if fleet is None:
                    fleet = self.fleets[name] = self.new_fleets[name]
                fleet.resize(count, self.now_s)
            due_s = (change.due_at - START).total_seconds() if change.due_at else self.now_s
            self.now_s = max(min(due_s, self.now_s + 40.0), self.now_s + 0.01)
        return self.changes[-1]

    def check(self, change, alarms, at):
        deployment = change.deployment
        old = {route.fleet for route in deployment.old}
        served = [route for route in change.routes if route.shadow is None]
        for route in change.routes:
            assert route.fleet in old or self.fleets[route.fleet].status == "InService"
            assert route.fleet not in change.retired
        share = deployment.share
        if 0 < share < 1:
            total = sum(route.weight for route in deployment.new if route.shadow is None)
            assert isclose(sum(route.weight for route in served), total)
            fresh = sum(route.weight for route in served if route.fleet not in old)
            assert isclose(fresh, share * total)
        if not change.outcome:
            assert not change.retired
            assert change.due_at > at
            assert advance(deployment, self.fleets, alarms, at) == change  # settled
        if change.outcome != "RollbackFailed" and deployment.plan.is_rolling:
            self.check_capacity(change)
        if self.changes:
            before = self.changes[-1].deployment
            if deployment.stage == "RollingBack":
                assert share <= before.share
            else:
                assert share >= before.share

    def check_capacity(self, change):
        """What serves a share of the traffic has at least that share of its instances."""
        deployment, share = change.deployment, change.deployment.share
        for name, count in change.counts.items():
            is_new = name in {route.fleet for route in deployment.new}
            part = share if is_new else 1 - share
            assert count >= ceil(deployment.counts[name] * part - 1e-6)
            assert count <= deployment.counts[name]


def deployment(policy, old, new, counts):
    return Deployment("u", "config-2", 2, START, START, new, old, counts, policy)


waits = st.sampled_from([0, 1, 7, 20])
sizes = st.integers(10, 50).map(percent)
policies = st.one_of(
    st.none(),
    st.builds(blue_green, st.just("ALL_AT_ONCE"), st.none(), waits, waits),
    st.builds(blue_green, st.just("CANARY"), sizes, waits, waits),
    st.builds(blue_green, st.just("LINEAR"), sizes, waits, waits),
    st.builds(rolling, sizes, waits, st.none() | sizes),
)


@st.composite
def worlds(draw):
    def generation(number, least):
        names = draw(st.sets(st.sampled_from("abc"), min_size=least, max_size=3))
        made = [Route(name, f"{number}-{name}", draw(st.floats(0.1, 9))) for name in sorted(names)]
        if made and draw(st.booleans()):
            made.append(Route("s", f"{number}-s", 0.0, 50.0, made[0].variant))
        return tuple(made)

    old, new = generation(1, draw(st.sampled_from([0, 1, 1]))), generation(2, 1)
    counts = {route.fleet: draw(st.integers(0, 7)) for route in (*old, *new)}
    policy = draw(policies)
    if policy is not None and draw(st.booleans()):
        policy = alarmed(policy, "errors")
    times = st.none() | st.floats(0, 90)

    def fleet():
        fails_at = draw(times) if draw(st.integers(0, 3)) == 0 else None
        return Fleet(draw(st.floats(0.1, 20)), fails_at)

    world = World(deployment(policy, old, new, counts), rings_at=draw(times))
    for route in old:
        world.fleets[route.fleet] = fleet()
        world.fleets[route.fleet].desired = counts[route.fleet]
        world.fleets[route.fleet].asked_at = -100.0
    world.new_fleets = {route.fleet: fleet() for route in new}
    return world


@settings(max_examples=300)
@given(worlds())
def test_every_rollout_ends_whole(world):
    last = world.run()
    old, new = world.deployment.old, world.deployment.new
    if last.outcome == "Succeeded":
        assert last.routes == new
        assert set(last.retired) == {route.fleet for route in old}
    elif last.outcome == "RolledBack":
        assert last.routes == old
        assert old
        assert set(last.retired) == {route.fleet for route in new}
    elif last.outcome == "Failed":
        assert not old
        assert set(last.retired) == {route.fleet for route in new}
    else:
        assert any(world.fleets[route.fleet].status == "Failed" for route in old)
    assert bool(last.deployment.reason) == (last.outcome != "Succeeded")
    is_untroubled = all(x.fails_at is None for x in world.fleets.values()) and not (
        world.deployment.plan.alarms and world.rings_at is not None
    )
    assert last.outcome == "Succeeded" or not is_untroubled


OLD, NEW = Route("a", "1-a"), Route("a", "2-a")


def simple(policy, *, counts=4, old=True, **options):
    world = World(
        deployment(policy, (OLD,) if old else (), (NEW,), {"1-a": counts, "2-a": counts}),
        {"2-a": Fleet(1.0, options.pop("fails_at", None))},
        **options,
    )
    if old:
        world.fleets["1-a"] = Fleet(1.0, status="InService", ready=counts, desired=counts)
    return world


def traffic(world):
    """The new version's shares, as they changed."""
    shares = [change.deployment.share for change in world.changes]
    return [x for at, x in enumerate(shares) if at == 0 or x != shares[at - 1]]


def test_a_canary_bakes_and_goes_on():
    world = simple(blue_green("CANARY", percent(10), wait=60, termination=30))
    assert world.run().outcome == "Succeeded"
    assert traffic(world) == [0.0, 0.1, 1.0]
    assert 151.0 <= world.now_s < 160.0


def test_linear_steps():
    world = simple(blue_green("LINEAR", percent(40), wait=10))
    assert world.run().outcome == "Succeeded"
    assert traffic(world) == [0.0, 0.4, 0.8, 1.0]


def test_an_alarm_in_the_bake_sends_all_back():
    policy = alarmed(blue_green("CANARY", percent(10), wait=60), "errors")
    world = simple(policy, rings_at=20.0)
    last = world.run()
    assert (last.outcome, last.routes, last.retired) == ("RolledBack", (OLD,), ("2-a",))
    assert traffic(world) == [0.0, 0.1, 0.0]
    assert last.deployment.reason == "Alarm errors is in ALARM"
    assert world.now_s < 23.0


def test_an_alarm_before_any_traffic_has_moved_keeps_it_where_it_is():
    policy = alarmed(blue_green("CANARY", percent(10)), "errors")
    assert simple(policy, rings_at=0.0).run().outcome == "RolledBack"


def test_a_rolling_update_replaces_instances_batch_by_batch():
    world = simple(rolling({"Type": "INSTANCE_COUNT", "Value": 1}, wait=10), counts=4)
    assert world.run().outcome == "Succeeded"
    assert traffic(world) == [0.0, 0.25, 0.5, 0.75, 1.0]
    seen = []
    for change in world.changes:
        pair = change.counts.get("1-a"), change.counts.get("2-a")
        if pair not in seen:
            seen.append(pair)
    assert seen == [(4, 1), (3, 2), (2, 3), (1, 4), (None, None)]


def test_a_rolling_update_comes_back_in_batches():
    policy = alarmed(rolling(percent(25), wait=10, back=percent(25)), "errors")
    world = simple(policy, rings_at=25.0)
    last = world.run()
    assert last.outcome == "RolledBack"
    assert traffic(world) == [0.0, 0.25, 0.5, 0.75, 0.5, 0.25, 0.0]
    assert last.counts == {"1-a": 4}


def test_new_instances_that_fail_get_no_traffic_while_old_ones_come_back():
    world = simple(rolling(percent(50), wait=30), fails_at=10.0)
    last = world.run()
    assert last.outcome == "RolledBack"
    assert traffic(world) == [0.0, 0.5, 0.0]
    assert last.deployment.reason == "Variant a failed: model_fn raised"


def test_old_instances_that_do_not_come_back_leave_both():
    world = simple(alarmed(rolling(percent(50), wait=30), "errors"), rings_at=10.0)
    world.fleets["1-a"].fails_at = 10.0
    last = world.run()
    assert last.outcome == "RollbackFailed"
    assert {route.fleet for route in last.routes} == {"1-a", "2-a"}
    assert "could not be rolled back: 1-a failed" in last.deployment.reason


def test_a_new_endpoint_that_fails_leaves_nothing():
    last = simple(None, old=False, fails_at=0.5).run()
    assert (last.outcome, last.routes, last.retired) == ("Failed", (), ("2-a",))


def test_the_limit_rolls_back():
    world = simple(blue_green("CANARY", percent(10), wait=100, limit=600))
    world.new_fleets["2-a"].start_s = 10_000.0
    assert world.run().outcome == "RolledBack"
    assert world.deployment.reason == "The deployment took longer than 600 s"
    assert world.now_s <= 640.0


def test_shares_are_of_the_new_weights():
    old = (Route("a", "1-a", 1.0), Route("b", "1-b", 3.0), Route("s", "1-s", 0.0, 10.0, "a"))
    new = (Route("a", "2-a", 8.0), Route("s", "2-s", 0.0, 10.0, "a"))
    moving = replace(deployment(None, old, new, {}), share=0.25)
    assert [(x.fleet, x.weight) for x in routes(moving)] == [
        ("1-a", 1.5),
        ("1-b", 4.5),
        ("1-s", 0.0),
        ("2-a", 2.0),
    ]


@pytest.mark.parametrize(
    ("policy", "instances", "said"),
    [
        (blue_green("CANARY", percent(60)), 4, "CanarySize.Value: 60 .* legal: 1 to 50 %"),
        (blue_green("CANARY"), 4, "CanarySize: is missing"),
        (blue_green("LINEAR", percent(5)), 4, "LinearStepSize.Value: 5 .* legal: 10 to 50 %"),
        (blue_green("CANARY", {"Type": "INSTANCE_COUNT", "Value": 3}), 4, "legal: 1 to 2 of 4"),
        (blue_green("CANARY", {"Type": "INSTANCE_COUNT", "Value": 1}), 1, "of 1 instance is all"),
        (blue_green("ALL_AT_ONCE", wait=3601), 4, "WaitIntervalInSeconds: 3601 .* 0 to 3600 s"),
        (blue_green("ALL_AT_ONCE", termination=-1), 4, "TerminationWaitInSeconds: -1"),
        (blue_green("ALL_AT_ONCE", limit=599), 4, "legal: 600 to 28800 s"),
        (blue_green("CANARY", percent(9), wait=400, limit=700), 4, "700 is no more than all waits"),
        (rolling(percent(4)), 40, "MaximumBatchSize.Value: 4 .* legal: 5 to 50 %"),
        (rolling(percent(50), back=percent(101)), 4, "RollbackMaximumBatchSize.Value: 101"),
        ({**rolling(percent(50)), **blue_green("ALL_AT_ONCE")}, 4, "both given"),
        (alarmed({}, *"abcdefghijk"), 4, "Alarms: 11 are given; legal: at most 10"),
        (blue_green("SLOWLY"), 4, "Type: .*SLOWLY.* legal: ALL_AT_ONCE, CANARY, LINEAR"),
    ],
)
def test_policies_that_are_refused(policy, instances, said):
    with pytest.raises(InvalidInput, match=said):
        plan(policy, instances)


@given(st.integers(10, 50), st.integers(1, 50))
def test_steps_rise_to_all(value, instances):
    shares = plan(blue_green("LINEAR", percent(value)), instances).shares
    steps = [after - before for before, after in zip((0.0, *shares), shares, strict=False)]
    assert shares[-1] == 1.0
    assert all(0 < step <= value / 100 + 1e-6 for step in steps)
    assert len(shares) == ceil(100 / value)
