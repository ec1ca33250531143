"""Asynchronous requests, as boto3 sees them."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError
from tests.endpoints.fleet_world import PYTHON, archive

BUCKET = "asynchronous-requests"
SCRIPT = """
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept):
    if "slow" in data: import time; time.sleep(60)
    if "bad" in data: raise ValueError("this is a bad one")
    return data[::-1], content_type
"""
TOPIC = "arn:aws:sns:us-east-1:123456789012:{}"
QUICK = {"Delay": 0.05, "MaxAttempts": 1200}


@pytest.fixture(scope="module")
def endpoint(server):
    """Serve a model that turns texts round, asynchronously; the queues hear of each end."""
    s3, sagemaker, sqs = (server.client(one) for one in ("s3", "sagemaker", "sqs"))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="m.tar.gz", Body=archive({"code/inference.py": SCRIPT}))
    container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/m.tar.gz"}
    sagemaker.create_model(ModelName="turning", PrimaryContainer=container)
    for name in ("turned", "not-turned"):
        sqs.create_queue(QueueName=name)
    output = {
        "S3OutputPath": f"s3://{BUCKET}/out/",
        "S3FailurePath": f"s3://{BUCKET}/failed",
        "NotificationConfig": {
            "SuccessTopic": TOPIC.format("turned"),
            "ErrorTopic": TOPIC.format("not-turned"),
            "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
        },
    }
    configure(sagemaker, "turning", "turning", {"OutputConfig": output})
    configure(sagemaker, "turning-now", "turning", None)
    for name in ("turning", "turning-now"):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    waiter = sagemaker.get_waiter("endpoint_in_service")
    for name in ("turning", "turning-now"):
        waiter.wait(EndpointName=name, WaiterConfig=QUICK)
    yield "turning"
    for name in ("turning", "turning-now"):
        sagemaker.delete_endpoint(EndpointName=name)
    gone = sagemaker.get_waiter("endpoint_deleted")
    for name in ("turning", "turning-now"):
        gone.wait(EndpointName=name, WaiterConfig=QUICK)


def configure(sagemaker, name, model, asynchronous):
    variant = {
        "VariantName": "A",
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    more = {"AsyncInferenceConfig": asynchronous} if asynchronous else {}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **more)


@pytest.fixture
def runtime(server):
    return server.client("sagemaker-runtime")


def content(s3, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig=QUICK)
    found = s3.get_object(Bucket=bucket, Key=key)
    return found["Body"].read(), found["ContentType"]


def heard(server, queue, inference):
    """Wait for the notification of a request."""
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    while True:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]:
            envelope = json.loads(message["Body"])
            told = json.loads(envelope["Message"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if told["inferenceId"] == inference:
                return envelope, told


def test_an_object_is_answered_in_an_object(server, s3, endpoint, runtime):
    s3.put_object(Bucket=BUCKET, Key="in/words", Body=b"abc", ContentType="text/csv")
    said = runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{BUCKET}/in/words", InferenceId="first"
    )
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert said["InferenceId"] == "first"
    assert said["OutputLocation"].startswith(f"s3://{BUCKET}/out/")
    assert said["FailureLocation"].startswith(f"s3://{BUCKET}/failed/")
    assert content(s3, said["OutputLocation"]) == (b"cba", "text/csv")
    envelope, told = heard(server, "turned", "first")
    assert envelope["TopicArn"] == TOPIC.format("turned")
    assert told["invocationStatus"] == "Completed"
    assert told["requestParameters"]["inputLocation"] == f"s3://{BUCKET}/in/words"
    assert told["responseParameters"] == {
        "contentType": "text/csv",
        "outputLocation": said["OutputLocation"],
        "body": "Y2Jh",
    }


def test_what_the_model_refuses_is_told_in_an_object(server, s3, endpoint, runtime):
    said = runtime.invoke_endpoint_async(
        EndpointName=endpoint, Body=b"bad", ContentType="text/csv", InferenceId="second"
    )
    text, _ = content(s3, said["FailureLocation"])
    assert b"this is a bad one" in text
    _, told = heard(server, "not-turned", "second")
    assert told["invocationStatus"] == "Failed"
    assert "this is a bad one" in told["failureReason"]
    assert "body" not in told["responseParameters"]


def test_a_model_that_takes_too_long_is_given_up(s3, endpoint, runtime):
    said = runtime.invoke_endpoint_async(
        EndpointName=endpoint, Body=b"slow", ContentType="text/csv", InvocationTimeoutSeconds=1
    )
    assert b"no answer within 1 s" in content(s3, said["FailureLocation"])[0]


def test_a_missing_object_is_a_failure(s3, endpoint, runtime):
    said = runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{BUCKET}/nothing"
    )
    assert b"does not exist" in content(s3, said["FailureLocation"])[0]


def test_names_of_answers_are_the_clients(s3, endpoint, runtime):
    said = runtime.invoke_endpoint_async(
        EndpointName=endpoint,
        Body=b"xyz",
        ContentType="text/csv",
        S3OutputPathExtension="today/",
        Filename="answer.csv",
    )
    assert said["OutputLocation"] == f"s3://{BUCKET}/out/today/answer.csv"
    assert said["FailureLocation"] == f"s3://{BUCKET}/failed/today/answer-error.csv"
    assert content(s3, said["OutputLocation"])[0] == b"zyx"


def test_large_inputs_go_through(s3, endpoint, runtime):
    large = b"ab" * (5 << 20)
    s3.put_object(Bucket=BUCKET, Key="in/large", Body=large, ContentType="text/csv")
    said = runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{BUCKET}/in/large"
    )
    assert content(s3, said["OutputLocation"])[0] == large[::-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"Body": b"x", "InputLocation": "s3://b/k"}, "not exactly one"),
        ({}, "not exactly one"),
        ({"Body": b"x", "EndpointName": "turning-now"}, "not asynchronous"),
        ({"Body": b"x", "EndpointName": "nothing"}, "not found"),
        ({"Body": b"x" * 128_001}, "128000"),
        ({"InputLocation": "https://somewhere/else"}, "InputLocation"),
        ({"Body": b"x", "S3OutputPathExtension": "../up"}, "leaves"),
    ],
)
def test_what_cannot_be_kept_is_refused(endpoint, runtime, asked, said):
    with pytest.raises(ClientError, match=said) as refused:
        runtime.invoke_endpoint_async(**{"EndpointName": endpoint, **asked})
    assert refused.value.response["Error"]["Code"] in {"ValidationError", "ValidationException"}


def test_nobody_waits_for_an_asynchronous_endpoint(endpoint, runtime):
    with pytest.raises(ClientError, match="is asynchronous") as refused:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")
    assert refused.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({}, "S3OutputPath"),
        ({"S3OutputPath": "https://x/y"}, "S3OutputPath"),
        (
            {
                "S3OutputPath": "s3://a/b",
                "NotificationConfig": {"SuccessTopic": TOPIC.format("nobody")},
            },
            "stands for the queue nobody",
        ),
    ],
)
def test_answers_that_would_go_nowhere_are_refused(sagemaker, endpoint, output, said):
    with pytest.raises(ClientError, match=said):
        configure(sagemaker, "nowhere", endpoint, {"OutputConfig": output})


def test_rules_hear_of_each_end(server, endpoint, runtime):
    events, sqs = server.client("events"), server.client("sqs")
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Asynchronous Inference Result"],
        "detail": {"invocationStatus": ["Failed"]},
    }
    events.put_rule(Name="failures", EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:heard"}
    events.put_targets(Rule="failures", Targets=[target])
    runtime.invoke_endpoint_async(EndpointName=endpoint, Body=b"fine", InferenceId="fine")
    runtime.invoke_endpoint_async(EndpointName=endpoint, Body=b"bad", InferenceId="bad-one")
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    event = json.loads(message["Body"])
    assert event["resources"] == ["arn:aws:sagemaker:us-east-1:123456789012:endpoint/turning"]
    assert event["detail"]["inferenceId"] == "bad-one"


def test_the_backlog_is_measured(server, endpoint, runtime):
    runtime.invoke_endpoint_async(EndpointName=endpoint, Body=b"x")
    cloudwatch = server.client("cloudwatch")
    asked = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ApproximateBacklogSize",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
    }
    until = time.monotonic() + 30
    while not cloudwatch.list_metrics(**asked)["Metrics"]:
        assert time.monotonic() < until
        time.sleep(0.1)
