"""What a model consists of, read from the model and from the packages it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, structs

from clary.endpoints.model import Stage
from clary.jobs.contract import split_uri
from clary.jobs.images import runtime
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, ObjectStore
    from clary.kernel.resource import Resource

    Get = Callable[[Ref], Resource | None]

MOST_CONTAINERS = 15


class _Files(Struct, frozen=True, rename="pascal"):
    s3_uri: str
    compression_type: Literal["None", "Gzip"] = "Gzip"


class _Source(Struct, frozen=True, rename="pascal"):
    s3_data_source: _Files | None = None


class _Container(Struct, frozen=True, rename="pascal"):
    image: str = ""
    model_data_url: str = ""
    model_data_source: _Source | None = None
    environment: dict[str, str] = {}
    mode: Literal["SingleModel", "MultiModel"] = "SingleModel"
    container_hostname: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """A model's containers, as public documents, and how they are called.

    ``direct`` says that requests name the container; ``network`` that they may reach one, by the
    role whose ARN is ``role``.
    """

    containers: Sequence[Mapping[str, Any]]
    direct: bool = False
    network: bool = True
    role: str = ""


def contents(get: Get, model: Ref) -> Contents:
    """Read what a model consists of.

    Raises
    ------
    NotFound
        The model, or a package that it names, does not exist.
    InvalidInput
        A package is not approved, or the model has no container or too many.
    """
    document = _request(get, model)
    listed = document.get("Containers") or [document.get("PrimaryContainer") or {}]
    containers = [each for one in listed for each in _of_package(get, model, one)]
    if not 1 <= len(containers) <= MOST_CONTAINERS:
        legal = f"1 to {MOST_CONTAINERS}"
        raise InvalidInput("ModelName", f"{model} has {len(containers)} containers", legal=legal)
    mode = (document.get("InferenceExecutionConfig") or {}).get("Mode", "Serial")
    network = not document.get("EnableNetworkIsolation")
    role = document.get("ExecutionRoleArn") or ""
    return Contents(containers, mode == "Direct", network, role)


def stages(
    objects: ObjectStore, containers: Sequence[Mapping[str, Any]], *, role: str = ""
) -> tuple[Stage, ...]:
    """Say what workers need of each container, with the digest of its artifact.

    Raises
    ------
    InvalidInput
        An image stands for nothing here, or an artifact does not exist; says which.
    """
    views = [build(_Container, one, field="Container") for one in containers]
    return tuple(structs.replace(_stage(objects, one), role=role) for one in views)


def _stage(objects: ObjectStore, container: _Container) -> Stage:
    runtime(container.image, field="Image")
    uri, packed = container.model_data_url, True
    if container.model_data_source and container.model_data_source.s3_data_source:
        files = container.model_data_source.s3_data_source
        uri, packed = files.s3_uri, files.compression_type == "Gzip"
    many = container.mode == "MultiModel"
    sha256 = ""
    if uri and packed and not many:
        try:
            sha256 = objects.stat(*split_uri(uri, field="ModelDataUrl")).sha256
        except NotFound:
            raise InvalidInput("ModelDataUrl", f"{uri} does not exist") from None
    return Stage(
        container.image,
        uri,
        packed,
        container.environment,
        many,
        container.container_hostname,
        sha256,
    )


def _of_package(get: Get, model: Ref, container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Put a package's containers in the place of one that names it."""
    name = container.get("ModelPackageName")
    if not name:
        return [container]
    where = {"account": model.account, "region": model.region, "field": "ModelPackageName"}
    ref = parse_name(name, "model-package", **where)
    package = _request(get, ref)
    approval = package.get("ModelApprovalStatus", "Approved")
    if approval != "Approved":
        problem = f"{ref} cannot be deployed: its approval status is {approval}"
        raise InvalidInput("ModelPackageName", problem, legal="an approved model package")
    ours = container.get("Environment") or {}
    listed = _specification(package, container).get("Containers") or []
    return [one | {"Environment": (one.get("Environment") or {}) | ours} for one in listed]


def _specification(package: JsonObject, container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find the way of serving that a container asks for; a package has one, and may have others."""
    name = container.get("InferenceSpecificationName")
    if not name:
        return package.get("InferenceSpecification") or {}
    others = {
        one.get("Name"): one for one in package.get("AdditionalInferenceSpecifications") or ()
    }
    if name not in others:
        legal = ", ".join(map(str, others)) or "none"
        raise InvalidInput("InferenceSpecificationName", f"no {name!r}", legal=legal)
    found: Mapping[str, Any] = others[name]
    return found


def _request(get: Get, ref: Ref) -> JsonObject:
    found = get(ref)
    if found is None:
        raise NotFound(ref)
    request: JsonObject = found.body["request"]
    return request
