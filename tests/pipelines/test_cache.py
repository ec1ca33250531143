"""Results of steps are reused when everything they depend on is what it was, and only then."""

import re
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.pipelines.conftest import PIPELINE, condition, definition, echo, get, slow

from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import arn
from clary.kernel.resource import Query
from clary.pipelines.cache import differences, duration
from clary.pipelines.model import parse


def cached(name, depends_on=(), expire_after=None, **arguments):
    config = {"Enabled": True} | ({"ExpireAfter": expire_after} if expire_after else {})
    return slow(name, depends_on, **arguments) | {"CacheConfig": config}


def ran(bench, **body):
    """Run an execution whose steps all end well."""
    execution = bench.start()
    for _ in range(5):
        bench.turn(execution)
        for name, status in bench.statuses(execution).items():
            if status == "Executing":
                bench.end(execution, name, **body)
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    return execution


def source(bench, execution, name):
    step = next(x for x in bench.pipelines.steps(execution) if x["StepName"] == name)
    return step.get("CacheHitResult", {}).get("SourcePipelineExecutionArn")


def test_a_second_execution_has_the_first_ones_results(bench):
    bench.create(cached("A", x=1), cached("B", y=get("Steps.A.Name")), echo("C"))
    first, second, third = ran(bench), bench.start(), bench.start()
    assert bench.turn(second)["PipelineExecutionStatus"] == "Succeeded"
    bench.turn(third)
    for execution in (second, third):
        assert source(bench, execution, "A") == source(bench, execution, "B") == arn(first)
        assert source(bench, execution, "C") is None
        for name in "AB":
            new, old = bench.step(execution, name).body, bench.step(first, name).body
            assert new["properties"] == old["properties"]
            assert new["metadata"] == old["metadata"]
            assert new["ended_at"] >= old["ended_at"]
    told = [(event.action, event.detail) for event in bench.store.events(ref=None)]
    assert ("pipeline-step.succeeded", {"cached_from": first.name}) in told
    assert bench.pipelines.why(second, "A").reason == (
        f"the result of execution {first.name.partition('/')[2]} was reused"
    )


def test_what_a_key_says_decides(bench):
    bench.create(cached("A", x=get("Parameters.X")), parameters=[X])
    first = ran(bench)
    other = bench.start(X="2")
    bench.turn(other)
    assert bench.statuses(other) == {"A": "Executing"}
    why = bench.pipelines.why(other, "A")
    assert why.reason == "no earlier success has the same key"
    assert why.against == first.name
    assert why.differences == ['arguments.x was "1" and is "2"']
    bench.slow.world["package"] = "2.0"
    changed = bench.start()
    bench.turn(changed)
    assert bench.pipelines.why(changed, "A").differences == ['world.package is new: "2.0"']


X = {"Name": "X", "Type": "String", "DefaultValue": "1"}


def test_a_key_that_changed_while_the_step_ran_is_not_kept(bench):
    bench.create(cached("A", x=1))
    first = bench.start()
    bench.turn(first)
    bench.slow.world["input"] = "new"
    bench.end(first, "A")
    bench.turn(first)
    assert not bench.store.select(Query("step-result")).items
    why = bench.pipelines.why(first, "A")
    assert why.reason == "no earlier success has the same key: it has not succeeded before"


def test_failures_and_other_steps_and_pipelines_are_no_source(bench):
    bench.create(cached("A", x=1))
    failed = bench.start()
    bench.turn(failed)
    bench.end(failed, "A", "Failed")
    bench.turn(failed)
    bench.create(cached("A", x=1), name="other")
    ran(bench)
    other = bench.start(PIPELINE.sibling("pipeline", "other"))
    bench.turn(other)
    assert bench.statuses(other) == {"A": "Executing"}


def test_a_step_whose_caching_is_off_runs(bench):
    step = slow("A") | {"CacheConfig": {"Enabled": False, "ExpireAfter": "P1D"}}
    bench.create(step)
    ran(bench)
    second = bench.start()
    bench.turn(second)
    assert bench.statuses(second) == {"A": "Executing"}
    assert "caching is not enabled" in bench.pipelines.why(second, "A").reason
    with pytest.raises(NotFound):
        bench.pipelines.why(second, "B")


def test_an_old_result_is_not_reused_and_its_successor_is(bench):
    bench.create(cached("A", expire_after="PT0S"))
    ran(bench)
    second = ran(bench)
    assert source(bench, second, "A") is None
    assert re.search(r"is \d seconds old, over PT0S", bench.pipelines.why(second, "A").reason)
    bench.pipelines.update(
        PIPELINE, {"PipelineName": "abalone", "PipelineDefinition": _text(cached("A"))}, actor="a"
    )
    third = bench.start()
    bench.turn(third)
    assert source(bench, third, "A") == arn(second)


def _text(*steps):
    return definition(*steps)


@pytest.mark.parametrize("change", ["overwritten", "gone"])
def test_a_result_whose_objects_changed_is_not_reused(bench, change):
    info = bench.objects.put("data", "out/a.csv", [b"1"])
    made = {"s3://data/out/a.csv": info.sha256}
    bench.create(cached("A"))
    first = ran(bench, made=made)
    second = ran(bench)
    assert source(bench, second, "A") == arn(first)
    if change == "gone":
        bench.objects.delete("data", "out/a.csv")
    else:
        bench.objects.put("data", "out/a.csv", [b"2"])
    third = bench.start()
    bench.turn(third)
    assert bench.statuses(third) == {"A": "Executing"}
    assert bench.pipelines.why(third, "A").reason == (
        f"s3://data/out/a.csv, which execution {first.name.partition('/')[2]} made, "
        "has changed since or is gone"
    )
    bench.objects.put("data", "out/a.csv", [b"1"])
    assert source(bench, ran(bench), "A") == arn(first)


def test_a_condition_reads_reused_results(bench):
    decide = condition(
        "Decide",
        [{"Type": "Equals", "LeftValue": get("Steps.A.Name"), "RightValue": "x"}],
        [echo("B")],
        [echo("C")],
    )
    bench.create(cached("A"), decide)
    ran(bench)
    second = bench.start()
    assert bench.turn(second)["PipelineExecutionStatus"] == "Succeeded"
    assert set(bench.statuses(second)) == {"A", "Decide", "C"}


def test_results_go_with_their_pipeline(bench):
    bench.create(cached("A"))
    ran(bench)
    bench.pipelines.delete(PIPELINE, actor="ada")
    assert not bench.store.select(Query("step-result")).items


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P30D", timedelta(days=30)),
        ("30d", timedelta(days=30)),
        ("5y", timedelta(days=5 * 365)),
        ("T16m", timedelta(minutes=16)),
        ("30dT5h", timedelta(days=30, hours=5)),
        ("P1Y2M3W4DT5H6M7S", timedelta(days=365 + 60 + 21 + 4, hours=5, minutes=6, seconds=7)),
        ("PT0S", timedelta()),
    ],
)
def test_durations(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "P", "T", "PT", "30", "1H", "P-1D", "P1.5D", "D30", "P" * 99])
def test_what_is_no_duration_is_refused_by_the_steps_place(text):
    with pytest.raises(
        InvalidInput, match=r"^Steps\[0\]\.CacheConfig: .* is no duration like P30D"
    ):
        parse(_text(cached("A") | {"CacheConfig": {"Enabled": True, "ExpireAfter": text}}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('ab."[', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@example({"a": None}, {"": None, "a": None})
@example({"a": {"b": 1}}, {"a.b": 1})
@given(JSON, JSON)
def test_keys_differ_where_they_differ(before, after):
    assert differences(before, before) == []
    if type(before) is type(after) and before != after:
        assert differences(before, after)
    assert len(differences(before, after)) == len(differences(after, before))
