"""Monitoring over the wire: definitions, schedules, executions, alerts, as boto3 sees them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/monitor"
TYPES = {
    "data_quality": "DataQuality",
    "model_quality": "ModelQuality",
    "model_bias": "ModelBias",
    "model_explainability": "ModelExplainability",
}
CLARIFY = "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0"


@pytest.fixture
def sagemaker(server):
    server.client("s3").create_bucket(Bucket="monitored")
    return server.client("sagemaker")


def definition(of, name, program="pass"):
    """Write a Create…JobDefinition request."""
    watched = {
        "DataCapturedDestinationS3Uri": "s3://monitored/captured",
        "DatasetFormat": {"Csv": {"Header": True}},
        "LocalPath": "/opt/ml/processing/input/batch",
    }
    reports = {"S3Uri": "s3://monitored/reports", "LocalPath": "/opt/ml/processing/output"}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    app = {"ImageUri": "python:3.11", "ContainerEntrypoint": ["python3", "-c", program]}
    if of in {"ModelBias", "ModelExplainability"}:
        app = {"ImageUri": CLARIFY, "ConfigUri": "s3://monitored/analysis_config.json"}
    if of == "ModelQuality":
        app["ProblemType"] = "Regression"
    found = {"BatchTransformInput": watched}
    if of in {"ModelQuality", "ModelBias"}:
        found["GroundTruthS3Input"] = {"S3Uri": "s3://monitored/labels"}
    return {
        "JobDefinitionName": name,
        f"{of}AppSpecification": app,
        f"{of}JobInput": found,
        f"{of}JobOutputConfig": {"MonitoringOutputs": [{"S3Output": reports}]},
        "JobResources": {"ClusterConfig": cluster},
        "RoleArn": ROLE,
    }


def schedule(name, expression="cron(0 * ? * * *)", of="DataQuality", **times):
    return {
        "MonitoringScheduleName": name,
        "MonitoringScheduleConfig": {
            "MonitoringJobDefinitionName": f"{name}-definition",
            "MonitoringType": of,
            "ScheduleConfig": {"ScheduleExpression": expression, **times},
        },
    }


def code(error):
    return error.value.response["Error"]["Code"]


@pytest.mark.parametrize("word", TYPES)
def test_definitions_are_made_described_listed_and_removed(sagemaker, word):
    of, name = TYPES[word], f"{word.replace('_', '-')}-1"
    asked = definition(of, name)
    made = getattr(sagemaker, f"create_{word}_job_definition")(**asked)
    kind = f"{word.replace('_', '-')}-job-definition"
    assert made["JobDefinitionArn"].endswith(f":{kind}/{name}")
    described = getattr(sagemaker, f"describe_{word}_job_definition")(JobDefinitionName=name)
    assert {member: described[member] for member in asked} == asked
    listed = getattr(sagemaker, f"list_{word}_job_definitions")(NameContains=name)
    [one] = listed["JobDefinitionSummaries"]
    assert one["MonitoringJobDefinitionName"] == name
    with pytest.raises(ClientError) as error:
        getattr(sagemaker, f"create_{word}_job_definition")(**asked)
    assert code(error) == "ResourceInUse"
    getattr(sagemaker, f"delete_{word}_job_definition")(JobDefinitionName=name)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        getattr(sagemaker, f"describe_{word}_job_definition")(JobDefinitionName=name)


def test_a_schedule_from_its_making_to_its_end(sagemaker):
    sagemaker.create_data_quality_job_definition(
        **definition("DataQuality", "hourly-definition"), Tags=[{"Key": "team", "Value": "a"}]
    )
    arn = sagemaker.create_monitoring_schedule(**schedule("hourly"))["MonitoringScheduleArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "b"}]
    described = sagemaker.describe_monitoring_schedule(MonitoringScheduleName="hourly")
    assert described["MonitoringScheduleStatus"] == "Scheduled"
    assert described["MonitoringType"] == "DataQuality"
    assert "LastMonitoringExecutionSummary" not in described
    where = {"MonitoringJobDefinitionName": "hourly-definition", "StatusEquals": "Scheduled"}
    [one] = sagemaker.list_monitoring_schedules(**where)["MonitoringScheduleSummaries"]
    assert one["MonitoringScheduleName"] == "hourly"
    sagemaker.stop_monitoring_schedule(MonitoringScheduleName="hourly")
    assert sagemaker.list_monitoring_schedules(**where)["MonitoringScheduleSummaries"] == []
    sagemaker.update_monitoring_alert(
        MonitoringScheduleName="hourly",
        MonitoringAlertName="violations",
        DatapointsToAlert=2,
        EvaluationPeriod=3,
    )
    [alert] = sagemaker.list_monitoring_alerts(MonitoringScheduleName="hourly")[
        "MonitoringAlertSummaries"
    ]
    assert (alert["AlertStatus"], alert["DatapointsToAlert"]) == ("OK", 2)
    assert sagemaker.list_monitoring_alert_history()["MonitoringAlertHistory"] == []
    sagemaker.delete_monitoring_schedule(MonitoringScheduleName="hourly")
    for ask in (sagemaker.describe_monitoring_schedule, sagemaker.start_monitoring_schedule):
        with pytest.raises(sagemaker.exceptions.ResourceNotFound):
            ask(MonitoringScheduleName="hourly")


def ended(sagemaker, name):
    """Wait for the only execution of a schedule."""
    until = time.monotonic() + 60
    while True:
        listed = sagemaker.list_monitoring_executions(MonitoringScheduleName=name)
        [one] = listed["MonitoringExecutionSummaries"]
        if one["MonitoringExecutionStatus"] == "Completed" or time.monotonic() > until:
            return one
        time.sleep(0.05)


def count(sagemaker, **where):
    return len(sagemaker.list_monitoring_executions(**where)["MonitoringExecutionSummaries"])


def test_executions_are_listed_by_what_they_are(sagemaker, server):
    manifest = b'[{"prefix": "s3://monitored/batch/"}, "rows.csv"]\n'
    s3, at = server.client("s3"), datetime.now(UTC) - timedelta(minutes=5)
    s3.put_object(Bucket="monitored", Key="batch/rows.csv", Body=b"a,b\n1,2\n")
    key = f"captured/input/{at:%Y/%m/%d/%H}/{at:%M-%S}-job-algo-1.jsonl"
    s3.put_object(Bucket="monitored", Key=key, Body=manifest)
    sagemaker.create_data_quality_job_definition(**definition("DataQuality", "once-definition"))
    asked = schedule("once", "NOW", DataAnalysisStartTime="-PT1H", DataAnalysisEndTime="-PT0H")
    sagemaker.create_monitoring_schedule(**asked)
    one = ended(sagemaker, "once")
    assert one["MonitoringExecutionStatus"] == "Completed", one
    job = one["ProcessingJobArn"].rpartition("/")[2]
    described = sagemaker.describe_processing_job(ProcessingJobName=job)
    assert described["MonitoringScheduleArn"].endswith(":monitoring-schedule/once")

    known = {"MonitoringScheduleName": "once", "SortBy": "ScheduledTime"}
    assert count(sagemaker, **known, MonitoringJobDefinitionName="once-definition") == 1
    assert count(sagemaker, **known, StatusEquals="Completed") == 1
    assert count(sagemaker, **known, StatusEquals="Failed") == 0
    assert count(sagemaker, **known, MonitoringTypeEquals="ModelBias") == 0
    assert count(sagemaker, **known, EndpointName="other") == 0
    when = one["ScheduledTime"]
    second = timedelta(seconds=1)
    assert (
        count(
            sagemaker, **known, ScheduledTimeAfter=when - second, ScheduledTimeBefore=when + second
        )
        == 1
    )
    assert count(sagemaker, **known, ScheduledTimeAfter=when + second) == 0
    assert count(sagemaker, **known, ScheduledTimeBefore=when - second) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"LocalPath": "/etc"}, "below /opt/ml"),
        ({"StartTimeOffset": "P"}, "StartTimeOffset"),
    ],
)
def test_a_definition_that_can_never_run_is_refused(sagemaker, changed, message):
    asked = definition("DataQuality", "wrong")
    asked["DataQualityJobInput"]["BatchTransformInput"] |= changed
    with pytest.raises(ClientError, match=message) as error:
        sagemaker.create_data_quality_job_definition(**asked)
    assert code(error) == "ValidationException"


def test_an_endpoint_that_is_not_there_is_refused(sagemaker):
    asked = definition("DataQuality", "nowhere")
    given = {"EndpointName": "nowhere", "LocalPath": "/opt/ml/processing/input/endpoint"}
    asked["DataQualityJobInput"] = {"EndpointInput": given}
    with pytest.raises(ClientError, match="nowhere"):
        sagemaker.create_data_quality_job_definition(**asked)
