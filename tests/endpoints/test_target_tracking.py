"""Target tracking: enough, not more, and steady."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from clary.endpoints.target_tracking import (
    SCALE_IN_BELOW,
    Bounds,
    Decision,
    Demand,
    decide,
    target_tracking,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
loads = st.lists(st.integers(0, 5000).map(float), max_size=6)
targets = st.integers(1, 500).map(float)
capacities = st.integers(0, 20)
demands = st.builds(
    Demand,
    st.sampled_from(["a", "b", "c"]),
    targets,
    loads,
    loads,
    st.sampled_from([0.0, 60.0, 300.0]),
    st.sampled_from([0.0, 60.0, 300.0]),
    st.booleans(),
    st.booleans(),
)
moments = st.none() | st.integers(0, 600).map(lambda s: AT - timedelta(seconds=s))


@st.composite
def bounds(draw):
    least, most = sorted((draw(capacities), draw(capacities)))
    return Bounds(
        least, most, draw(st.booleans()), draw(st.booleans()), draw(moments), draw(moments)
    )


@given(capacities, demands)
def test_one_policy_is_what_its_words_say(capacity, demand):
    found = target_tracking(capacity, demand)
    if found > capacity:  # every recent load needs so many, and one of them no more
        assert min(demand.recent) > (found - 1) * demand.target
        assert min(demand.recent) <= found * demand.target
    if found < capacity:
        assert max(demand.long) < SCALE_IN_BELOW * demand.target * capacity
        assert max(demand.long) <= found * demand.target


@given(capacities, targets, st.integers(0, 5000).map(float))
def test_a_steady_load_is_met_at_once_and_then_nothing_moves(capacity, target, load):
    demand = Demand("p", target, [load], [load] * 3)
    first = target_tracking(capacity, demand)
    assert target_tracking(first, demand) == first
    if first != capacity:
        assert first == ceil(load / target)


@given(capacities, targets, st.lists(st.integers(0, 5000).map(float), min_size=2, max_size=2))
def test_more_load_never_means_fewer(capacity, target, two):
    low, high = sorted(two)
    less, more = (target_tracking(capacity, Demand("p", target, [x], [x])) for x in (low, high))
    assert less <= more


@given(capacities, st.lists(demands, max_size=3), bounds())
def test_decisions_keep_to_the_bounds(capacity, asked, limits):
    found = decide(capacity, asked, limits, AT)
    if found.capacity == capacity:
        assert found == Decision(capacity)
        return
    assert limits.least <= found.capacity <= limits.most
    assert found.cause
    grows = found.capacity > capacity
    assert limits.may_scale_out if grows else limits.may_scale_in
    inside = limits.least <= capacity <= limits.most
    if inside and grows:
        assert any(target_tracking(capacity, one) >= found.capacity for one in asked)
    if inside and not grows:
        removing = [one for one in asked if one.may_scale_in]
        assert removing
        assert all(target_tracking(capacity, one) <= found.capacity for one in removing)


def test_any_policy_adds_and_all_must_agree_to_remove():
    busy = Demand("busy", 10.0, [35.0], [35.0])
    idle = Demand("idle", 10.0, [0.0], [0.0])
    wide = Bounds(1, 9)
    assert decide(2, [busy, idle], wide, AT) == Decision(4, "policy busy")
    assert decide(5, [busy, idle], wide, AT) == Decision(4, "policy busy")
    assert decide(5, [replace(busy, may_scale_in=False), idle], wide, AT).capacity == 1
    assert decide(5, [busy, replace(idle, long=[])], wide, AT) == Decision(5)


def test_cooldowns():
    idle = Demand("idle", 10.0, [0.0], [0.0])
    wide = Bounds(1, 9, scaled_out_at=AT - timedelta(seconds=299))
    assert decide(5, [idle], wide, AT) == Decision(5)
    assert decide(5, [idle], wide, AT + timedelta(seconds=1)).capacity == 1
    recent = Bounds(1, 9, scaled_in_at=AT - timedelta(seconds=10))
    assert decide(5, [idle], recent, AT) == Decision(5)
    busy = Demand("busy", 10.0, [80.0])
    assert decide(5, [busy], recent, AT).capacity == 8
    lagging = replace(busy, is_exact=False)
    assert decide(5, [lagging], recent, AT).capacity == 8
    assert decide(5, [lagging], wide, AT) == Decision(5)


def test_bounds_hold_whatever_is_measured():
    assert decide(1, [], Bounds(3, 5), AT) == Decision(3, "minimum capacity")
    assert decide(9, [], Bounds(3, 5), AT) == Decision(5, "maximum capacity")
    assert decide(1, [], Bounds(3, 5, may_scale_out=False), AT) == Decision(1)
