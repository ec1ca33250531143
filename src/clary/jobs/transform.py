"""The contract of transform containers: a model, applied to a batch of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import field

from clary.jobs import requests
from clary.jobs.contract import Plan, Source, Target, split_uri
from clary.jobs.images import runtime
from clary.jobs.model import hosts
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotFound, NotSupported
from clary.kernel.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.jobs.model import Job
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

    Get = Callable[[Ref], Resource | None]

LIMIT_S = 5 * 86_400


class ModelSource(requests.View, frozen=True):
    """A model's files in S3, packed or not."""

    s3_uri: str
    compression_type: str = "Gzip"


class ModelDataSource(requests.View, frozen=True):
    """Where a model's files are."""

    s3_data_source: ModelSource


class Container(requests.View, frozen=True):
    """One container of a model, or of a model package's inference specification."""

    image: str = ""
    model_data_url: str = ""
    model_data_source: ModelDataSource | None = None
    environment: dict[str, str] = field(default_factory=dict)


def plan(ref: Ref, job: Job) -> Plan:
    """Say what a transform job's containers find and leave behind.

    Raises
    ------
    InvalidInput, NotSupported
        The request can never run; names the member.
    """
    view = requests.transform(job.request)
    container = build(Container, job.containers[0], field="Model")
    names = hosts(view.transform_resources.instance_count)
    image = runtime(container.image, field="Model.Image")
    output = view.transform_output.s3_output_path
    split_uri(output, field="TransformOutput.S3OutputPath")
    return Plan(
        runtime=image,
        program=("batch_transform.py",),
        environment={
            **container.environment,
            **view.environment,
            **_variables(ref, view),
            "CLARY_FRAMEWORK": image.framework,
        },
        hosts=names,
        sources=[_data(view), *_model(container), *_code(container)],
        targets=[Target("transform", "output/transform", output)],
        documents={"input/config/transform.json": _document(view)},
        resources=("input/config/resourceconfig.json", {"hosts": list(names)}),
        directories=("model", "output/transform", "input/data/transform"),
        limit_s=LIMIT_S,
    )


def containers(get: Get, ref: Ref, request: JsonObject) -> tuple[dict[str, Any], ...]:
    """Read what the request's model consists of.

    Raises
    ------
    NotFound
        The model, or the package it names, does not exist.
    NotSupported
        It has several containers.
    """
    model = ref.sibling("model", requests.transform(request).model_name)
    document = _request(get, model)
    listed = document.get("Containers") or [document.get("PrimaryContainer") or {}]
    if name := listed[0].get("ModelPackageName"):
        where = {"account": ref.account, "region": ref.region, "field": "ModelPackageName"}
        package = _request(get, parse_name(name, "model-package", **where))
        ours = listed[0].get("Environment") or {}
        listed = (package.get("InferenceSpecification") or {}).get("Containers") or []
        listed = [one | {"Environment": (one.get("Environment") or {}) | ours} for one in listed]
    if len(listed) != 1:
        raise NotSupported(f"{model} has {len(listed)} containers; clary transforms with one")
    return tuple(listed)


def _request(get: Get, ref: Ref) -> Mapping[str, Any]:
    found = get(ref)
    if found is None:
        raise NotFound(ref)
    request: Mapping[str, Any] = found.body["request"]
    return request


def _data(view: requests.TransformRequest) -> Source:
    given = view.transform_input.data_source.s3_data_source
    if given is None:
        raise InvalidInput("TransformInput.DataSource", "S3DataSource is missing")
    split_uri(given.s3_uri, field="TransformInput.DataSource.S3DataSource.S3Uri")
    return Source(
        name="transform",
        uri=given.s3_uri,
        path="input/data/transform",
        manifest=given.s3_data_type == "ManifestFile",
        sharded=True,
        gunzip=view.transform_input.compression_type == "Gzip",
    )


def _model(container: Container) -> Sequence[Source]:
    uri, packed = container.model_data_url, True
    if container.model_data_source is not None:
        given = container.model_data_source.s3_data_source
        uri, packed = given.s3_uri, given.compression_type == "Gzip"
    if not uri:
        return ()
    split_uri(uri, field="Model.ModelDataUrl")
    if packed:
        return (Source("model", uri, "input/model", file_name="model.tar.gz"),)
    return (Source("model", uri, "model"),)


def _code(container: Container) -> Sequence[Source]:
    uri = container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if not uri.startswith("s3://"):
        return ()
    return (Source("code", uri, "input/code", code=True, file_name="sourcedir.tar.gz"),)


def _variables(ref: Ref, view: requests.TransformRequest) -> dict[str, str]:
    return {
        "SAGEMAKER_BATCH": "True",
        "SAGEMAKER_BATCH_STRATEGY": view.batch_strategy,
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(view.max_payload_in_mb),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
        "TRANSFORM_JOB_NAME": ref.name,
    }


def _document(view: requests.TransformRequest) -> JsonObject:
    return {
        "ContentType": view.transform_input.content_type,
        "SplitType": view.transform_input.split_type,
        "Accept": view.transform_output.accept,
        "AssembleWith": view.transform_output.assemble_with,
        "BatchStrategy": view.batch_strategy,
        "MaxPayloadInMB": view.max_payload_in_mb,
        "InputFilter": view.data_processing.input_filter,
        "OutputFilter": view.data_processing.output_filter,
        "JoinSource": view.data_processing.join_source,
    }
