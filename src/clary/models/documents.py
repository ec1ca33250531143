"""The public documents of models: what Describe and List answer, in SageMaker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.names import arn

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource


def model(found: Resource) -> JsonObject:
    """Write the DescribeModel document."""
    return {
        "EnableNetworkIsolation": False,
        **found.body["request"],
        "ModelArn": arn(found.ref),
        "CreationTime": found.created_at,
    }


def model_summary(found: Resource) -> JsonObject:
    """Write an element of ListModels."""
    return {
        "ModelName": found.ref.name,
        "ModelArn": arn(found.ref),
        "CreationTime": found.created_at,
    }


def group(found: Resource) -> JsonObject:
    """Write the DescribeModelPackageGroup document."""
    return {
        **found.body["request"],
        "ModelPackageGroupArn": arn(found.ref),
        "ModelPackageGroupStatus": found.status,
        "CreationTime": found.created_at,
        "CreatedBy": _by(found.body["created_by"]),
    }


def group_summary(found: Resource) -> JsonObject:
    """Write an element of ListModelPackageGroups."""
    return {key: value for key, value in group(found).items() if key != "CreatedBy"}


def package(found: Resource) -> JsonObject:
    """Write the DescribeModelPackage document."""
    body = found.body
    changed = {
        "LastModifiedTime": found.modified_at,
        "LastModifiedBy": _by(body["modified_by"]),
    }
    return {
        "CertifyForMarketplace": False,
        **body["request"],
        **_names(found),
        "CreationTime": found.created_at,
        "CreatedBy": _by(body["created_by"]),
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        **(changed if body["modified_by"] else {}),
    }


def package_summary(found: Resource) -> JsonObject:
    """Write an element of ListModelPackages."""
    request = found.body["request"]
    copied = ("ModelPackageDescription", "ModelApprovalStatus", "ModelLifeCycle")
    return {
        **_names(found),
        "CreationTime": found.created_at,
        **{member: request[member] for member in copied if member in request},
    }


def _names(found: Resource) -> JsonObject:
    ref = found.ref
    names: JsonObject = {
        "ModelPackageName": ref.name,
        "ModelPackageArn": arn(ref),
        "ModelPackageStatus": found.status,
    }
    if ref.version:
        names |= {"ModelPackageGroupName": ref.name, "ModelPackageVersion": ref.version}
    return names


def _by(actor: str) -> JsonObject:
    return {"IamIdentity": {"Arn": actor}}
