"""What becomes of a fleet's instances: any course of events leads to as many as there should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.endpoints import instances
from clary.endpoints.instances import Instance, State, Wanted
from clary.endpoints.model import FleetSpec, Serverless, Stage
from clary.endpoints.targets import most_models, targets
from clary.kernel.errors import InvalidInput

MODELS = ("", "a", "b")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["adjust", "ready", "fail", "vanish", "gone", "demand", "idle"]),
        st.integers(0, 5),
        st.sampled_from(MODELS),
        st.integers(0, 3),
        st.sampled_from(["", "v1", "v2"]),
    ),
    max_size=60,
)


def happen(state, event, at):
    what, number, model, count, etag = event
    if what in {"demand", "adjust"}:
        asked = instances.demanded(state, model, Wanted(count, etag))
        return asked if what == "demand" else instances.adjusted(state, state.wanted, at)
    one = state.instances[number % len(state.instances)] if state.instances else Instance(0)
    change = {
        ("ready", "starting"): lambda: instances.changed(
            state, one.serial, phase="ready", since=at
        ),
        ("fail", "starting"): lambda: instances.failed(state, one.serial, "why", at),
        ("fail", "ready"): lambda: instances.failed(state, one.serial, "why", at),
        ("vanish", "ready"): lambda: instances.failed(state, one.serial, "", at),
        ("gone", "leaving"): lambda: instances.without(state, one.serial),
        ("idle", "ready"): lambda: instances.idle(state, one.serial, at),
    }.get((what, one.phase))
    return change() if change else state


@given(EVENTS)
def test_any_course_of_events_settles(events):
    state, used = State(), set()
    for at, event in enumerate(events):
        state = happen(state, event, float(at))
        serials = [one.serial for one in state.instances]
        assert len(set(serials)) == len(serials)
        assert all(serial < state.serial for serial in serials)
        new = set(serials) - used
        assert not new or min(new) > max(used, default=0)
        used |= new
    at = 1e6
    for _ in range(4):
        state = instances.adjusted(state, state.wanted, at)
        for one in state.instances:
            word = "ready" if one.phase == "starting" else "gone"
            state = happen(state, (word, state.instances.index(one), "", 0, ""), at)
        state = State(
            state.serial,
            tuple(one for one in state.instances if one.phase != "leaving"),
            state.wanted,
            state.failures,
            state.not_before,
        )
    found = {}
    for one in state.instances:
        assert one.phase == "ready"
        found[one.model, one.etag] = found.get((one.model, one.etag), 0) + 1
    assert found == {
        (model, one.etag): one.count for model, one in state.wanted.items() if one.count
    }


@given(st.lists(st.floats(0.0, 100.0), min_size=2, max_size=12))
def test_failures_in_a_row_wait_longer_and_longer(steps):
    state, at, waits = State(), 0.0, []
    for step in steps:
        at = max(at + step, state.not_before)
        state = instances.adjusted(state, {"": Wanted(1)}, at)
        (one,) = (one for one in state.instances if one.phase != "leaving")
        state = instances.failed(state, one.serial, "why", at)
        waits.append(state.not_before - at)
    assert waits[0] == 0.0
    assert waits[1:] == pytest.approx([min(0.5 * 2**n, 30.0) for n in range(len(waits) - 1)])


def test_one_that_was_steady_starts_the_row_anew():
    one = Instance(1, phase="ready", since=0.0)
    state = State(2, (one,), failures=7)
    assert instances.failed(state, 1, "why", 30.0).failures == 8
    assert instances.failed(state, 1, "why", 60.0).failures == 1


def test_a_changed_artifact_is_ready_before_the_old_one_leaves():
    old = Instance(1, "a", "v1", "ready")
    state = instances.adjusted(State(2, (old,)), {"a": Wanted(1, "v2")}, 1.0)
    assert [(one.etag, one.phase) for one in state.instances] == [
        ("v1", "ready"),
        ("v2", "starting"),
    ]
    state = instances.changed(state, 2, phase="ready")
    state = instances.adjusted(state, {"a": Wanted(1, "v2")}, 2.0)
    assert [one.phase for one in state.instances] == ["leaving", "ready"]


def spec(**members):
    stages = (Stage("python:3", "s3://b/p/", multi_model=True, environment=members),)
    return FleetSpec("e", "v", stages)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0.0, 9.0)), unique_by=lambda pair: pair[0]),
    st.sets(st.integers(0, 9)),
    st.integers(1, 5),
)
def test_models_that_were_used_last_stay(loaded, wanted, most):
    there = tuple(Instance(n, str(n), "v", "ready") for n, _ in loaded)
    idle_s = {n: idle for n, idle in loaded}  # noqa: C416 - pairs of an instance and its age
    every = {str(n): Wanted(1, "v") for n in wanted | idle_s.keys()}
    found = targets(spec(SAGEMAKER_MAX_LOADED_MODELS=str(most)), State(10, there, every), idle_s)
    busy = {str(n) for n, idle in loaded if not idle}
    assert found.keys() <= every.keys()
    assert busy <= found.keys()  # nobody is taken its worker in the middle of a request
    assert len(found) <= max(most, len(busy), 0 if len(every) > most else len(every))
    kept = [idle_s[int(name)] for name in found if name in {str(n) for n in idle_s}]
    out = [idle_s[n] for n in idle_s if str(n) not in found]
    assert not out or max(kept, default=0.0) <= min(out)


def test_how_many_there_should_be():
    plain = FleetSpec("e", "v", (Stage("python:3"),), count=3)
    assert targets(plain, State(), {}) == {"": Wanted(3)}
    less = FleetSpec("e", "v", (Stage("python:3"),), serverless=Serverless(5, provisioned=2))
    assert targets(less, State(), {}) == {"": Wanted(2)}
    assert targets(less, State(wanted={"": Wanted(4)}), {}) == {"": Wanted(4)}
    for text in ("0", "many", "-1"):
        with pytest.raises(InvalidInput, match="legal: 1 to 10000"):
            most_models(spec(SAGEMAKER_MAX_LOADED_MODELS=text))
