import threading

import pytest
from tests.models.conftest import GROUP, NEAR, URI, container, package

from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from clary.kernel.names import arn
from clary.kernel.resource import Query

TOKEN = "t" * 36


def register(models, **more):
    return models.create_package(NEAR, package(**more), actor="ada").ref


def test_versions_count_up_and_are_never_used_again(models, group):
    assert [register(models).version for _ in range(3)] == [1, 2, 3]
    models.delete_package(GROUP.sibling("model-package", "abalone", 3), actor="ada")
    models.delete_package(GROUP.sibling("model-package", "abalone", 1), actor="ada")
    assert register(models).version == 4
    page = models.list(Query("model-package", parent=GROUP))
    assert sorted(found.ref.version for found in page.items) == [2, 4]


def test_versions_made_at_once_are_all_different(models, group):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(register(models).version)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 9))


def test_a_version_is_described_as_it_was_registered(models, group, store, objects):
    objects.put("data", "evaluation.json", [b"{}"])
    statistics = {"ContentType": "application/json", "S3Uri": "s3://data/evaluation.json"}
    request = package(
        ModelMetrics={"ModelQuality": {"Statistics": statistics}, "Bias": {}},
        DriftCheckBaselines={
            "ModelQuality": {"Constraints": {**statistics, "S3Uri": "s3://data/x"}}
        },
        MetadataProperties={"GeneratedBy": "me", "CommitId": "c0ffee"},
        CustomerMetadataProperties={"owner": "ada"},
        ModelPackageDescription="rings",
        ModelCard={"ModelCardContent": "{}", "ModelCardStatus": "Draft"},
    )
    made = models.create_package(
        NEAR, {**request, "ClientToken": TOKEN}, actor="ada", tags={"a": "b"}
    )
    document = models.describe_package(made.ref)
    assert document.items() >= request.items()
    assert document["ModelPackageArn"].endswith(":model-package/abalone/1")
    assert document["ModelPackageVersion"] == 1
    assert document["ModelPackageStatus"] == "Completed"
    assert document["ModelPackageStatusDetails"] == {
        "ValidationStatuses": [],
        "ImageScanStatuses": [],
    }
    assert document["ModelApprovalStatus"] == "PendingManualApproval"
    assert document["CreatedBy"] == {"IamIdentity": {"Arn": "ada"}}
    assert not {"ClientToken", "LastModifiedBy"} & document.keys()
    assert store.tags(made.ref) == {"a": "b"}
    used = {link.role for link in store.links(made.ref, incoming=True)}
    assert used == {"model", "ModelMetrics.ModelQuality.Statistics"}


def test_a_token_registers_once(models, group):
    found = set()
    threads = [
        threading.Thread(target=lambda: found.add(register(models, ClientToken=TOKEN)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {ref.version for ref in found} == {1}
    with pytest.raises(Conflict, match="ClientToken"):
        register(models, ClientToken=TOKEN, ModelPackageDescription="another")
    models.delete_package(next(iter(found)), actor="ada")
    assert register(models, ClientToken=TOKEN).version == 2


def test_a_package_without_a_group(models, group):
    request = package(ModelPackageName="single")
    made = models.create_package(NEAR, request, actor="ada")
    assert arn(made.ref).endswith(":model-package/single")
    document = models.describe_package(made.ref)
    assert document["ModelPackageName"] == "single"
    assert (
        not {"ModelPackageGroupName", "ModelPackageVersion", "ModelApprovalStatus"}
        & document.keys()
    )
    with pytest.raises(AlreadyExists):
        models.create_package(NEAR, request, actor="ada")
    register(models)
    unversioned = models.list(Query("model-package", where={"type": "Unversioned"})).items
    assert [found.ref.name for found in unversioned] == ["single"]
    models.delete_package(made.ref, actor="ada")
    with pytest.raises(NotFound):
        models.describe_package(made.ref)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ModelPackageName": "x", "ModelPackageGroupName": "abalone"}, "not exactly one of both"),
        ({"ModelPackageGroupName": None}, "not exactly one of both"),
        ({"ModelApprovalStatus": "Maybe"}, "ModelApprovalStatus: Invalid enum value 'Maybe'"),
        (
            {"ModelPackageName": "x", "InferenceSpecification": None},
            "InferenceSpecification: required for a model package without a group",
        ),
        (
            {"InferenceSpecification": {"Containers": [{"ModelDataUrl": URI}]}},
            r"InferenceSpecification\.Containers\[0\]\.Image: missing",
        ),
        (
            {"InferenceSpecification": {"Containers": [container(ModelDataUrl="s3://data/none")]}},
            r"InferenceSpecification\.Containers\[0\]\.ModelDataUrl: s3://data/none does not exist",
        ),
        (
            {"ModelMetrics": {"Bias": {"Report": {"S3Uri": "nowhere"}}}},
            r"ModelMetrics\.Bias\.Report\.S3Uri: 'nowhere'; legal: s3://",
        ),
    ],
)
def test_a_malformed_package_is_refused_by_member(models, group, change, problem):
    request = {key: value for key, value in package(**change).items() if value is not None}
    with pytest.raises(InvalidInput, match=problem):
        models.create_package(NEAR, request, actor="ada")
    assert models.describe_group(GROUP)["ModelPackageGroupName"] == "abalone"
    assert register(models).version == 1


def test_a_version_needs_its_group(models):
    with pytest.raises(NotFound, match="model-package-group abalone does not exist"):
        register(models)


def test_an_approval_is_journalled_with_before_and_after(models, group, store):
    ref = register(models)
    models.update_package(
        ref,
        {
            "ModelPackageArn": arn(ref),
            "ModelApprovalStatus": "Approved",
            "ApprovalDescription": "mse 4.9",
        },
        actor="bob",
    )
    document = models.describe_package(ref)
    assert document["ModelApprovalStatus"] == "Approved"
    assert document["ApprovalDescription"] == "mse 4.9"
    assert document["LastModifiedBy"] == {"IamIdentity": {"Arn": "bob"}}
    assert document["LastModifiedTime"] > document["CreationTime"]
    told = store.events()[-1]
    assert (told.action, told.actor, told.ref) == ("model-package.updated", "bob", ref)
    assert told.detail == {
        "before": {"ModelApprovalStatus": "PendingManualApproval", "ApprovalDescription": None},
        "after": {"ModelApprovalStatus": "Approved", "ApprovalDescription": "mse 4.9"},
    }
    approved = Query(
        "model-package", parent=GROUP, where={"request.ModelApprovalStatus": "Approved"}
    )
    assert [found.ref for found in models.list(approved).items] == [ref]
    with pytest.raises(InvalidInput, match="ModelApprovalStatus"):
        models.update_package(ref, {"ModelApprovalStatus": "Fine"}, actor="bob")


def test_properties_and_specifications_are_added_and_removed(models, group):
    ref = register(models, CustomerMetadataProperties={"a": "1", "b": "2"})
    extra = {"Name": "fast", "Containers": [container()]}
    models.update_package(
        ref,
        {
            "CustomerMetadataProperties": {"a": "3", "c": "4"},
            "CustomerMetadataPropertiesToRemove": ["b", "zz"],
            "AdditionalInferenceSpecificationsToAdd": [extra],
        },
        actor="bob",
    )
    document = models.describe_package(ref)
    assert document["CustomerMetadataProperties"] == {"a": "3", "c": "4"}
    assert document["AdditionalInferenceSpecifications"] == [extra]
    with pytest.raises(InvalidInput, match="AdditionalInferenceSpecificationsToAdd"):
        models.update_package(ref, {"AdditionalInferenceSpecificationsToAdd": [extra]}, actor="bob")
    missing = {"Containers": [container(ModelDataUrl="s3://data/none")]}
    with pytest.raises(InvalidInput, match="s3://data/none does not exist"):
        models.update_package(ref, {"InferenceSpecification": missing}, actor="bob")


def test_a_group_goes_only_when_it_is_empty(models, group, store):
    ref = register(models)
    with pytest.raises(Conflict, match="has 1 version"):
        models.delete_group(GROUP, actor="ada")
    with pytest.raises(AlreadyExists):
        models.create_group(GROUP, {"ModelPackageGroupName": "abalone"}, actor="ada")
    models.delete_package(ref, actor="ada")
    models.delete_group(GROUP, actor="ada")
    with pytest.raises(NotFound):
        models.describe_group(GROUP)
    assert [event.action for event in store.events()] == [
        "model-package-group.created",
        "model-package.created",
        "model-package.deleted",
        "model-package-group.deleted",
    ]
