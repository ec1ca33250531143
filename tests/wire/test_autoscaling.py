"""Scaling of variants, as boto3 sees it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from tests.endpoints.fleet_world import PYTHON, archive

from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints.scaling_requests import POLICY, TARGET
from clary.kernel.clock import now
from clary.kernel.codec import plain
from clary.kernel.names import Ref
from clary.metrics.model import FINEST_S, Metric, Slot, Tally

BUCKET = "scaled-endpoints"
SCRIPT = """
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept): return data, "text/csv"
"""
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
INVOCATIONS = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
NEAR = Ref("123456789012", "us-east-1", TARGET, "-")


@pytest.fixture(scope="module")
def endpoint(server):
    """An endpoint in service with one instance."""
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="m.tar.gz", Body=archive({"code/inference.py": SCRIPT}))
    container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/m.tar.gz"}
    sagemaker.create_model(ModelName="scaled", PrimaryContainer=container)
    variant = {
        "VariantName": "main",
        "ModelName": "scaled",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="scaled", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="scaled", EndpointConfigName="scaled")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="scaled", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    yield "scaled"
    sagemaker.delete_endpoint(EndpointName="scaled")
    gone = sagemaker.get_waiter("endpoint_deleted")
    gone.wait(EndpointName="scaled", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


@pytest.fixture
def resource(endpoint):
    return {**PLACE, "ResourceId": f"endpoint/{endpoint}/variant/main"}


@pytest.fixture
def scaling(server, resource):
    client = server.client("application-autoscaling")
    yield client
    for found in client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]:
        client.deregister_scalable_target(**PLACE, ResourceId=found["ResourceId"])


def tracking(value=100.0, **more):
    known = {"TargetValue": value, "PredefinedMetricSpecification": INVOCATIONS, **more}
    return {
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": known,
    }


def test_targets_and_policies_are_kept(scaling, resource):
    arn = scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=3)
    (found,) = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[resource["ResourceId"]]
    )["ScalableTargets"]
    assert found["ScalableTargetARN"] == arn["ScalableTargetARN"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 3)
    scaling.register_scalable_target(
        **resource, MaxCapacity=4, SuspendedState={"DynamicScalingInSuspended": True}
    )
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 4)
    assert found["SuspendedState"]["DynamicScalingInSuspended"] is True
    made = scaling.put_scaling_policy(**resource, PolicyName="busy", **tracking())
    assert made["Alarms"] == []
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["PolicyARN"] == made["PolicyARN"]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": INVOCATIONS,
    }
    scaling.delete_scaling_policy(**resource, PolicyName="busy")
    assert not scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    scaling.deregister_scalable_target(**resource)
    assert not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]


def refused(call, *args, **members):
    with pytest.raises(ClientError) as caught:
        call(*args, **members)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_what_is_not_legal_is_refused(scaling, resource):
    code, text = refused(scaling.register_scalable_target, **resource, MinCapacity=1)
    assert (code, "MaxCapacity: missing" in text) == ("ValidationException", True)
    _, text = refused(scaling.register_scalable_target, **resource, MinCapacity=0, MaxCapacity=1)
    assert "MinCapacity: 0; legal: at least 1" in text
    _, text = refused(scaling.register_scalable_target, **resource, MinCapacity=3, MaxCapacity=2)
    assert "3 is above MaxCapacity, 2" in text
    other = {**resource, "ResourceId": "endpoint/scaled/variant/none"}
    _, text = refused(scaling.register_scalable_target, **other, MinCapacity=1, MaxCapacity=2)
    assert "no variant 'none'" in text
    provisioned = "sagemaker:variant:DesiredProvisionedConcurrency"
    other = {**resource, "ScalableDimension": provisioned}
    code, text = refused(scaling.register_scalable_target, **other, MinCapacity=1, MaxCapacity=2)
    assert (code, provisioned in text) == ("UnsupportedOperation", True)
    code, _ = refused(scaling.put_scaling_policy, **resource, PolicyName="p", **tracking())
    assert code == "ObjectNotFoundException"
    scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    code, text = refused(
        scaling.put_scaling_policy, **resource, PolicyName="p", PolicyType="StepScaling"
    )
    assert (code, "clary has no StepScaling" in text) == ("UnsupportedOperation", True)
    _, text = refused(
        scaling.put_scaling_policy, **resource, PolicyName="p", **tracking(value=-1.0)
    )
    assert "TargetValue" in text
    code, _ = refused(scaling.delete_scaling_policy, **resource, PolicyName="p")
    assert code == "ObjectNotFoundException"
    code, _ = refused(
        scaling.put_scheduled_action,
        **resource,
        ScheduledActionName="night",
        Schedule="rate(1 day)",
    )
    assert code == "UnsupportedOperation"


def wait(holds):
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.05)


def load(server, endpoint, requests_a_minute):
    """Write what an endpoint measures in a quarter of an hour of so many requests."""
    dimensions = (("EndpointName", endpoint), ("VariantName", "main"))
    where = NEAR.account, NEAR.region, "AWS/SageMaker", "Invocations"
    metric = Metric(*where, dimensions, "Count")
    series = SqliteSeries(server.home / "series.db")
    end = int(now().timestamp() // FINEST_S) * FINEST_S
    tally = Tally()
    tally.add(1.0, requests_a_minute / 6)
    series.add([Slot(metric, at, tally) for at in range(end - 900, end + FINEST_S, FINEST_S)])


def test_a_variant_follows_its_load(server, platform, sagemaker, scaling, resource, endpoint):
    def count():
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
        (variant,) = found["ProductionVariants"]
        return found["EndpointStatus"], variant["CurrentInstanceCount"]

    load(server, endpoint, 250)
    scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    scaling.put_scaling_policy(
        **resource, PolicyName="busy", **tracking(ScaleInCooldown=0, ScaleOutCooldown=0)
    )
    wait(lambda: count() == ("InService", 2))

    def activities():
        asked = {"ServiceNamespace": "sagemaker", "ResourceId": resource["ResourceId"]}
        return scaling.describe_scaling_activities(**asked)["ScalingActivities"]

    store, target = platform.store, NEAR.sibling(TARGET, resource["ResourceId"])

    def look():
        with store.begin() as change:
            change.wake(target)

    wait(lambda: activities()[0]["StatusCode"] == "Successful" or look())
    (done,) = activities()
    assert done["Description"] == "Setting desired instance count to 2."
    assert done["Cause"].startswith("maximum capacity")
    # one instance would do; the policy has known so for a quarter of an hour
    calm = tracking(1000.0, ScaleInCooldown=0, ScaleOutCooldown=0)
    scaling.put_scaling_policy(**resource, PolicyName="busy", **calm)
    policy = NEAR.sibling(POLICY, f"{target.name}/busy")
    with store.begin() as change:
        held = change.get(policy)
        long_ago = plain(now() - timedelta(seconds=1000))
        change.update(replace(held, body={**held.body, "since": long_ago}))
        change.wake(target)
    wait(lambda: count() == ("InService", 1))


def test_targets_go_with_their_endpoint(server, platform, scaling, resource):
    scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    ref = NEAR.sibling(TARGET, "endpoint/never/variant/main")
    found = platform.store.get(NEAR.sibling(TARGET, resource["ResourceId"]))
    with platform.store.begin() as change:
        change.insert(replace(found, ref=ref, revision=0), due=True)
    wait(lambda: platform.store.get(ref) is None)
