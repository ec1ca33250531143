import random

from hypothesis import given, settings
from hypothesis import strategies as st

from clary.pipelines.model import Step
from clary.pipelines.planner import ENDED, Planner, State


@st.composite
def pipelines(draw):
    """Random steps without cycles: some conditions, with branches, and any dependencies."""
    steps = {}
    for index in range(draw(st.integers(1, 10))):
        conditions = [name for name, step in steps.items() if step.branches]
        condition = draw(st.sampled_from(["", *conditions]))
        branch = draw(st.sampled_from(["IfSteps", "ElseSteps"])) if condition else ""
        on = draw(st.sets(st.sampled_from(sorted(steps)), max_size=3)) if steps else set()
        is_condition = draw(st.integers(0, 3)) == 0
        name = f"s{index}"
        steps[name] = Step(name, "T", {}, condition, branch, is_condition, tuple(on), ())
    return steps


def never_runs(steps, name, chosen):
    """The oracle: by recursion over everything a step needs."""
    step = steps[name]
    if step.condition and chosen[step.condition] != step.branch:
        return True
    return any(never_runs(steps, other, chosen) for other in step.dependencies)


def never_runs_yet(steps, name, states):
    """The same, as far as the conditions have decided."""
    step = steps[name]
    chosen = states.get(step.condition, State("")).branch
    if chosen and chosen != step.branch:
        return True
    return any(never_runs_yet(steps, other, states) for other in step.dependencies)


def check_against_oracle(steps, states, planner, planned, limit):
    assert planned == plan(steps, states, limit=limit)
    assert planner.skipped == fresh(steps, states).skipped
    ready = {
        name
        for name, step in steps.items()
        if name not in states
        and not never_runs_yet(steps, name, states)
        and all(states.get(x, State("")).status == "Succeeded" for x in step.dependencies)
    }
    failed = any(state.status == "Failed" for state in states.values())
    assert set(planner.plan(limit=99).ready) == (set() if failed else ready)


def fresh(steps, states):
    planner = Planner(steps)
    for name, state in states.items():
        planner.note(name, state)
    return planner


def plan(steps, states, *, limit, halted=False):
    return fresh(steps, states).plan(limit=limit, halted=halted)


@settings(max_examples=150)
@given(
    pipelines(), st.integers(1, 4), st.randoms(use_true_random=False), st.sets(st.integers(0, 9))
)
def test_every_step_runs_once_in_order_within_the_limit(steps, limit, luck, failing):
    chosen = {name: luck.choice(["IfSteps", "ElseSteps"]) for name in steps}
    fails = {f"s{index}" for index in failing} if luck.random() < 0.3 else set()
    states, started, planner = {}, [], Planner(steps)
    for _ in range(1000):
        now = planner.plan(limit=limit)
        check_against_oracle(steps, states, planner, now, limit)
        failed = any(state.status == "Failed" for state in states.values())
        if now.finished:
            break
        for name in now.ready:
            assert not failed
            assert name not in states
            assert all(states[other].status == "Succeeded" for other in steps[name].dependencies)
            states[name] = State(luck.choice(["Executing", "Starting"]))
            planner.note(name, states[name])
            started.append(name)
        running = [name for name, state in states.items() if state.status not in ENDED]
        assert 0 < len(running) <= limit
        ending = luck.choice(running)
        branch = chosen[ending] if steps[ending].branches else ""
        states[ending] = State("Failed" if ending in fails else "Succeeded", branch)
        planner.note(ending, states[ending])
    assert now.finished
    assert not now.ready
    assert all(state.status in ENDED for state in states.values())
    never = {name for name in steps if never_runs(steps, name, chosen)}
    assert not never & set(started)
    if not fails & set(started):
        assert set(started) == set(steps) - never
        assert planner.skipped == never


def test_nothing_starts_while_halted_and_it_ends_with_what_runs():
    steps = {name: Step(name, "T", {}, "", "", False, (), ()) for name in "abc"}
    states = {"a": State("Executing")}
    assert plan(steps, states, limit=9).ready == ("b", "c")
    halted = plan(steps, states, limit=9, halted=True)
    assert (halted.ready, halted.finished) == ((), False)
    assert plan(steps, {"a": State("Stopped")}, limit=9, halted=True).finished


def test_independent_steps_go_on_and_dependents_do_not_after_a_failure():
    steps = {
        "a": Step("a", "T", {}, "", "", False, (), ()),
        "b": Step("b", "T", {}, "", "", False, (), ()),
        "c": Step("c", "T", {}, "", "", False, ("a",), ()),
    }
    running = {"a": State("Failed"), "b": State("Executing")}
    assert not plan(steps, running, limit=9).finished
    assert plan(steps, running | {"b": State("Succeeded")}, limit=9).finished


def test_a_long_chain_is_planned_quickly():
    names = [f"s{index}" for index in range(2000)]
    random.Random(1).shuffle(names)
    steps = {
        name: Step(name, "T", {}, "", "", False, tuple(names[max(0, i - 1) : i]), ())
        for i, name in enumerate(names)
    }
    assert plan(steps, {}, limit=5).ready == (names[0],)


def test_what_is_beyond_the_steps_counts_as_done():
    steps = {
        "a": Step("a", "T", {}, "gone", "IfSteps", False, ("other",), ()),
        "b": Step("b", "T", {}, "", "", False, ("a",), ()),
    }
    assert plan(steps, {}, limit=9).ready == ("a",)
