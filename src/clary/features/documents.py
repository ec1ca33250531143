"""The public documents of feature groups: what Describe and List answer, in SageMaker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.names import arn

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_ACTIVE = {"Status": "Active"}


def group(found: Resource) -> JsonObject:
    """Write the DescribeFeatureGroup document."""
    body = found.body
    document: JsonObject = {
        **body["request"],
        "FeatureGroupArn": arn(found.ref),
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "FeatureGroupStatus": found.status,
        "NextToken": "",
    }
    if offline := document.get("OfflineStoreConfig"):
        document["OfflineStoreConfig"] = {
            "DisableGlueTableCreation": False,
            **offline,
            "S3StorageConfig": {
                **offline["S3StorageConfig"],
                "ResolvedOutputS3Uri": body["output"],
            },
            **({"DataCatalogConfig": body["table"]} if body["table"] else {}),
        }
        document["OfflineStoreStatus"] = _ACTIVE
    if body["version"] > 1 or body["updated"]:
        document["LastUpdateStatus"] = {"Status": "Successful"}
    return document


def summary(found: Resource) -> JsonObject:
    """Write an element of ListFeatureGroups."""
    offline = {"OfflineStoreStatus": _ACTIVE} if found.body["output"] else {}
    return {
        "FeatureGroupName": found.ref.name,
        "FeatureGroupArn": arn(found.ref),
        "CreationTime": found.created_at,
        "FeatureGroupStatus": found.status,
        **offline,
    }


def feature(found: Resource) -> JsonObject:
    """Write the DescribeFeatureMetadata document."""
    group_name, _, name = found.ref.name.partition("/")
    body = found.body
    said = {"Description": body["description"]} if body["description"] else {}
    return {
        "FeatureGroupArn": arn(found.ref.sibling("feature-group", group_name)),
        "FeatureGroupName": group_name,
        "FeatureName": name,
        "FeatureType": body["type"],
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        **said,
        "Parameters": [
            {"Key": key, "Value": value} for key, value in sorted(body["parameters"].items())
        ],
    }
