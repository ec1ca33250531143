"""Callback steps, as boto3 and whoever answers them see them."""

import json
import time

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
OUTPUTS = [
    {"OutputName": "path", "OutputType": "String"},
    {"OutputName": "rows", "OutputType": "Integer"},
    {"OutputName": "score", "OutputType": "Float"},
    {"OutputName": "good", "OutputType": "Boolean"},
]


@pytest.fixture
def sqs(server):
    return server.client("sqs")


@pytest.fixture
def queue(sqs, name):
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def definition(url):
    ask = {
        "Name": "Ask",
        "Type": "Callback",
        "SqsQueueUrl": url,
        "OutputParameters": OUTPUTS,
        "Arguments": {"data": {"Get": "Parameters.Data"}, "n": 5},
    }
    good = {
        "Type": "Equals",
        "LeftValue": {"Get": "Steps.Ask.OutputParameters['good']"},
        "RightValue": True,
    }
    enough = {
        "Type": "GreaterThan",
        "LeftValue": {"Get": "Steps.Ask.OutputParameters['rows']"},
        "RightValue": 10,
    }
    told = {"Std:Join": {"On": "", "Values": [{"Get": "Steps.Ask.OutputParameters['path']"}]}}
    decide = {
        "Name": "Decide",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [good, enough],
            "IfSteps": [{"Name": "Tell", "Type": "Fail", "Arguments": {"ErrorMessage": told}}],
            "ElseSteps": [],
        },
    }
    parameters = [{"Name": "Data", "Type": "String", "DefaultValue": "s3://b/k"}]
    document = {"Version": "2020-12-01", "Parameters": parameters, "Steps": [ask, decide]}
    return json.dumps(document)


@pytest.fixture
def asked(sagemaker, sqs, queue, name):
    """Start an execution and receive its message."""
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=definition(queue), RoleArn=ROLE)
    execution = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    return execution, ask(sqs, queue)


def ask(sqs, queue):
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


def ended(sagemaker, execution):
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        if found["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
            return found
        time.sleep(0.02)


def step(sagemaker, execution):
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)
    return next(x for x in steps["PipelineExecutionSteps"] if x["StepName"] == "Ask")


def values(**given):
    whole = {"path": "s3://b/out", "rows": "11", "score": "0.5", "good": "true"} | given
    return [{"Name": name, "Value": value} for name, value in whole.items() if value is not None]


def test_the_message_is_the_documented_one_and_outputs_are_typed(sagemaker, asked):
    execution, message = asked
    token = message.pop("token")
    assert message == {
        "pipelineExecutionArn": execution,
        "arguments": {"data": "s3://b/k", "n": 5},
        "status": "Executing",
    }
    assert step(sagemaker, execution)["Metadata"]["Callback"]["CallbackToken"] == token
    answered = sagemaker.send_pipeline_execution_step_success(
        CallbackToken=token, OutputParameters=values()
    )
    assert answered["PipelineExecutionArn"] == execution
    found = ended(sagemaker, execution)
    assert found["FailureReason"] == "Step Tell failed: s3://b/out"  # rows > 10 and good, typed
    asked_step = step(sagemaker, execution)
    assert asked_step["StepStatus"] == "Succeeded"
    assert asked_step["Metadata"]["Callback"]["OutputParameters"] == values()
    again = {"CallbackToken": token, "OutputParameters": values()}
    sagemaker.send_pipeline_execution_step_success(**again)  # the same answer, twice
    with pytest.raises(ClientError) as caught:
        sagemaker.send_pipeline_execution_step_failure(CallbackToken=token)
    assert caught.value.response["Error"]["Code"] == "ConflictException"


def test_a_failure_fails_the_step(sagemaker, asked):
    execution, message = asked
    sagemaker.send_pipeline_execution_step_failure(
        CallbackToken=message["token"], FailureReason="the label service is down"
    )
    assert ended(sagemaker, execution)["PipelineExecutionStatus"] == "Failed"
    assert step(sagemaker, execution)["FailureReason"] == "the label service is down"


def test_stopping_waits_for_the_answer(sagemaker, sqs, queue, asked):
    execution, message = asked
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=execution)
    stopping = ask(sqs, queue)
    assert stopping == {**message, "status": "Stopping"}
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
    assert found["PipelineExecutionStatus"] == "Stopping"
    sagemaker.send_pipeline_execution_step_failure(CallbackToken=message["token"])
    assert ended(sagemaker, execution)["PipelineExecutionStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (values(rows="many"), "rows: 'many' is no Integer"),
        (values(rows=None), "rows: is declared as an output and not given"),
        (values(good="maybe"), "good: 'maybe' is no Boolean"),
        (values(more="x"), "OutputParameters.more: is not declared"),
        (values() + values(), "'path' is given twice"),
    ],
)
def test_wrong_outputs_are_refused_and_can_be_corrected(sagemaker, asked, given, said):
    execution, message = asked
    with pytest.raises(ClientError, match=said):
        sagemaker.send_pipeline_execution_step_success(
            CallbackToken=message["token"], OutputParameters=given
        )
    sagemaker.send_pipeline_execution_step_success(
        CallbackToken=message["token"], OutputParameters=values(good="false")
    )
    assert ended(sagemaker, execution)["PipelineExecutionStatus"] == "Succeeded"


def test_nobody_waits_for_an_unknown_token(sagemaker):
    with pytest.raises(ClientError) as caught:
        sagemaker.send_pipeline_execution_step_success(CallbackToken="a" * 10)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SqsQueueUrl": "nonsense"}, "is no queue's URL"),
        ({"SqsQueueUrl": None}, "is missing or no text"),
        ({"OutputParameters": [{"OutputName": "a", "OutputType": "Date"}]}, "legal: Boolean"),
        ({"OutputParameters": [{"OutputName": "a"}] * 2}, "declared twice"),
        ({"OutputParameters": [{"OutputName": "other"}]}, "leads nowhere; legal: other"),
    ],
)
def test_a_step_that_cannot_run_is_refused(sagemaker, queue, name, change, said):
    document = json.loads(definition(queue))
    document["Steps"][0] |= change
    if "leads" not in said:
        document["Steps"].pop()
    with pytest.raises(ClientError, match=said):
        sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=json.dumps(document), RoleArn=ROLE
        )


def test_a_missing_queue_fails_the_step(sagemaker, sqs, queue, name):
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=definition(queue), RoleArn=ROLE)
    sqs.delete_queue(QueueUrl=queue)
    execution = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    assert "does not exist" in ended(sagemaker, execution)["FailureReason"]
