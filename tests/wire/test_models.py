"""Models and the registry, as boto3 sees them."""

import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now
from clary.kernel.resource import Bucket

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"


@pytest.fixture(scope="module")
def container(platform):
    platform.objects.create_bucket(Bucket("models-of-tests", "123456789012", "us-east-1", now()))
    platform.objects.put("models-of-tests", "model.tar.gz", [b"model"])
    return {"Image": IMAGE, "ModelDataUrl": "s3://models-of-tests/model.tar.gz"}


@pytest.fixture
def group(sagemaker, name):
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


def register(sagemaker, group, container, **more):
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    return sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=specification, **more
    )["ModelPackageArn"]


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_model_lives(sagemaker, container, name):
    made = sagemaker.create_model(
        ModelName=name,
        PrimaryContainer=container,
        ExecutionRoleArn=ROLE,
        Tags=[{"Key": "team", "Value": "sea"}],
    )
    assert made["ModelArn"].endswith(f":model/{name}")
    found = sagemaker.describe_model(ModelName=name)
    assert found["PrimaryContainer"] == container
    assert found["EnableNetworkIsolation"] is False
    assert sagemaker.list_tags(ResourceArn=made["ModelArn"])["Tags"] == [
        {"Key": "team", "Value": "sea"}
    ]
    (listed,) = sagemaker.list_models(NameContains=name.upper())["Models"]
    assert listed["ModelArn"] == made["ModelArn"]
    code, message = refused(
        sagemaker.create_model, ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE
    )
    assert message == f"Cannot create already existing model: model {name} already exists"
    assert code == "ValidationException"
    sagemaker.delete_model(ModelName=name)
    code, message = refused(sagemaker.describe_model, ModelName=name)
    assert code == "ValidationException"
    assert message == f"Could not find model: model {name} does not exist"


def test_a_model_of_files_that_are_not_there_names_them(sagemaker, container, name):
    missing = {**container, "ModelDataUrl": "s3://models-of-tests/none.tar.gz"}
    code, message = refused(
        sagemaker.create_model, ModelName=name, PrimaryContainer=missing, ExecutionRoleArn=ROLE
    )
    assert code == "ValidationException"
    assert "s3://models-of-tests/none.tar.gz" in message


def test_a_version_is_registered_approved_and_found(sagemaker, container, group):
    first, second = (register(sagemaker, group, container) for _ in range(2))
    assert first.endswith(f":model-package/{group}/1")
    sagemaker.update_model_package(
        ModelPackageArn=second, ModelApprovalStatus="Approved", ApprovalDescription="good"
    )
    found = sagemaker.describe_model_package(ModelPackageName=second)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["ApprovalDescription"] == "good"
    assert found["ModelPackageVersion"] == 2
    assert found["ModelPackageStatus"] == "Completed"
    assert found["LastModifiedBy"]["IamIdentity"]["Arn"]
    assert (
        sagemaker.describe_model_package(ModelPackageName=f"{group}/1")["ModelPackageArn"] == first
    )

    def listed(**filters):
        answer = sagemaker.list_model_packages(ModelPackageGroupName=group, **filters)
        return [found["ModelPackageArn"] for found in answer["ModelPackageSummaryList"]]

    assert listed() == [first, second]
    assert listed(SortOrder="Descending") == [second, first]
    assert listed(ModelApprovalStatus="Approved") == [second]
    assert listed(ModelPackageType="Unversioned") == []
    page = sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=1)
    assert listed(MaxResults=1, NextToken=page["NextToken"]) == [second]
    batch = sagemaker.batch_describe_model_package(ModelPackageArnList=[first, f"{first}0"])
    assert list(batch["ModelPackageSummaries"]) == [first]
    assert (
        "does not exist" in batch["BatchDescribeModelPackageErrorMap"][f"{first}0"]["ErrorResponse"]
    )


def test_a_group_goes_when_it_is_empty(sagemaker, container, group):
    version = register(sagemaker, group, container)
    found = sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert found["ModelPackageGroupStatus"] == "Completed"
    listed = sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupName"] for one in listed] == [group]
    code, _ = refused(sagemaker.delete_model_package_group, ModelPackageGroupName=group)
    assert code == "ConflictException"
    sagemaker.delete_model_package(ModelPackageName=version)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    code, _ = refused(sagemaker.describe_model_package_group, ModelPackageGroupName=group)
    assert code == "ValidationException"


def test_another_account_s_names_are_not_found(sagemaker, container, group):
    theirs = register(sagemaker, group, container).replace("123456789012", "210987654321")
    code, message = refused(sagemaker.describe_model_package, ModelPackageName=theirs)
    assert code == "ValidationException"
    assert message == f"Could not find model package: {theirs} does not exist"


def test_packages_without_a_group(sagemaker, container, name):
    specification = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}
    made = sagemaker.create_model_package(
        ModelPackageName=name, InferenceSpecification=specification
    )["ModelPackageArn"]
    listed = sagemaker.list_model_packages(NameContains=name)["ModelPackageSummaryList"]
    assert [found["ModelPackageArn"] for found in listed] == [made]
    sagemaker.delete_model_package(ModelPackageName=name)
    assert not sagemaker.list_model_packages(NameContains=name)["ModelPackageSummaryList"]
