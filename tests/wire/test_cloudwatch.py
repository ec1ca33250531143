from __future__ import annotations

import json
import time
from datetime import timedelta

import botocore.loaders
import botocore.session
import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now


@pytest.fixture
def cloudwatch(server):
    return server.client("cloudwatch")


def test_values_come_back(cloudwatch):
    at = now().replace(second=0, microsecond=0) - timedelta(minutes=5)
    where = [{"Name": "Model", "Value": "abalone"}, {"Name": "Stage", "Value": "prod"}]
    cloudwatch.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {
                "MetricName": "error",
                "Dimensions": where,
                "Timestamp": at,
                "Values": [1.0, 2.0, 4.0],
                "Counts": [1.0, 2.0, 1.0],
                "Unit": "Percent",
            },
            {
                "MetricName": "error",
                "Dimensions": where[::-1],
                "Timestamp": at + timedelta(seconds=59),
                "Value": 11.0,
                "Unit": "Percent",
            },
        ],
    )
    found = cloudwatch.get_metric_statistics(
        Namespace="Mine",
        MetricName="error",
        Dimensions=where,
        StartTime=at,
        EndTime=at + timedelta(minutes=5),
        Period=60,
        Statistics=["Average", "Sum", "Minimum", "Maximum", "SampleCount"],
        ExtendedStatistics=["p50", "p99.9"],
    )
    (point,) = found["Datapoints"]
    assert found["Label"] == "error"
    assert point["Timestamp"] == at
    assert point["Unit"] == "Percent"
    assert (point["Sum"], point["SampleCount"], point["Average"]) == (20.0, 5.0, 4.0)
    assert (point["Minimum"], point["Maximum"]) == (1.0, 11.0)
    assert point["ExtendedStatistics"]["p50"] == pytest.approx(2.0, rel=0.01)
    assert point["ExtendedStatistics"]["p99.9"] == pytest.approx(11.0, rel=0.01)


def stat(name, stat, period=60):
    metric = {"Namespace": "Mine", "MetricName": name}
    return {"Metric": metric, "Period": period, "Stat": stat}


def test_queries_compute_and_come_in_pages(cloudwatch):
    at = now().replace(second=0, microsecond=0) - timedelta(minutes=9)
    minutes = [at + timedelta(minutes=n) for n in range(6)]
    cloudwatch.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {"MetricName": name, "Timestamp": minute, "Value": float(n)}
            for n, minute in enumerate(minutes)
            for name in ("queried", "queried")
        ],
    )
    asked = {
        "MetricDataQueries": [
            {"Id": "m1", "MetricStat": stat("queried", "Sum")},
            {"Id": "e1", "Expression": "m1 / 2", "Label": "half"},
        ],
        "StartTime": at,
        "EndTime": at + timedelta(minutes=9),
    }
    whole, half = cloudwatch.get_metric_data(**asked, ScanBy="TimestampAscending")[
        "MetricDataResults"
    ]
    assert (whole["Label"], whole["StatusCode"]) == ("queried", "Complete")
    assert whole["Timestamps"] == minutes
    assert whole["Values"] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert (half["Id"], half["Label"]) == ("e1", "half")
    assert half["Values"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    pages = list(cloudwatch.get_paginator("get_metric_data").paginate(**asked, MaxDatapoints=4))
    assert len(pages) == 3
    assert pages[0]["MetricDataResults"][0]["StatusCode"] == "PartialData"
    values = {"m1": [], "e1": []}
    for page in pages:
        for result in page["MetricDataResults"]:
            values[result["Id"]] += result["Values"]
    assert values == {"m1": whole["Values"][::-1], "e1": half["Values"][::-1]}


def test_metrics_are_listed_in_pages(cloudwatch):
    names = [f"listed-{n:04}" for n in range(520)]
    for start in range(0, len(names), 130):
        cloudwatch.put_metric_data(
            Namespace="Listed",
            MetricData=[
                {"MetricName": name, "Value": 1.0, "Unit": unit}
                for name in names[start : start + 130]
                for unit in ("Count", "Seconds")
            ],
        )
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Listed"))
    assert len(pages) == 2
    assert [one["MetricName"] for page in pages for one in page["Metrics"]] == names
    (one,) = cloudwatch.list_metrics(
        Namespace="Listed", MetricName="listed-0007", RecentlyActive="PT3H"
    )["Metrics"]
    assert one == {"Namespace": "Listed", "MetricName": "listed-0007", "Dimensions": []}
    assert not cloudwatch.list_metrics(Namespace="Listed", Dimensions=[{"Name": "a"}])["Metrics"]


ALARM = {
    "AlarmDescription": "too much",
    "Namespace": "Mine",
    "MetricName": "rung",
    "Statistic": "Maximum",
    "Period": 10,
    "EvaluationPeriods": 1,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Tags": [{"Key": "team", "Value": "sea"}],
}


def wait_for(cloudwatch, name, state):
    """Wait until an alarm is in a state."""
    until = now() + timedelta(seconds=60)
    while now() < until:
        (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        if found["StateValue"] == state:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{name} is {found['StateValue']}: {found['StateReason']}")


def test_an_alarm_rings_and_rules_hear_it(server, cloudwatch):
    sqs, events = server.client("sqs"), server.client("events")
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    events.put_rule(
        Name="alarms",
        EventPattern=json.dumps(
            {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {"alarmName": ["rung"], "state": {"value": ["ALARM"]}},
            }
        ),
    )
    target = {"Id": "queue", "Arn": queue_arn["Attributes"]["QueueArn"]}
    events.put_targets(Rule="alarms", Targets=[target])
    cloudwatch.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {
                "MetricName": "rung",
                "Value": 7.0,
                "Timestamp": now() - timedelta(seconds=20),
                "StorageResolution": 1,
            }
        ],
    )
    cloudwatch.put_metric_alarm(AlarmName="rung", **ALARM)
    found = wait_for(cloudwatch, "rung", "ALARM")
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:rung"
    assert found["AlarmArn"] == arn
    assert (found["Threshold"], found["AlarmDescription"]) == (5.0, "too much")
    assert json.loads(found["StateReasonData"])["recentDatapoints"] == [7.0]
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    event = json.loads(message["Body"])
    assert event["source"] == "aws.cloudwatch"
    assert event["resources"] == [arn]
    assert event["detail"]["state"]["value"] == "ALARM"
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    history = cloudwatch.describe_alarm_history(AlarmName="rung")["AlarmHistoryItems"]
    assert [one["HistoryItemType"] for one in history] == ["StateUpdate", "ConfigurationUpdate"]
    assert history[0]["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == ALARM["Tags"]
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["team"])
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [
        {"Key": "a", "Value": "b"}
    ]


def test_alarms_are_found_switched_set_and_deleted(cloudwatch):
    quiet = {**ALARM, "MetricName": "quiet", "TreatMissingData": "notBreaching", "Period": 60}
    for name in ("quiet-a", "quiet-b"):
        cloudwatch.put_metric_alarm(AlarmName=name, AlarmActions=["arn:aws:sns:x"], **quiet)
    wait_for(cloudwatch, "quiet-a", "OK")
    wait_for(cloudwatch, "quiet-b", "OK")
    cloudwatch.set_alarm_state(AlarmName="quiet-b", StateValue="ALARM", StateReason="a test")

    def named(**asked):
        return [one["AlarmName"] for one in cloudwatch.describe_alarms(**asked)["MetricAlarms"]]

    assert named(AlarmNamePrefix="quiet-") == ["quiet-a", "quiet-b"]
    assert named(AlarmNamePrefix="quiet-", StateValue="ALARM") == ["quiet-b"]
    assert named(AlarmNames=["quiet-b", "nowhere"]) == ["quiet-b"]
    assert named(ActionPrefix="arn:aws:sns") == ["quiet-a", "quiet-b"]
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix="quiet-", PaginationConfig={"PageSize": 1}
    )
    assert [len(page["MetricAlarms"]) for page in pages] == [1, 1]
    found = cloudwatch.describe_alarms_for_metric(Namespace="Mine", MetricName="quiet", Period=60)
    assert len(found["MetricAlarms"]) == 2
    cloudwatch.disable_alarm_actions(AlarmNames=["quiet-a"])
    (one,) = cloudwatch.describe_alarms(AlarmNames=["quiet-a"])["MetricAlarms"]
    assert one["ActionsEnabled"] is False
    cloudwatch.delete_alarms(AlarmNames=["quiet-a", "quiet-b"])
    assert named(AlarmNamePrefix="quiet-") == []


@pytest.mark.parametrize(
    ("call", "asked", "code"),
    [
        ("delete_alarms", {"AlarmNames": ["none"]}, "ResourceNotFound"),
        (
            "set_alarm_state",
            {"AlarmName": "none", "StateValue": "OK", "StateReason": ""},
            "ResourceNotFound",
        ),
        ("describe_alarms", {"NextToken": "x"}, "ValidationError"),
        ("list_metrics", {"NextToken": "x"}, "InvalidNextToken"),
        ("put_metric_alarm", {"AlarmName": "x", "EvaluationPeriods": 1}, "ValidationError"),
        (
            "put_composite_alarm",
            {"AlarmName": "x", "AlarmRule": "ALARM(y)"},
            "UnsupportedOperation",
        ),
        (
            "put_metric_data",
            {"Namespace": "AWS/Mine", "MetricData": [{"MetricName": "a", "Value": 1}]},
            "InvalidParameterValue",
        ),
        (
            "get_metric_statistics",
            {
                "Namespace": "Mine",
                "MetricName": "a",
                "StartTime": 0,
                "EndTime": 60,
                "Period": 7,
                "Statistics": ["Sum"],
            },
            "InvalidParameterValue",
        ),
        ("put_dashboard", {"DashboardName": "a", "DashboardBody": "{}"}, "UnsupportedOperation"),
    ],
)
def test_what_is_refused(cloudwatch, call, asked, code):
    with pytest.raises(ClientError) as refused:
        getattr(cloudwatch, call)(**asked)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["Error"]["Message"]


def test_a_wrong_key_is_refused_in_its_protocol(server):
    client = server.client("cloudwatch", aws_secret_access_key="wrong")
    with pytest.raises(ClientError) as refused:
        client.list_metrics()
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
def test_clients_of_every_age_speak_its_protocols(server, protocol):
    loader = botocore.loaders.Loader()
    model = loader.load_service_model("cloudwatch", "service-2")
    model["metadata"]["protocol"] = protocol
    model["metadata"]["protocols"] = [protocol]
    session = botocore.session.get_session()
    session.register_component("data_loader", Older(loader, model))
    client = session.create_client(
        "cloudwatch",
        region_name="us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.keys["access_key_id"],
        aws_secret_access_key=server.keys["secret_access_key"],
    )
    client.put_metric_data(
        Namespace="Older", MetricData=[{"MetricName": protocol, "Values": [1.5, 2.5]}]
    )
    (found,) = client.list_metrics(Namespace="Older", MetricName=protocol)["Metrics"]
    assert found["MetricName"] == protocol
    (point,) = client.get_metric_statistics(
        Namespace="Older",
        MetricName=protocol,
        StartTime=now() - timedelta(minutes=2),
        EndTime=now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert point["Sum"] == 4.0
    with pytest.raises(client.exceptions.ResourceNotFound):
        client.delete_alarms(AlarmNames=["none"])


class Older:
    """A loader that gives one model of its own."""

    def __init__(self, loader, model):
        self._loader, self._model = loader, model

    def load_service_model(self, name, kind, *args, **options):
        if (name, kind) == ("cloudwatch", "service-2"):
            return self._model
        return self._loader.load_service_model(name, kind, *args, **options)

    def __getattr__(self, name):
        return getattr(self._loader, name)
