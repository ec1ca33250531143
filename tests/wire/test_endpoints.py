"""Endpoints and their configurations, as boto3 sees them."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError, WaiterError
from tests.endpoints.fleet_world import PYTHON, archive

from clary.kernel.names import Ref

BUCKET = "endpoints-of-tests"
LEAVING: list[str] = []
"""Endpoints that are being deleted: nobody waits for one alone."""
QUICK = {"Delay": 0.05, "MaxAttempts": 1200}
SCRIPT = """
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept): return data, "text/csv"
"""
BROKEN = """
def model_fn(folder): raise RuntimeError("no such weights: xyzzy")
"""


@pytest.fixture(scope="module", autouse=True)
def artifacts(server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for name, script in (("good", SCRIPT), ("broken", BROKEN)):
        body = archive({"code/inference.py": script})
        s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=body)
    yield
    client = server.client("sagemaker")
    for name in LEAVING:
        World(client).gone(name)


@pytest.fixture
def made(sagemaker):
    """Make models, configurations and endpoints; the endpoints go when the test ends."""
    world = World(sagemaker)
    yield world
    for name in world.endpoints:
        sagemaker.delete_endpoint(EndpointName=name)
    LEAVING.extend(world.endpoints)


class World:
    def __init__(self, sagemaker):
        self.client = sagemaker
        self.endpoints = []

    def model(self, name, key="good.tar.gz"):
        container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/{key}"}
        self.client.create_model(ModelName=name, PrimaryContainer=container)
        return name

    def config(self, name, *variants, **more):
        self.client.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants), **more
        )
        return name

    def endpoint(self, name, config, *, wait=True, **more):
        arn = self.client.create_endpoint(EndpointName=name, EndpointConfigName=config, **more)
        self.endpoints.append(name)
        if wait:
            self.in_service(name)
        return arn["EndpointArn"]

    def simple(self, name):
        """Make an endpoint of one variant."""
        return self.endpoint(name, self.config(name, variant(self.model(name))))

    def in_service(self, name):
        waiter = self.client.get_waiter("endpoint_in_service")
        waiter.wait(EndpointName=name, WaiterConfig=QUICK)
        return self.describe(name)

    def gone(self, name):
        waiter = self.client.get_waiter("endpoint_deleted")
        waiter.wait(EndpointName=name, WaiterConfig=QUICK)

    def describe(self, name):
        found = self.client.describe_endpoint(EndpointName=name)
        found.pop("ResponseMetadata")
        return found


def variant(model, name="AllTraffic", **more):
    sized = {} if "ServerlessConfig" in more else {"InitialInstanceCount": 1, "InstanceType": TYPE}
    return {"VariantName": name, "ModelName": model, **sized, **more}


TYPE = "ml.m5.large"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_endpoint_lives(sagemaker, made, name):
    made.model(name)
    capture = {
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    config = sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[variant(name)],
        DataCaptureConfig=capture,
        Tags=[{"Key": "team", "Value": "sea"}],
    )["EndpointConfigArn"]
    assert config.endswith(f":endpoint-config/{name}")
    described = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert described["ProductionVariants"] == [variant(name, InitialVariantWeight=1.0)]
    assert described["DataCaptureConfig"] == capture
    assert sagemaker.list_tags(ResourceArn=config)["Tags"] == [{"Key": "team", "Value": "sea"}]
    arn = made.endpoint(name, name)
    found = made.describe(name)
    assert found.pop("CreationTime") <= found.pop("LastModifiedTime")
    image = {"SpecifiedImage": PYTHON, "ResolvedImage": PYTHON}
    assert found == {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": name,
        "EndpointStatus": "InService",
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "DeployedImages": [image],
                "CurrentWeight": 1.0,
                "DesiredWeight": 1.0,
                "CurrentInstanceCount": 1,
                "DesiredInstanceCount": 1,
            }
        ],
        "DataCaptureConfig": {
            "EnableCapture": True,
            "CaptureStatus": "Started",
            "CurrentSamplingPercentage": 20,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "KmsKeyId": "",
        },
    }
    listed = sagemaker.list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]
    assert [(one["EndpointName"], one["EndpointStatus"]) for one in listed] == [(name, "InService")]
    configs = sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    assert [one["EndpointConfigArn"] for one in configs] == [config]
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    assert made.describe(name)["EndpointStatus"] == "InService"
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.delete_endpoint(EndpointName=name)
    made.gone(made.endpoints.pop())
    assert refused(sagemaker.describe_endpoint, EndpointName=name) == (
        "ValidationException",
        f"Could not find endpoint: endpoint {name} does not exist",
    )


def test_what_is_there_already_and_what_is_missing(sagemaker, made, name):
    made.simple(name)
    code, message = refused(
        sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[variant(name)],
    )
    assert code == "ValidationException"
    assert message.startswith("Cannot create already existing endpoint configuration")
    code, message = refused(sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=name)
    assert message.startswith("Cannot create already existing endpoint")
    for call, params in (
        (sagemaker.create_endpoint, {"EndpointName": "x", "EndpointConfigName": "missing"}),
        (sagemaker.update_endpoint, {"EndpointName": "x", "EndpointConfigName": name}),
        (sagemaker.update_endpoint, {"EndpointName": name, "EndpointConfigName": "missing"}),
        (sagemaker.delete_endpoint, {"EndpointName": "x"}),
        (sagemaker.describe_endpoint_config, {"EndpointConfigName": "x"}),
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": "x"}),
    ):
        code, message = refused(call, **params)
        assert (code, "does not exist" in message) == ("ValidationException", True), message


def test_an_update_replaces_the_fleet(sagemaker, made, name):
    made.simple(name)
    other = made.config(f"{name}-2", variant(made.model(f"{name}-2"), "Blue"))
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    pending = made.describe(name)
    if pending["EndpointStatus"] == "Updating":  # it may be done by now
        summary = pending["PendingDeploymentSummary"]
        assert summary["EndpointConfigName"] == other
        assert summary["ProductionVariants"][0]["VariantName"] == "Blue"
        assert pending["EndpointConfigName"] == name
        assert (
            "is Updating, not InService"
            in refused(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=name)[1]
            or made.describe(name)["EndpointStatus"] == "InService"
        )
    found = made.in_service(name)
    assert found["EndpointConfigName"] == other
    assert [one["VariantName"] for one in found["ProductionVariants"]] == ["Blue"]
    assert "PendingDeploymentSummary" not in found


def test_a_bad_version_never_replaces_a_good_one(sagemaker, made, name):
    made.simple(name)
    made.config(f"{name}-2", variant(made.model(f"{name}-2", "broken.tar.gz")))
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
    found = made.in_service(name)
    assert found["EndpointConfigName"] == name
    assert "xyzzy" in found["FailureReason"]
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    gone = made.model(f"{name}-3", "good.tar.gz")
    made.config(gone, variant(gone))
    sagemaker.delete_model(ModelName=gone)
    said = refused(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=gone)
    assert f"model {gone} does not exist" in said[1]


def test_a_model_that_does_not_load_fails_its_endpoint(sagemaker, made, name):
    made.config(name, variant(made.model(name, "broken.tar.gz")))
    made.endpoint(name, name, wait=False)
    with pytest.raises(WaiterError):
        made.in_service(name)
    found = made.describe(name)
    assert found["EndpointStatus"] == "Failed"
    assert "xyzzy" in found["FailureReason"]
    assert (
        "is Failed, not InService"
        in refused(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=name)[1]
    )


def test_a_model_without_its_file_fails_its_endpoint(sagemaker, s3, made, name):
    s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=b"x")
    made.config(name, variant(made.model(name, f"{name}.tar.gz")))
    s3.delete_object(Bucket=BUCKET, Key=f"{name}.tar.gz")
    made.endpoint(name, name, wait=False)
    with pytest.raises(WaiterError):
        made.in_service(name)
    reason = made.describe(name)["FailureReason"]
    assert reason == f"ModelDataUrl: s3://{BUCKET}/{name}.tar.gz does not exist"


def test_weights_and_capacities(sagemaker, made, name):
    made.model(name)
    made.endpoint(name, made.config(name, variant(name, "A"), variant(name, "B")))
    change = sagemaker.update_endpoint_weights_and_capacities
    wanted = [
        {"VariantName": "A", "DesiredWeight": 3.0},
        {"VariantName": "B", "DesiredInstanceCount": 2},
    ]
    change(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    found = {one["VariantName"]: one for one in made.in_service(name)["ProductionVariants"]}
    assert (found["A"]["CurrentWeight"], found["B"]["CurrentWeight"]) == (3.0, 1.0)
    assert (found["A"]["CurrentInstanceCount"], found["B"]["CurrentInstanceCount"]) == (1, 2)
    for bad, message in (
        ({"VariantName": "C", "DesiredWeight": 1.0}, "no variant 'C'; legal: A, B"),
        ({"VariantName": "A", "DesiredInstanceCount": 0}, "0; legal: at least 1"),
        ({"VariantName": "A", "ServerlessUpdateConfig": {}}, "which has instances"),
    ):
        said = refused(change, EndpointName=name, DesiredWeightsAndCapacities=[bad])
        assert message in said[1]
    other = made.config(f"{name}-2", variant(name, "A"), variant(name, "B"))
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=other,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    found = {one["VariantName"]: one for one in made.in_service(name)["ProductionVariants"]}
    assert (found["A"]["DesiredWeight"], found["B"]["DesiredInstanceCount"]) == (3.0, 1)


def test_serverless_variants(sagemaker, made, name):
    made.model(name)
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 4}
    made.endpoint(name, made.config(name, variant(name, ServerlessConfig=serverless)))
    (found,) = made.describe(name)["ProductionVariants"]
    assert found["CurrentServerlessConfig"] == serverless
    assert "CurrentInstanceCount" not in found
    update = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 7}}
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[update]
    )
    (found,) = made.in_service(name)["ProductionVariants"]
    assert found["CurrentServerlessConfig"] == {**serverless, "MaxConcurrency": 7}


def test_a_package_is_deployed_once_it_is_approved(sagemaker, made, name):
    group = f"{name}-g"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/good.tar.gz"}
    specification = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=specification
    )["ModelPackageArn"]
    sagemaker.create_model(ModelName=name, Containers=[{"ModelPackageName": package}])
    made.config(name, variant(name))
    said = refused(sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=name)
    assert "its approval status is PendingManualApproval" in said[1]
    other = {"Name": "other", "Containers": [{**container, "ContainerHostname": "other"}]}
    sagemaker.update_model_package(
        ModelPackageArn=package,
        ModelApprovalStatus="Approved",
        AdditionalInferenceSpecificationsToAdd=[other],
    )
    made.endpoint(name, name)
    for asked in ("other", "missing"):
        by_name = {"ModelPackageName": package, "InferenceSpecificationName": asked}
        model = f"{name}-{asked}"
        sagemaker.create_model(ModelName=model, Containers=[by_name])
        made.config(model, variant(model))
    made.endpoint(f"{name}-other", f"{name}-other")
    said = refused(
        sagemaker.create_endpoint, EndpointName="x", EndpointConfigName=f"{name}-missing"
    )
    assert "no 'missing'; legal: other" in said[1]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"ModelName": "missing"}, "ValidationException", "model missing does not exist"),
        ({"InitialInstanceCount": 10_000}, "ResourceLimitExceeded", "at most 64 a variant"),
        ({"InstanceType": None}, "ValidationException", "InstanceType: missing"),
        ({"InitialInstanceCount": None}, "ValidationException", "InitialInstanceCount: missing"),
        (
            {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
            "ValidationException",
            "legal: one of both",
        ),
        ({"ModelName": None}, "UnsupportedOperation", "no inference components"),
        (
            {"ManagedInstanceScaling": {"Status": "ENABLED"}},
            "UnsupportedOperation",
            "application-autoscaling",
        ),
        ({"InstancePools": [{"InstanceType": TYPE, "Priority": 1}]}, "UnsupportedOperation", ""),
        ({"RoutingConfig": {"RoutingStrategy": "KV_AWARE"}}, "UnsupportedOperation", "KV_AWARE"),
    ],
)
def test_variants_that_cannot_be(sagemaker, made, name, change, code, message):
    document = variant(made.model(name)) | change
    asked = {member: value for member, value in document.items() if value is not None}
    said = refused(
        sagemaker.create_endpoint_config, EndpointConfigName=name, ProductionVariants=[asked]
    )
    assert (said[0], message in said[1]) == (code, True), said


def test_configurations_that_cannot_be(sagemaker, made, name):
    made.model(name)
    one, two = variant(name, "A"), variant(name, "B")
    capture = {"InitialSamplingPercentage": 1, "CaptureOptions": [{"CaptureMode": "Input"}]}
    for members, message in (
        ({"ProductionVariants": [one, one]}, "the variant 'A' is given twice"),
        (
            {"ProductionVariants": [one], "ShadowProductionVariants": [one]},
            "the variant 'A' is given twice",
        ),
        (
            {"ProductionVariants": [one, two], "ShadowProductionVariants": [variant(name, "C")]},
            "legal: one production variant",
        ),
        (
            {
                "ProductionVariants": [one],
                "DataCaptureConfig": {**capture, "DestinationS3Uri": "https://a/b"},
            },
            "legal: s3://<bucket>/<prefix>",
        ),
    ):
        said = refused(sagemaker.create_endpoint_config, EndpointConfigName=name, **members)
        assert message in said[1]
    assert sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"] == []


def test_a_shadow_is_no_production_variant(made, name):
    made.model(name)
    shadow = variant(name, "Shadow", InitialVariantWeight=0.5)
    made.config(name, variant(name), ShadowProductionVariants=[shadow])
    made.endpoint(name, name)
    found = made.describe(name)
    assert [one["VariantName"] for one in found["ProductionVariants"]] == ["AllTraffic"]
    (shadow,) = found["ShadowProductionVariants"]
    assert (shadow["VariantName"], shadow["CurrentWeight"]) == ("Shadow", 0.5)


def test_rules_hear_of_endpoints(server, made, name):
    sqs, events = server.client("sqs"), server.client("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Endpoint State Change"],
        "detail": {"EndpointName": [name], "EndpointStatus": ["IN_SERVICE", "DELETED"]},
    }
    moved = {**pattern, "detail-type": ["SageMaker Endpoint Deployment State Change"]}
    moved["detail"] = {"EndpointName": [name], "EndpointStatus": ["UPDATING"]}
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    for rule, wanted in ((name, pattern), (f"{name}-moved", moved)):
        events.put_rule(Name=rule, EventPattern=json.dumps(wanted))
        events.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": arn}])
    made.simple(name)
    sagemaker = made.client
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)
    made.in_service(name)
    sagemaker.delete_endpoint(EndpointName=name)
    made.endpoints.remove(name)
    heard = []
    while len(heard) < 4:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]:
            heard.append(json.loads(message["Body"])["detail"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    statuses = sorted(one["EndpointStatus"] for one in heard)
    assert statuses == ["DELETED", "IN_SERVICE", "IN_SERVICE", "UPDATING"]
    assert {one["EndpointName"] for one in heard} == {name}


def test_a_deployment_is_part_of_the_lineage(sagemaker, made, name, platform):
    arn = made.simple(name)
    near = Ref("123456789012", "us-east-1", "", "")
    file = platform.lineage.newest(near, f"s3://{BUCKET}/good.tar.gz")
    nodes = [platform.lineage.tree(file, down=True)]
    found = {}
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children)
        found[node.ref.kind, node.ref.name] = node.role
    assert found["endpoint", name] == "AllTraffic"

    def contexts():
        return sagemaker.list_contexts(SourceUri=arn)["ContextSummaries"]

    while not contexts():
        pass
    (context,) = contexts()
    assert (context["ContextName"], context["ContextType"]) == (f"{name}-aws-endpoint", "Endpoint")
    found = sagemaker.query_lineage(
        StartArns=[context["ContextArn"]], Direction="Ascendants", IncludeEdges=True
    )
    types = {one["Type"] for one in found["Vertices"]}
    assert {"ModelDeployment", "Model"} <= types
    (action,) = [one["Arn"] for one in found["Vertices"] if one["Type"] == "ModelDeployment"]
    known = sagemaker.describe_action(ActionName=action.rpartition("/")[2])["Properties"]
    assert known["ModelName-AllTraffic"] == name
    assert known["ServedBy-AllTraffic"].startswith("native")


def test_a_pipeline_deploys_its_model_again_and_again(sagemaker, made, name):
    model = {
        "Name": "Make",
        "Type": "Model",
        "Arguments": {
            "PrimaryContainer": {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/good.tar.gz"}
        },
    }
    config = {
        "Name": "Configure",
        "Type": "EndpointConfig",
        "Arguments": {
            "ProductionVariants": [variant({"Get": "Steps.Make.ModelName"})],
        },
    }
    deploy = {
        "Name": "Deploy",
        "Type": "Endpoint",
        "Arguments": {
            "EndpointName": name,
            "EndpointConfigName": {"Get": "Steps.Configure.EndpointConfigName"},
        },
    }
    definition = {"Version": "2020-12-01", "Steps": [deploy, config, model]}
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=ROLE
    )
    configs = []
    for _ in range(2):
        started = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
        if not configs:
            made.endpoints.append(name)
        steps = ended(sagemaker, started)
        assert steps["Deploy"]["Metadata"]["Endpoint"]["Arn"].endswith(f":endpoint/{name}")
        found = made.describe(name)
        assert found["EndpointStatus"] == "InService"
        configs.append(found["EndpointConfigName"])
    assert configs[0] != configs[1]


def test_a_pipeline_fails_when_what_it_deploys_is_rolled_back(sagemaker, made, name):
    made.simple(name)
    bad = made.config(f"{name}-2", variant(made.model(f"{name}-2", "broken.tar.gz")))
    deploy = {
        "Name": "Deploy",
        "Type": "Endpoint",
        "Arguments": {"EndpointName": name, "EndpointConfigName": bad},
    }
    definition = json.dumps({"Version": "2020-12-01", "Steps": [deploy]})
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=definition, RoleArn=ROLE)
    started = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    step = ended(sagemaker, started, "Failed")["Deploy"]
    assert "xyzzy" in step["FailureReason"]
    assert made.describe(name)["EndpointStatus"] == "InService"


def ended(sagemaker, arn, status="Succeeded"):
    """Wait until an execution has ended so; give its steps by name."""
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        if found["PipelineExecutionStatus"] != "Executing":
            break
        time.sleep(0.02)
    listed = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
    steps = {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}
    assert found["PipelineExecutionStatus"] == status, steps
    return steps
