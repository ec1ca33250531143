"""SageMaker Metrics, as boto3 sees it."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def metrics(server):
    return server.client("sagemaker-metrics")


@pytest.fixture
def component(sagemaker, name):
    return sagemaker.create_trial_component(TrialComponentName=name)["TrialComponentArn"]


def point(value, step, at, name="loss"):
    return {"MetricName": name, "Value": value, "Step": step, "Timestamp": str(at)}


def ask(metrics, arn, statistic="Last", period="IterationNumber", axis="IterationNumber", **more):
    query = {
        "MetricName": "loss",
        "ResourceArn": arn,
        "MetricStat": statistic,
        "Period": period,
        "XAxisType": axis,
        **more,
    }
    (result,) = metrics.batch_get_metrics(MetricQueries=[query])["MetricQueryResults"]
    return result["Status"], result["XAxisValues"], result["MetricValues"]


def test_points_come_back_along_steps_and_time(metrics, sagemaker, component, name):
    at = int(time.time()) // 60 * 60
    data = [point(float(9 - step), step, at + 40 * step) for step in range(4)]
    assert "Errors" not in metrics.batch_put_metrics(TrialComponentName=name, MetricData=data)
    assert ask(metrics, component) == ("Complete", [0, 1, 2, 3], [9.0, 8.0, 7.0, 6.0])
    assert ask(metrics, component, Start=1, End=2) == ("Complete", [1, 2], [8.0, 7.0])
    minutes = {"period": "OneMinute", "axis": "Timestamp"}
    assert ask(metrics, component, "Avg", **minutes) == (
        "Complete",
        [at, at + 60, at + 120],
        [8.5, 7.0, 6.0],
    )
    assert ask(metrics, component, "Count", **minutes, Start=at + 40) == (
        "Complete",
        [at, at + 60, at + 120],
        [1.0, 1.0, 1.0],
    )
    assert ask(metrics, component, "Max", axis="Timestamp")[1][:2] == [at, at + 40]
    assert ask(metrics, component, "Min", period="OneHour")[2][-1] == 6.0
    (summary,) = sagemaker.describe_trial_component(TrialComponentName=name)["Metrics"]
    assert summary["MetricName"] == "loss"
    assert (summary["Min"], summary["Max"], summary["Last"]) == (6.0, 9.0, 6.0)
    assert (summary["Count"], summary["Avg"]) == (4, 7.5)
    assert summary["StdDev"] == pytest.approx(1.25**0.5)


def test_what_cannot_be_kept_or_answered_fails_alone(metrics, component, name):
    at = int(time.time())
    data = [point(1.0, 0, at), point(float("nan"), 1, at), point(2.0, 2, at)]
    errors = metrics.batch_put_metrics(TrialComponentName=name, MetricData=data)["Errors"]
    assert errors == [{"Code": "VALIDATION_ERROR", "MetricIndex": 1}]
    assert ask(metrics, component) == ("Complete", [0, 2], [1.0, 2.0])
    assert ask(metrics, f"{component}x") == ("ValidationError", [], [])
    pipeline = component.replace("experiment-trial-component", "pipeline")
    assert ask(metrics, pipeline)[0] == "ValidationError"
    with pytest.raises(ClientError, match="no-such does not exist"):
        metrics.batch_put_metrics(TrialComponentName="no-such", MetricData=data[:1])


def test_metrics_go_with_their_component(metrics, sagemaker, component, name):
    data = [point(1.0, 0, int(time.time()))]
    metrics.batch_put_metrics(TrialComponentName=name, MetricData=data)
    sagemaker.delete_trial_component(TrialComponentName=name)
    sagemaker.create_trial_component(TrialComponentName=name)
    assert sagemaker.describe_trial_component(TrialComponentName=name)["Metrics"] == []
    assert ask(metrics, component) == ("Complete", [], [])
