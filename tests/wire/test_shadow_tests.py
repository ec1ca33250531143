"""Inference experiments, as boto3 sees them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from tests.endpoints.fleet_world import PYTHON, archive

BUCKET = "experiments-of-tests"
ROLE = "arn:aws:iam::123456789012:role/clary"
SCRIPT = """
def model_fn(folder): return open(folder + "/words").read()
def transform_fn(model, data, content_type, accept): return model, "text/csv"
"""
TYPE = "ml.m5.large"


@pytest.fixture(scope="module")
def endpoint(server):
    """An endpoint in service with the model ``old``; there is a model ``new`` too."""
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    for name, script in (("old", SCRIPT), ("new", SCRIPT), ("bad", "raise OSError('xyzzy')")):
        body = archive({"code/inference.py": script, "words": name})
        s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=body)
        container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
        sagemaker.create_model(ModelName=f"shadow-{name}", PrimaryContainer=container)
    variant = {
        "VariantName": "old",
        "ModelName": "shadow-old",
        "InitialInstanceCount": 1,
        "InstanceType": TYPE,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="tried", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="tried", EndpointConfigName="tried")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="tried", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    yield "tried"
    sagemaker.delete_endpoint(EndpointName="tried")
    gone = sagemaker.get_waiter("endpoint_deleted")
    gone.wait(EndpointName="tried", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


def model_variant(name):
    config = {
        "InfrastructureType": "RealTimeInference",
        "RealTimeInferenceConfig": {"InstanceType": TYPE, "InstanceCount": 1},
    }
    return {"ModelName": f"shadow-{name}", "VariantName": name, "InfrastructureConfig": config}


def request(name, endpoint, old="old", new="new", **more):
    shadow = {"ShadowModelVariantName": new, "SamplingPercentage": 100}
    return {
        "Name": name,
        "Type": "ShadowMode",
        "RoleArn": ROLE,
        "EndpointName": endpoint,
        "ModelVariants": [model_variant(old), model_variant(new)],
        "ShadowModeConfig": {"SourceModelVariantName": old, "ShadowModelVariants": [shadow]},
        **more,
    }


def reached(sagemaker, name, *statuses):
    until = time.monotonic() + 60
    while True:
        found = sagemaker.describe_inference_experiment(Name=name)
        if found["Status"] in statuses:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.05)


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def answered(server, endpoint):
    reply = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=b"1", ContentType="text/csv"
    )
    return reply["Body"].read().decode()


def test_a_shadow_is_tried_and_promoted(server, sagemaker, endpoint, name):
    made = sagemaker.create_inference_experiment(**request(name, endpoint))
    found = reached(sagemaker, name, "Running")
    assert found["Arn"] == made["InferenceExperimentArn"]
    assert [one["Status"] for one in found["ModelVariants"]] == ["InService", "InService"]
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    (shadow,) = described["ShadowProductionVariants"]
    assert (shadow["VariantName"], shadow["CurrentWeight"]) == ("new", 1.0)
    assert answered(server, endpoint) == "old"
    assert refused(sagemaker.delete_inference_experiment, Name=name)[0] == "ConflictException"
    both = {"old": "Remove", "new": "Remove"}
    _, text = refused(sagemaker.stop_inference_experiment, Name=name, ModelVariantActions=both)
    assert "legal: Retain old and Remove new" in text
    sagemaker.stop_inference_experiment(
        Name=name, ModelVariantActions={"old": "Remove", "new": "Promote"}, Reason="better"
    )
    found = reached(sagemaker, name, "Completed", "Cancelled")
    assert (found["Status"], found["StatusReason"]) == ("Completed", "better")
    assert found["CompletionTime"] >= found["CreationTime"]
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    assert [one["VariantName"] for one in described["ProductionVariants"]] == ["new"]
    assert "ShadowProductionVariants" not in described
    assert answered(server, endpoint) == "new"
    back = request(f"{name}-back", endpoint, "new", "old")
    soon = datetime.now(UTC) + timedelta(seconds=2)
    sagemaker.create_inference_experiment(**back, Schedule={"EndTime": soon})
    found = reached(sagemaker, f"{name}-back", "Completed", "Cancelled")
    assert (found["Status"], found["StatusReason"]) == ("Completed", "its time is over")
    assert answered(server, endpoint) == "new"
    listed = sagemaker.list_inference_experiments(NameContains=name, StatusEquals="Completed")
    assert {one["Name"] for one in listed["InferenceExperiments"]} == {name, f"{name}-back"}
    sagemaker.delete_inference_experiment(Name=name)
    assert refused(sagemaker.describe_inference_experiment, Name=name)[0] == "ResourceNotFound"


def test_a_shadow_that_does_not_start_changes_nothing(server, sagemaker, endpoint, name):
    before = answered(server, endpoint)
    sagemaker.create_inference_experiment(**request(name, endpoint, before, "bad"))
    found = reached(sagemaker, name, "Cancelled", "Running")
    assert found["Status"] == "Cancelled"
    assert "xyzzy" in found["StatusReason"]
    assert answered(server, endpoint) == before


def test_one_with_a_start_waits_for_it(sagemaker, endpoint, name):
    later = datetime.now(UTC) + timedelta(hours=1)
    sagemaker.create_inference_experiment(
        **request(name, endpoint, "new", "old"), Schedule={"StartTime": later}
    )
    assert sagemaker.describe_inference_experiment(Name=name)["Status"] == "Created"
    actions = {"new": "Retain", "old": "Remove"}
    sagemaker.stop_inference_experiment(Name=name, ModelVariantActions=actions)
    assert sagemaker.describe_inference_experiment(Name=name)["Status"] == "Cancelled"


def test_what_does_not_fit_is_refused(sagemaker, endpoint, name):
    call = sagemaker.create_inference_experiment
    assert "does not exist" in refused(call, **request(name, "none"))[1]
    _, text = refused(call, **request(name, endpoint, "old", "old"))
    assert "legal: the variant that is shadowed, and its shadow" in text
    past = {"EndTime": datetime(2020, 1, 1, tzinfo=UTC)}
    assert "is not behind StartTime" in refused(call, **request(name, endpoint), Schedule=past)[1]
