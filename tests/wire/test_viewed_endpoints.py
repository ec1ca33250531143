"""An endpoint whose requests hold keys: its model's features come from a view, in the server."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from tests.endpoints.compile_world import XGBOOST, archive, booster

from clary.config import Config
from clary.features.fact_queries import Wanted
from clary.features.views import VIEW
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.platform import open_platform

BUCKET, NAME = "viewed-models", "viewed"
MODEL = booster(objective="reg:squarederror")
VIEW_REF = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, VIEW, "viewed-view")
DEFINITION = {
    "sources": {"viewed-group": ["spent", "visits"]},
    "inputs": {"amount": "Fractional"},
    "features": {
        "spent": "spent",
        "visits": "visits",
        "share": "amount / spent",
        "amount": "amount",
    },
}


def score(*row):
    return float(MODEL.predict(xgboost.DMatrix(np.array([row], float)))[0])


@pytest.fixture(scope="module")
def store(server):
    """Open the home as another process does: views have no operation of the SageMaker API."""
    platform = open_platform(Config(home=server.home))
    yield platform.feature_store
    platform.feature_store.close()
    platform.recorder.close()


@pytest.fixture(scope="module", autouse=True)
def endpoint(server, store):
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    records = server.client("sagemaker-featurestore-runtime")
    s3.create_bucket(Bucket=BUCKET)
    kinds = {"id": "Integral", "at": "Fractional", "spent": "Fractional", "visits": "Integral"}
    sagemaker.create_feature_group(
        FeatureGroupName="viewed-group",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": name, "FeatureType": kind} for name, kind in kinds.items()
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/offline"}},
        RoleArn="arn:aws:iam::123456789012:role/clary",
    )
    row = {"id": "7", "at": str(time.time() - 60), "spent": "0.5", "visits": "3"}
    record = [{"FeatureName": name, "ValueAsString": text} for name, text in row.items()]
    records.put_record(FeatureGroupName="viewed-group", Record=record)
    store.views.define(VIEW_REF, DEFINITION, actor="tester")
    body = archive({"xgboost-model": bytes(MODEL.save_raw("ubj"))})
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=body)
    deploy(sagemaker, NAME, "viewed-view/1")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 0.02, "MaxAttempts": 3000})
    yield
    sagemaker.delete_endpoint(EndpointName=NAME)
    waiter = sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


def deploy(sagemaker, name, view):
    container = {"Image": XGBOOST, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    container["Environment"] = {"CLARY_FEATURE_VIEW": view}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


@pytest.fixture
def ask(server):
    client = server.client("sagemaker-runtime")

    def invoke(body, content_type="application/json", **more):
        text = body if isinstance(body, str) else json.dumps(body)
        found = client.invoke_endpoint(
            EndpointName=NAME, Body=text, ContentType=content_type, **more
        )
        return [float(line) for line in found["Body"].read().decode().split()]

    return invoke


def test_keys_become_features_in_the_server(ask, store):
    one = {"keys": {"id": 7}, "request": {"amount": 0.25}}
    nobody = {"keys": {"id": "8"}}
    assert ask(one) == [pytest.approx(score(0.5, 3, 0.5, 0.25))]
    assert ask([one, nobody], InferenceId="both") == [
        pytest.approx(score(0.5, 3, 0.5, 0.25)),
        pytest.approx(score(*[np.nan] * 4)),
    ]
    wanted = Wanted(request_id="both", context={"endpoint": NAME, "variant": "AllTraffic"})
    deadline = time.monotonic() + 30
    while len(found := store.fact_queries.find(VIEW_REF, wanted)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {fact.entity: fact.served for fact in found} == {
        "7": {"spent": 0.5, "visits": 3, "share": 0.5, "amount": 0.25},
        "8": dict.fromkeys(("spent", "visits", "share", "amount")),
    }


def test_what_was_served_has_no_skew(ask, server):
    ask({"keys": {"id": 7}, "request": {"amount": 0.125}}, InferenceId="proof")
    argv = [sys.executable, "-m", "clary", "skew", NAME, "--home", str(server.home)]
    deadline = time.monotonic() + 30
    while (
        done := subprocess.run(
            [*argv, "--request", "proof"], capture_output=True, text=True, check=False
        )
    ).returncode and "does not exist" in done.stderr:  # what was served is stored within moments
        assert time.monotonic() < deadline
    assert done.returncode == 0, done.stderr
    assert "4 cells of 1 requests compared and with the groups' history" in done.stderr
    assert "0 differences" in done.stderr


def test_features_are_taken_as_they_are(ask):
    assert ask("0.5,3,0.5,0.25", "text/csv") == [pytest.approx(score(0.5, 3, 0.5, 0.25))]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is not what a model with a feature view takes"),
        ('{"id": 7}', "is not what a model with a feature view takes"),
        ("[]", "0 entities"),
        (json.dumps([{"keys": {"id": 1}}] * 1_001), "1001 entities"),
        ('{"keys": {"name": 7}}', "entity: has name; legal: id"),
        ('{"keys": {"id": "seven"}}', "id"),
        ('{"keys": {"id": 7}, "request": {"amounts": 1}}', "amounts"),
        ('{"keys": {"id": 7}, "request": {"amount": "much"}}', "amount"),
    ],
)
def test_what_is_wrong_is_told(ask, body, said):
    with pytest.raises(ClientError, match="ModelError") as failed:
        ask(body)
    assert failed.value.response["OriginalStatusCode"] == 400
    assert said in failed.value.response["Error"]["Message"]


def test_a_view_that_is_not_there_is_not_deployed(server):
    sagemaker = server.client("sagemaker")
    for name, view, said in (
        ("viewed-none", "nothing/1", "nothing/1 does not exist"),
        ("viewed-latest", "viewed-view", "NAME/VERSION"),
    ):
        deploy(sagemaker, name, view)
        deadline = time.monotonic() + 60
        while (found := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == (
            "Creating"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found["EndpointStatus"] == "Failed"
        assert said in found["FailureReason"]
        sagemaker.delete_endpoint(EndpointName=name)


def test_the_view_is_in_the_lineage_of_the_endpoint(server):
    arn = server.client("sagemaker").describe_endpoint(EndpointName=NAME)["EndpointArn"]
    argv = [sys.executable, "-m", "clary", "lineage", arn, "--home", str(server.home)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "view: feature-view viewed-view/1" in done.stdout
    assert "feature-group viewed-group" in done.stdout
