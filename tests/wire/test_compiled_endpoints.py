"""An endpoint of a built-in XGBoost model, from CreateModel to its answers, through boto3."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from tests.endpoints.compile_world import XGBOOST, archive, booster

BUCKET, NAME = "compiled-models", "compiled"
MODEL = booster(objective="reg:squarederror")
BODY = "0.5,-1,,2"
SCORE = float(MODEL.predict(xgboost.DMatrix(np.array([[0.5, -1, np.nan, 2]])))[0])


@pytest.fixture(scope="module", autouse=True)
def endpoint(server):
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    body = archive({"xgboost-model": bytes(MODEL.save_raw("ubj"))})
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=body)
    container = {"Image": XGBOOST, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName=NAME, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": NAME,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 0.02, "MaxAttempts": 3000})
    yield
    sagemaker.delete_endpoint(EndpointName=NAME)
    waiter = sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


@pytest.fixture
def ask(server):
    client = server.client("sagemaker-runtime")

    def invoke(body=BODY, content_type="text/csv", **more):
        found = client.invoke_endpoint(
            EndpointName=NAME, Body=body, ContentType=content_type, **more
        )
        return (
            found["ResponseMetadata"]["HTTPStatusCode"],
            found["ContentType"],
            found["Body"].read(),
        )

    return invoke


def test_the_endpoint_has_no_worker_and_says_how_its_model_was_verified(server, sagemaker):
    described = sagemaker.describe_endpoint(EndpointName=NAME)
    assert described["EndpointStatus"] == "InService"
    logs = server.client("logs")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        logs.describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{NAME}")
    assert list((server.home / "compiled").glob("*.onnx"))


@pytest.mark.parametrize(
    ("accept", "content_type", "expected"),
    [
        (None, "text/csv", f"{SCORE}\n"),
        ("*/*", "text/csv", f"{SCORE}\n"),
        ("text/csv", "text/csv", f"{SCORE}\n"),
        ("application/json", "application/json", json.dumps({"predictions": [{"score": SCORE}]})),
        ("application/jsonlines", "application/jsonlines", json.dumps({"score": SCORE}) + "\n"),
    ],
)
def test_answers_come_in_the_accepted_type(ask, accept, content_type, expected):
    more = {"Accept": accept} if accept else {}
    assert ask(**more) == (200, content_type, expected.encode())
    many = "\n".join([BODY] * 3000)  # too large for the event loop
    status, _, body = ask(many, **more)
    assert status == 200
    assert body.count(b"\n") == (0 if content_type == "application/json" else 3000)


def test_libsvm_is_read_too(ask):
    assert ask("0 0:0.5 1:-1 3:2", "text/libsvm") == (200, "text/csv", f"{SCORE}\n".encode())


@pytest.mark.parametrize(
    ("body", "more", "status", "words"),
    [
        (BODY, {"content_type": "application/json"}, 415, "content type 'application/json'"),
        ("a,b,c,d", {}, 415, "row 1: could not convert string to float: 'a'; the CSV must have no"),
        (f"{BODY}\n1,2", {}, 415, "row 2 has 2 columns, the first has 4"),
        ("1,2,3,4,5", {}, 400, "the request has 5 features a row, the model 4"),
        ("1,2,3,1e39", {}, 400, "a value is infinite or too large"),
        (BODY, {"Accept": "image/png"}, 406, "the accept type image/png is not one of"),
        (b"\xff\xfe", {}, 415, "'utf-8' codec can't decode"),
    ],
)
def test_what_cannot_be_answered_has_the_contracts_status(ask, body, more, status, words):
    with pytest.raises(ClientError) as refused:
        ask(body, **more)
    answer = refused.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["OriginalStatusCode"] == status
    assert words in answer["OriginalMessage"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert ask()[0] == 200


def test_nothing_asked_is_answered_with_nothing(ask):
    status, _, body = ask(" \n")
    assert (status, body) == (200, b"")  # InvokeEndpoint has one success, the model said 204
