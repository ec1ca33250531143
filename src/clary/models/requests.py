"""What the requests on models carry, typed; the documents themselves are kept as they came."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

Approval = Literal["Approved", "Rejected", "PendingManualApproval"]


class ModelFiles(msgspec.Struct, frozen=True, rename="pascal"):
    """An object or a prefix that holds a model."""

    s3_uri: str
    s3_data_type: Literal["S3Object", "S3Prefix"] = "S3Object"


class ModelDataSource(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a model's files are."""

    s3_data_source: ModelFiles | None = None


class Container(msgspec.Struct, frozen=True, rename="pascal"):
    """A container of a model or of a model package; of a model it may be a package instead."""

    image: str | None = None
    model_data_url: str | None = None
    model_data_source: ModelDataSource | None = None
    environment: dict[str, str] | None = None
    mode: Literal["SingleModel", "MultiModel"] = "SingleModel"
    model_package_name: str | None = None

    @property
    def files(self) -> tuple[str, ModelFiles] | None:
        """The member that says where its model is, and where that is."""
        if self.model_data_url:
            many = self.mode == "MultiModel"
            kind: Literal["S3Object", "S3Prefix"] = "S3Prefix" if many else "S3Object"
            return "ModelDataUrl", ModelFiles(self.model_data_url, kind)
        if self.model_data_source and self.model_data_source.s3_data_source:
            return "ModelDataSource.S3DataSource.S3Uri", self.model_data_source.s3_data_source
        return None


class ModelRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What CreateModel carries."""

    model_name: str
    primary_container: Container | None = None
    containers: list[Container] | None = None
    execution_role_arn: str | None = None


class InferenceSpecification(msgspec.Struct, frozen=True, rename="pascal"):
    """How a model package is served."""

    containers: list[Container]


class PackageRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What CreateModelPackage carries."""

    model_package_name: str | None = None
    model_package_group_name: str | None = None
    inference_specification: InferenceSpecification | None = None
    source_algorithm_specification: dict[str, Any] | None = None
    model_approval_status: Approval | None = None
    model_metrics: dict[str, Any] | None = None
    drift_check_baselines: dict[str, Any] | None = None
    metadata_properties: dict[str, str] | None = None
    customer_metadata_properties: dict[str, str] | None = None
    client_token: str = ""


class PackageChange(msgspec.Struct, frozen=True, rename="pascal"):
    """What UpdateModelPackage carries."""

    model_approval_status: Approval | None = None
    approval_description: str | None = None
    customer_metadata_properties: dict[str, str] = {}
    customer_metadata_properties_to_remove: list[str] = []
    additional_inference_specifications_to_add: list[dict[str, Any]] = []
    inference_specification: InferenceSpecification | None = None


def model(request: dict[str, Any]) -> tuple[tuple[str, Container], ...]:
    """Read the containers of a CreateModel document, each with the member it stands in.

    Raises
    ------
    InvalidInput
        It has none, or both kinds; or a container has neither an image nor a package.
    """
    view = build(ModelRequest, request)
    if (view.primary_container is None) == (not view.containers):
        legal = "either PrimaryContainer or Containers"
        raise InvalidInput("PrimaryContainer", "not exactly one of both is given", legal=legal)
    found = (
        [("PrimaryContainer", view.primary_container)]
        if view.primary_container
        else [(f"Containers[{index}]", one) for index, one in enumerate(view.containers or ())]
    )
    for place, container in found:
        if (container.image is None) == (container.model_package_name is None):
            legal = "either Image or ModelPackageName"
            raise InvalidInput(place, "not exactly one of both is given", legal=legal)
    return tuple(found)


def package(request: dict[str, Any]) -> PackageRequest:
    """Read a CreateModelPackage document.

    Raises
    ------
    InvalidInput
        Not exactly one of a name and a group is given, or an unversioned one says nothing of how
        it is served.
    """
    view = build(PackageRequest, request)
    if (view.model_package_name is None) == (view.model_package_group_name is None):
        legal = "either ModelPackageName or ModelPackageGroupName"
        raise InvalidInput("ModelPackageName", "not exactly one of both is given", legal=legal)
    if view.model_package_name and not (
        view.inference_specification or view.source_algorithm_specification
    ):
        problem = "required for a model package without a group"
        raise InvalidInput("InferenceSpecification", problem)
    return view


def containers(view: PackageRequest | PackageChange) -> tuple[tuple[str, Container], ...]:
    """List the containers of a package's inference specification, each with its place.

    Raises
    ------
    InvalidInput
        One has no image.
    """
    specification = view.inference_specification
    found = [
        (f"InferenceSpecification.Containers[{index}]", one)
        for index, one in enumerate(specification.containers if specification else ())
    ]
    for place, container in found:
        if container.image is None:
            raise InvalidInput(f"{place}.Image", "missing")
    return tuple(found)
