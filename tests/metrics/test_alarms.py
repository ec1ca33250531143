from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound, NotSupported
from clary.kernel.names import arn, parse_arn
from clary.metrics import alarms as module
from clary.metrics.alarms import CHANGED

ME = "arn:aws:iam::123456789012:role/ClaryRole"
HIGH = {
    "AlarmName": "high",
    "AlarmDescription": "the loss is high",
    "Namespace": "Mine",
    "MetricName": "loss",
    "Dimensions": [{"Name": "Model", "Value": "abalone"}],
    "Statistic": "Average",
    "Period": 10,
    "EvaluationPeriods": 1,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


def put(world, value, *, ago_s=20):
    datum = {
        "MetricName": "loss",
        "Dimensions": HIGH["Dimensions"],
        "Value": value,
        "Timestamp": now() - timedelta(seconds=ago_s),
    }
    world.metrics.put("Mine", [datum], near=world.near)


def make(world, **changes):
    world.alarms.put(world.near, {**HIGH, **changes}, actor=ME, tags={"team": "sea"})


def evaluate(world):
    due = world.alarms.run(world.alarms.get(world.near), threading.Event())
    return world.alarms.states(["high", "none"], near=world.near).get("high"), due


def test_an_alarm_rings_and_is_well_again(world) -> None:
    make(world)
    assert evaluate(world)[0] == "INSUFFICIENT_DATA"
    put(world, 9.0)
    state, due = evaluate(world)
    assert state == "ALARM"
    assert timedelta(0) < due - now() <= timedelta(seconds=11)
    assert evaluate(world)[0] == "ALARM"
    put(world, -9.0)
    assert evaluate(world)[0] == "OK"
    changes = [line for line in world.alarms.history(world.near) if line.action == CHANGED]
    assert [line.detail["state"]["value"] for line in changes] == ["ALARM", "OK"]
    (_, last) = changes
    assert last.detail["previousState"]["value"] == "ALARM"
    assert last.detail["alarmName"] == "high"
    configuration = last.detail["configuration"]
    assert configuration["description"] == "the loss is high"
    assert configuration["metrics"][0]["metricStat"]["metric"] == {
        "namespace": "Mine",
        "name": "loss",
        "dimensions": {"Model": "abalone"},
    }
    assert "1 of 1 ring" in last.detail["state"]["reason"]


def test_a_period_that_has_not_ended_does_not_count(world) -> None:
    make(world)
    put(world, 9.0, ago_s=-30)
    assert evaluate(world)[0] == "INSUFFICIENT_DATA"


def test_putting_an_alarm_again_keeps_its_state(world) -> None:
    make(world)
    put(world, 9.0)
    evaluate(world)
    make(world, Threshold=50.0)
    assert world.alarms.states(["high"], near=world.near) == {"high": "ALARM"}
    assert evaluate(world)[0] == "OK"


def test_expressions_ring_too(world) -> None:
    metric = {name: HIGH[name] for name in ("Namespace", "MetricName", "Dimensions")}
    stat = {"Metric": metric, "Period": 30}
    queries = [
        {"Id": "share", "Expression": "100 * FILL(most, 0) / total"},
        {"Id": "most", "MetricStat": {**stat, "Stat": "Maximum"}, "ReturnData": False},
        {"Id": "total", "MetricStat": {**stat, "Stat": "Sum"}, "ReturnData": False},
    ]
    own = dict(HIGH)
    for name in (*metric, "Statistic", "Period"):
        del own[name]
    request = {**own, "Metrics": queries, "Threshold": 60.0}
    world.alarms.put(world.near, request, actor=ME)
    last = int(now().timestamp()) // 30 * 30 - 20
    for at in (last, last - 30):  # the last period may have ended too short a time ago to count
        for value in (3.0, 1.0):
            put(world, value, ago_s=(now() - datetime.fromtimestamp(at, UTC)).total_seconds())
    assert evaluate(world)[0] == "ALARM"


def test_a_state_that_was_set_lasts_until_the_next_evaluation(world) -> None:
    make(world)
    put(world, 1.0)
    world.alarms.set_state(world.near, "ALARM", "a test", '{"a": 1}', actor=ME)
    assert world.alarms.states(["high"], near=world.near) == {"high": "ALARM"}
    (line,) = [one for one in world.alarms.history(world.near) if one.action == CHANGED]
    assert (line.actor, line.detail["state"]["reason"]) == (ME, "a test")
    with pytest.raises(InvalidInput, match="StateReasonData"):
        world.alarms.set_state(world.near, "OK", "", "{", actor=ME)
    assert evaluate(world)[0] == "OK"


def test_actions_are_switched_and_alarms_deleted_together(world) -> None:
    make(world)
    world.alarms.switch([world.near, world.near.sibling("alarm", "none")], enabled=False, actor=ME)
    assert world.alarms.get(world.near).body["request"]["ActionsEnabled"] is False
    with pytest.raises(NotFound):
        world.alarms.delete([world.near, world.near.sibling("alarm", "none")], actor=ME)
    world.alarms.delete([world.near], actor=ME)
    with pytest.raises(NotFound):
        world.alarms.get(world.near)


def test_there_are_not_too_many(world, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_ALARMS", 1)
    make(world)
    make(world)
    with pytest.raises(LimitExceeded):
        world.alarms.put(world.near.sibling("alarm", "other"), HIGH, actor=ME)


def test_the_arn_is_that_of_cloudwatch(world) -> None:
    text = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:high"
    assert arn(world.near) == text
    assert parse_arn(text) == world.near


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Period": 15}, "Period"),
        ({"Period": None}, "Period"),
        ({"Statistic": None}, "Statistic"),
        ({"ExtendedStatistic": "p99"}, "Statistic"),
        ({"Statistic": "Median"}, "Stat"),
        ({"MetricName": None}, "MetricName"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"EvaluationPeriods": 8641}, "EvaluationPeriods"),
        ({"EvaluationPeriods": None}, "evaluation"),
        ({"Threshold": float("nan")}, "Threshold"),
        ({"ComparisonOperator": "Near"}, "ComparisonOperator"),
        ({"TreatMissingData": "perhaps"}, "TreatMissingData"),
        ({"Metrics": [{"Id": "a", "Expression": "1"}]}, "Metrics"),
    ],
)
def test_what_is_refused(world, changes, field) -> None:
    request = {name: value for name, value in {**HIGH, **changes}.items() if value is not None}
    with pytest.raises(InvalidInput, match=f"(?i){field}"):
        world.alarms.put(world.near, request, actor=ME)
    assert world.store.get(world.near) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ThresholdMetricId": "a"},
        {"EvaluateLowSampleCountPercentile": "ignore"},
        {"EvaluationCriteria": {"PromQLCriteria": {}}},
    ],
)
def test_what_is_not_offered(world, changes) -> None:
    with pytest.raises(NotSupported):
        make(world, **changes)
