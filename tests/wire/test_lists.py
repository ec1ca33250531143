"""What every List operation promises: whole pages, orders, filters, and tokens of its own."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now
from clary.kernel.resource import Bucket

BUCKET = "lists-of-tests"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.2-1"
CONTAINER = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
NOWHERE = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/none"}}
STEPS = [{"Name": "S", "Type": "Fail", "Arguments": {"ErrorMessage": "e"}}]
DEFINITION = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": STEPS})
NAMES = ("Lists-b", "lists-A", "lists-c")
BY_NAME = ["Lists-b", "lists-A", "lists-c"]


def make_training_job(client, name):
    client.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        InputDataConfig=[{"ChannelName": "train", "DataSource": NOWHERE}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/o"},
        ResourceConfig=CLUSTER,
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )


def make_processing_job(client, name):
    client.create_processing_job(
        ProcessingJobName=name,
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["false"]},
        ProcessingResources={"ClusterConfig": CLUSTER},
        ProcessingInputs=[
            {
                "InputName": "i",
                "S3Input": {
                    "S3Uri": f"s3://{BUCKET}/none",
                    "LocalPath": "/opt/ml/processing/i",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        RoleArn=ROLE,
    )


def make_model(client, name):
    client.create_model(ModelName=name, PrimaryContainer=CONTAINER, ExecutionRoleArn=ROLE)


def make_transform_job(client, name):
    client.create_transform_job(
        TransformJobName=name,
        ModelName=NAMES[0],
        TransformInput={"DataSource": NOWHERE},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/o"},
        TransformResources={"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    )


def make_group(client, name):
    client.create_model_package_group(ModelPackageGroupName=name)


def make_pipeline(client, name):
    client.create_pipeline(
        PipelineName=name,
        RoleArn=ROLE,
        PipelineDefinition=DEFINITION,
        ClientRequestToken="t" * 32,
    )


def make_version(client, name):
    specification = {"Containers": [CONTAINER], "SupportedContentTypes": ["text/csv"]}
    client.create_model_package(
        ModelPackageGroupName=NAMES[0],
        InferenceSpecification=specification,
        ModelPackageDescription=name,
    )


def make_execution(client, name):
    client.start_pipeline_execution(
        PipelineName=NAMES[0],
        PipelineExecutionDisplayName=name,
        ClientRequestToken=(name * 32)[:32],
    )


def make_pipeline_version(client, name):
    client.update_pipeline(PipelineName=NAMES[1], PipelineDefinition=DEFINITION)


@dataclass(frozen=True)
class Listed:
    """One List operation, and what makes what it lists."""

    operation: str
    member: str
    value: str
    make: object
    where: dict = field(default_factory=dict)
    named: str = "NameContains"


LISTS = [
    Listed("list_models", "Models", "ModelName", make_model),
    Listed("list_training_jobs", "TrainingJobSummaries", "TrainingJobName", make_training_job),
    Listed(
        "list_processing_jobs", "ProcessingJobSummaries", "ProcessingJobName", make_processing_job
    ),
    Listed("list_transform_jobs", "TransformJobSummaries", "TransformJobName", make_transform_job),
    Listed(
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
        make_group,
    ),
    Listed("list_pipelines", "PipelineSummaries", "PipelineName", make_pipeline, {}, ""),
    Listed(
        "list_model_packages",
        "ModelPackageSummaryList",
        "ModelPackageVersion",
        make_version,
        {"ModelPackageGroupName": NAMES[0]},
        "",
    ),
    Listed(
        "list_pipeline_executions",
        "PipelineExecutionSummaries",
        "PipelineExecutionDisplayName",
        make_execution,
        {"PipelineName": NAMES[0]},
        "",
    ),
    Listed(
        "list_pipeline_versions",
        "PipelineVersionSummaries",
        "PipelineVersionId",
        make_pipeline_version,
        {"PipelineName": NAMES[1]},
        "",
    ),
]
every = pytest.mark.parametrize("listed", LISTS, ids=lambda listed: listed.operation)


@pytest.fixture(scope="module")
def client(server):
    """Work in a region of its own, so that the lists hold nothing else."""
    return server.client("sagemaker", region="eu-north-1")


@pytest.fixture(scope="module")
def middles(client, platform):
    """Make three of everything; give the moment after the first of each."""
    platform.objects.create_bucket(Bucket(BUCKET, "123456789012", "eu-north-1", now()))
    platform.objects.put(BUCKET, "model.tar.gz", [b"model"])
    moments = {}
    for listed in LISTS:
        for number, name in enumerate(NAMES):
            listed.make(client, name)
            time.sleep(0.002)  # times travel in milliseconds
            if number == 0:
                moments[listed.operation] = datetime.now(UTC)
                time.sleep(0.002)
    jobs = [listed for listed in LISTS if listed.operation.endswith("_jobs")]
    deadline = time.monotonic() + 60
    while any(values(client, listed, StatusEquals="InProgress") for listed in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return moments


def values(client, listed, **params):
    """List page by page."""
    found, token = [], {}
    while True:
        page = getattr(client, listed.operation)(**listed.where, **params, **token)
        found += [item[listed.value] for item in page[listed.member]]
        if "NextToken" not in page:
            return found
        assert len(page[listed.member]) == params.get("MaxResults", 100)
        token = {"NextToken": page["NextToken"]}


def members(client, listed):
    names = client.meta.service_model.operation_names
    (name,) = (one for one in names if one.lower() == listed.operation.replace("_", ""))
    return client.meta.service_model.operation_model(name).input_shape.members


@every
def test_small_pages_hold_what_one_large_page_does(client, middles, listed):
    whole = values(client, listed)
    assert len(whole) >= 3
    assert values(client, listed, MaxResults=1) == whole
    assert values(client, listed, MaxResults=2) == whole


@every
def test_the_order_without_a_word_is_the_documented_one(client, middles, listed):
    offered = members(client, listed)
    text = offered["SortOrder"].documentation if "SortOrder" in offered else ""
    documented = re.search(r"default is <code>(Ascending|Descending)</code>", text)
    if documented:
        assert values(client, listed) == values(client, listed, SortOrder=documented[1])


@every
def test_orders_are_each_other_s_reverse(client, middles, listed):
    offered = members(client, listed)
    if "SortOrder" not in offered:
        return
    for word in offered["SortBy"].enum if "SortBy" in offered else [None]:
        order = {"SortBy": word} if word else {}
        up = values(client, listed, **order, SortOrder="Ascending", MaxResults=2)
        assert values(client, listed, **order, SortOrder="Descending", MaxResults=2) == up[::-1]
        if word == "CreationTime" and not isinstance(up[0], int):
            assert up == list(NAMES)
        if word == "Name" and not listed.where:
            assert up == BY_NAME


@every
def test_moments_filter(client, middles, listed):
    offered = members(client, listed)
    at = middles[listed.operation]
    after = next(name for name in ("CreationTimeAfter", "CreatedAfter") if name in offered)
    later, sooner = (
        values(client, listed, **{name: at}) for name in (after, after.replace("After", "Before"))
    )
    whole = values(client, listed)
    assert sorted(later + sooner, key=str) == sorted(whole, key=str)
    assert len(later) == 2
    if "LastModifiedTimeAfter" in offered:
        assert values(client, listed, LastModifiedTimeAfter=datetime(2100, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    "listed", [one for one in LISTS if one.named], ids=lambda listed: listed.operation
)
def test_names_filter_whatever_their_case(client, middles, listed):
    assert sorted(values(client, listed, NameContains="LISTS-")) == sorted(NAMES)
    assert values(client, listed, NameContains="-A") == ["lists-A"]
    assert values(client, listed, NameContains="zz") == []


@every
def test_tokens_of_others_are_refused(client, middles, listed):
    other = LISTS[0] if listed is not LISTS[0] else LISTS[1]
    foreign = getattr(client, other.operation)(MaxResults=1)["NextToken"]
    for token in ("junk", "W10=", foreign):
        with pytest.raises(ClientError, match="is not a token of this list") as refused:
            getattr(client, listed.operation)(**listed.where, NextToken=token)
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_lenient_server_takes_what_a_strict_one_refuses(launch, tmp_path, client):
    name = {"ModelPackageGroupName": "under_score"}
    with pytest.raises(ClientError, match="failed to satisfy constraint"):
        client.create_model_package_group(**name)
    with launch(tmp_path, "--lenient") as running:
        lenient = running.client("sagemaker")
        lenient.create_model_package_group(**name)
        assert lenient.describe_model_package_group(**name)["ModelPackageGroupStatus"]
        with pytest.raises(ClientError, match="SortBy: 'Size' is no order; legal: CreationTime"):
            lenient.list_models(SortBy="Size")
