"""Schedules, as boto3 sees them."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
ARN = "arn:aws:{}:us-east-1:123456789012:{}"


@pytest.fixture
def scheduler(server):
    return server.client("scheduler")


@pytest.fixture
def sqs(server):
    return server.client("sqs")


@pytest.fixture
def queue(sqs, name):
    return sqs.create_queue(QueueName=name)["QueueUrl"]


@pytest.fixture
def pipeline(sagemaker, name):
    step = {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.At"}}}
    parameters = [{"Name": "At", "Type": "String", "DefaultValue": "never"}]
    document = {"Version": "2020-12-01", "Parameters": parameters, "Steps": [step]}
    made = sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(document), RoleArn=ROLE
    )
    return made["PipelineArn"]


def document(name, arn, expression="rate(1 day)", target=None, **more):
    return {
        "Name": name,
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": arn, "RoleArn": ROLE, **(target or {})},
        **more,
    }


def soon(seconds=1):
    return f"at({datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S})"


def executions(sagemaker, pipeline, count=1):
    while True:
        found = sagemaker.list_pipeline_executions(PipelineName=pipeline)
        if len(found["PipelineExecutionSummaries"]) >= count:
            return found["PipelineExecutionSummaries"]
        time.sleep(0.05)


def received(sqs, queue):
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    return message["Body"]


def test_a_rate_starts_a_pipeline_at_once_and_once(scheduler, sagemaker, pipeline, name):
    parameters = [{"Name": "At", "Value": "<aws.scheduler.scheduled-time>"}]
    target = {"SageMakerPipelineParameters": {"PipelineParameterList": parameters}}
    wanted = document(name, pipeline, target=target)
    made = scheduler.create_schedule(**wanted)
    assert made["ScheduleArn"] == ARN.format("scheduler", f"schedule/default/{name}")
    (execution,) = executions(sagemaker, pipeline)
    found = sagemaker.describe_pipeline_execution(
        PipelineExecutionArn=execution["PipelineExecutionArn"]
    )
    assert found["CreatedBy"]["IamIdentity"]["Arn"].endswith("assumed-role/ClaryRole/schedule")
    given = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=execution["PipelineExecutionArn"]
    )["PipelineParameters"]
    assert datetime.fromisoformat(given[0]["Value"]) <= datetime.now(UTC)
    scheduler.update_schedule(**wanted)  # begins anew, a day from now
    scheduler.update_schedule(**wanted, State="DISABLED")
    assert len(executions(sagemaker, pipeline)) == 1
    with pytest.raises(scheduler.exceptions.ConflictException):
        scheduler.create_schedule(**wanted)


def test_the_same_token_makes_it_once(scheduler, pipeline, name):
    wanted = document(name, pipeline, "rate(9 days)", ClientToken="t" * 32, State="DISABLED")
    assert scheduler.create_schedule(**wanted)["ScheduleArn"]
    assert scheduler.create_schedule(**wanted)["ScheduleArn"]


def test_a_moment_sends_a_message_and_the_schedule_goes(scheduler, sqs, queue, name):
    arn = ARN.format("sqs", name)
    scheduler.create_schedule(
        **document(
            name,
            arn,
            soon(),
            {"Input": '{"schedule": "<aws.scheduler.schedule-arn>"}'},
            ActionAfterCompletion="DELETE",
        )
    )
    said = json.loads(received(sqs, queue))
    assert said == {"schedule": ARN.format("scheduler", f"schedule/default/{name}")}
    while name in [one["Name"] for one in scheduler.list_schedules()["Schedules"]]:
        time.sleep(0.05)


def test_cron_in_a_zone_and_its_description(scheduler, pipeline, name):
    start = datetime(2040, 1, 1, tzinfo=UTC)
    scheduler.create_schedule(
        **document(
            name,
            pipeline,
            "cron(0 8 ? * MON-FRI *)",
            ScheduleExpressionTimezone="Europe/Berlin",
            StartDate=start,
            EndDate=start + timedelta(days=9),
            Description="weekdays",
        )
    )
    found = scheduler.get_schedule(Name=name)
    assert found["ScheduleExpression"] == "cron(0 8 ? * MON-FRI *)"
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert (found["StartDate"], found["State"]) == (start, "ENABLED")
    assert found["Target"]["Arn"] == pipeline
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    listed = scheduler.list_schedules(NamePrefix=name)["Schedules"]
    assert [one["Name"] for one in listed] == [name]
    scheduler.delete_schedule(Name=name)
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.delete_schedule(Name=name)


def test_groups_hold_schedules(scheduler, pipeline, name):
    scheduler.create_schedule_group(Name=name)
    wanted = document(name, pipeline, "rate(1 day)", GroupName=name, State="DISABLED")
    scheduler.create_schedule(**wanted)
    assert scheduler.get_schedule(Name=name, GroupName=name)["GroupName"] == name
    assert scheduler.list_schedules(GroupName=name)["Schedules"][0]["State"] == "DISABLED"
    groups = [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]]
    assert name in groups
    scheduler.delete_schedule_group(Name=name)
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name=name, GroupName=name)
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.create_schedule(**wanted)


def test_what_cannot_be_started_goes_to_the_dead_letters(scheduler, sqs, queue, name):
    missing = ARN.format("sagemaker", f"pipeline/{name}")
    letters = {"DeadLetterConfig": {"Arn": ARN.format("sqs", name)}}
    scheduler.create_schedule(**document(name, missing, soon(), letters))
    found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20, MessageAttributeNames=["All"])[
        "Messages"
    ][0]
    assert "does not exist" in found["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert json.loads(found["Body"])["source"] == "aws.scheduler"


@pytest.mark.parametrize(
    "change",
    [
        {"ScheduleExpression": "cron(0 0 * * * *)"},
        {"ScheduleExpression": "rate(1 fortnight)"},
        {"ScheduleExpressionTimezone": "Mars/Olympus"},
        {"Target": {"Arn": "arn:aws:s3:::bucket", "RoleArn": ROLE}},
        {"Target": {"Arn": ARN.format("sagemaker", "model/m"), "RoleArn": ROLE}},
        {"Target": {"Arn": "arn:aws:sqs:us-east-1:999999999999:q", "RoleArn": ROLE}},
        {"StartDate": datetime(2040, 1, 2), "EndDate": datetime(2040, 1, 1)},
    ],
)
def test_what_is_wrong_is_refused(scheduler, pipeline, name, change):
    with pytest.raises(ClientError) as caught:
        scheduler.create_schedule(**{**document(name, pipeline), **change})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
