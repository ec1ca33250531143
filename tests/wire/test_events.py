"""Rules on events, as boto3 sees them."""

import json
import time

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
ARN = "arn:aws:{}:us-east-1:123456789012:{}"


@pytest.fixture
def events(server):
    return server.client("events")


@pytest.fixture
def sqs(server):
    return server.client("sqs")


@pytest.fixture
def queue(sqs, name):
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def pipeline(sagemaker, name, **parameters):
    step = {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": "said"}}
    document = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": key, "Type": "String"} for key in parameters],
        "Steps": [step],
    }
    return sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(document), RoleArn=ROLE
    )["PipelineArn"]


def received(sqs, queue):
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


def put(events, name, pattern, **target):
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    put = events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
    assert put["FailedEntryCount"] == 0
    return arn


def test_approving_a_package_starts_a_pipeline(events, sagemaker, s3, name):
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="model.tar.gz", Body=b"model")
    started = pipeline(sagemaker, name, Version="")
    group = f"{name}-g"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    parameters = [{"Name": "Version", "Value": "$.detail.ModelPackageVersion"}]
    target = {"SageMakerPipelineParameters": {"PipelineParameterList": parameters}}
    put(events, name, pattern, Arn=started, RoleArn=ROLE, **target)
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.5-1"
    served = {
        "Containers": [{"Image": image, "ModelDataUrl": f"s3://{name}/model.tar.gz"}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    made = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification=served,
        ModelApprovalStatus="PendingManualApproval",
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=made, ModelApprovalStatus="Approved")
    while not (
        found := sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    ):
        time.sleep(0.05)
    assert len(found) == 1
    given = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=found[0]["PipelineExecutionArn"]
    )
    assert given["PipelineParameters"] == [{"Name": "Version", "Value": "1"}]


def test_executions_and_steps_tell_of_their_changes(events, sqs, queue, sagemaker, name):
    arn = pipeline(sagemaker, name)
    pattern = {
        "detail-type": [{"prefix": "SageMaker Model Building Pipeline"}],
        "detail": {"pipelineArn": [arn]},
    }
    put(events, name, pattern, Arn=ARN.format("sqs", name))
    execution = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    told = [received(sqs, queue) for _ in range(3)]
    by_kind = {
        (one["detail-type"], one["detail"].get("currentPipelineExecutionStatus")): one["detail"]
        for one in told
    }
    whole = "SageMaker Model Building Pipeline Execution Status Change"
    ended = by_kind[whole, "Failed"]
    assert ended["pipelineExecutionArn"] == execution
    assert ended["previousPipelineExecutionStatus"] == "Executing"
    assert ended["executionEndTime"] >= ended["executionStartTime"]
    assert (whole, "Executing") in by_kind
    step = by_kind["SageMaker Model Building Pipeline Execution Step Status Change", None]
    assert (step["stepName"], step["stepType"]) == ("Say", "Fail")
    assert step["currentStepStatus"] == "Failed"
    assert step["failureReason"] == "said"
    assert step["metadata"] == {"fail": {"errorMessage": "said"}}
    assert told[0]["account"] == "123456789012"
    assert execution in told[0]["resources"]


def test_events_of_ones_own_reach_targets_transformed(events, sqs, queue, name):
    pattern = {"source": [name], "detail": {"rows": [{"numeric": [">", 10]}]}}
    transformer = {
        "InputPathsMap": {"rows": "$.detail.rows", "kind": "$.detail-type"},
        "InputTemplate": '{"text": "<kind> has <rows> rows"}',
    }
    put(events, name, pattern, Arn=ARN.format("sqs", name), InputTransformer=transformer)
    entries = [
        {"Source": name, "DetailType": "Data", "Detail": json.dumps({"rows": rows})}
        for rows in (5, 50)
    ]
    entries.append({"Source": "aws.fake", "DetailType": "Data", "Detail": "{}"})
    answer = events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][2]["ErrorCode"] == "InvalidArgument"
    assert received(sqs, queue) == {"text": "Data has 50 rows"}


def test_rules_are_described_switched_and_deleted(events, sqs, queue, name):
    pattern = {"source": [name]}
    arn = put(events, name, pattern, Arn=ARN.format("sqs", name), Input='"hello"')
    found = events.describe_rule(Name=name)
    assert (found["Arn"], found["State"]) == (arn, "ENABLED")
    assert json.loads(found["EventPattern"]) == pattern
    assert events.list_rules(NamePrefix=name)["Rules"][0]["Name"] == name
    assert events.list_rule_names_by_target(TargetArn=ARN.format("sqs", name))["RuleNames"] == [
        name
    ]
    assert events.list_targets_by_rule(Rule=name)["Targets"][0]["Input"] == '"hello"'
    entry = {"Source": name, "DetailType": "d", "Detail": "{}"}
    events.disable_rule(Name=name)
    events.put_events(Entries=[entry])
    events.enable_rule(Name=name)
    events.put_events(Entries=[entry])
    assert received(sqs, queue) == "hello"
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    with pytest.raises(ClientError, match="has targets"):
        events.delete_rule(Name=name)
    removed = events.remove_targets(Rule=name, Ids=["t", "u"])
    assert [one["TargetId"] for one in removed["FailedEntries"]] == ["u"]
    events.delete_rule(Name=name)
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name=name)


def test_a_pattern_is_tried_out(events):
    event = {"id": "1", "account": "1", "source": "s", "time": "t", "region": "r", "resources": []}
    event["detail-type"] = "d"
    for source, result in (("s", True), ("t", False)):
        answer = events.test_event_pattern(
            EventPattern=json.dumps({"source": [source]}), Event=json.dumps(event)
        )
        assert answer["Result"] is result


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"EventPattern": "{"}, "InvalidEventPatternException"),
        ({"EventPattern": '{"source": "s"}'}, "InvalidEventPatternException"),
        ({"EventPattern": '{"source": [{"like": "s"}]}'}, "InvalidEventPatternException"),
        ({"ScheduleExpression": "rate(1 moon)"}, "ValidationException"),
        ({}, "ValidationException"),
        ({"EventPattern": '{"a": ["b"]}', "EventBusName": "other"}, "ResourceNotFoundException"),
    ],
)
def test_wrong_rules_are_refused(events, name, rule, code):
    with pytest.raises(ClientError) as caught:
        events.put_rule(Name=name, **rule)
    assert caught.value.response["Error"]["Code"] == code


def test_a_target_must_be_something_that_can_be_started(events, name):
    events.put_rule(Name=name, EventPattern='{"source": ["s"]}')
    with pytest.raises(ClientError, match="pipeline or queue or function"):
        events.put_targets(Rule=name, Targets=[{"Id": "a", "Arn": "arn:aws:s3:::bucket"}])
