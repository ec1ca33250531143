"""The contract of transform containers: a model, applied to a batch of objects."""

from __future__ import annotations

from dataclasses import dataclass
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

    from clary.jobs.images import Runtime
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
    models = [_read(one, place, view) for place, one in enumerate(job.containers)]
    first = models[0]
    names = hosts(view.transform_resources.instance_count)
    output = view.transform_output.s3_output_path
    split_uri(output, field="TransformOutput.S3OutputPath")
    return Plan(
        runtime=first.runtime,
        beside=_beside([one.runtime for one in models]),
        program=("batch_transform.py",),
        environment={
            **first.environment,
            **_variables(ref, view),
            "CLARY_FRAMEWORK": first.runtime.framework,
        },
        hosts=names,
        sources=[_data(view), *(source for one in models for source in one.sources)],
        targets=[Target("transform", "output/transform", output), *_captured(view)],
        documents={"input/config/transform.json": _document(view, models)},
        resources=("input/config/resourceconfig.json", {"hosts": list(names)}),
        directories=("model", "output/transform", "output/capture", "input/data/transform"),
        limit_s=LIMIT_S,
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """One container of the job: what it is, and what is fetched for it below ``base``."""

    runtime: Runtime
    environment: Mapping[str, str]
    base: str
    sources: Sequence[Source]


def _read(document: Mapping[str, Any], place: int, view: requests.TransformRequest) -> _Model:
    container = build(Container, document, field="Model")
    base, suffix = (f"containers/{place + 1}/", f"-{place + 1}") if place else ("", "")
    return _Model(
        runtime(container.image, field="Model.Image"),
        {**container.environment, **view.environment},
        base,
        [*_model(container, base, suffix), *_code(container, base, suffix)],
    )


def _beside(runtimes: Sequence[Runtime]) -> tuple[Runtime, ...]:
    """Say which other images the one environment of the job stands for."""
    beside = dict.fromkeys(one for one in runtimes[1:] if one != runtimes[0])
    if beside and any(one.environment for one in runtimes):
        asked = ", ".join(dict.fromkeys(one.asked for one in runtimes))
        raise NotSupported(
            f"Model: a transform job's containers share an environment, which cannot be {asked}",
            hint="give them the same environment's image",
        )
    return tuple(beside)


def containers(get: Get, ref: Ref, request: JsonObject) -> tuple[dict[str, Any], ...]:
    """Read what the request's model consists of, in the order in which a payload goes through it.

    Raises
    ------
    NotFound
        The model, or a package it names, does not exist.
    NotSupported
        Its containers are called one by one.
    """
    model = ref.sibling("model", requests.transform(request).model_name)
    document = _request(get, model)
    listed = document.get("Containers") or [document.get("PrimaryContainer") or {}]
    mode = (document.get("InferenceExecutionConfig") or {}).get("Mode", "Serial")
    if mode != "Serial" and len(listed) > 1:
        raise NotSupported(f"{model} calls its containers one by one; a batch goes through all")
    return tuple(each for one in listed for each in _of_package(get, ref, one))


def _of_package(get: Get, ref: Ref, container: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a package's containers in the place of one that names it."""
    name = container.get("ModelPackageName")
    if not name:
        return [container]
    where = {"account": ref.account, "region": ref.region, "field": "ModelPackageName"}
    package = _request(get, parse_name(name, "model-package", **where))
    ours = container.get("Environment") or {}
    found = (package.get("InferenceSpecification") or {}).get("Containers") or []
    return [one | {"Environment": (one.get("Environment") or {}) | ours} for one in found]


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
        listing="input/config/objects.json" if view.data_capture_config else "",
    )


def _model(container: Container, base: str, suffix: str) -> Sequence[Source]:
    uri, packed = container.model_data_url, True
    if container.model_data_source is not None:
        given = container.model_data_source.s3_data_source
        uri, packed = given.s3_uri, given.compression_type == "Gzip"
    if not uri:
        return ()
    split_uri(uri, field="Model.ModelDataUrl")
    name = f"model{suffix}"
    if packed:
        return (Source(name, uri, f"{base}input/model", file_name="model.tar.gz"),)
    return (Source(name, uri, f"{base}model"),)


def _code(container: Container, base: str, suffix: str) -> Sequence[Source]:
    uri = container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if not uri.startswith("s3://"):
        return ()
    path, file = f"{base}input/code", "sourcedir.tar.gz"
    return (Source(f"code{suffix}", uri, path, code=True, file_name=file),)


def _captured(view: requests.TransformRequest) -> Sequence[Target]:
    if view.data_capture_config is None:
        return ()
    uri = view.data_capture_config.destination_s3_uri
    split_uri(uri, field="DataCaptureConfig.DestinationS3Uri")
    return (Target("capture", "output/capture", uri),)


def _variables(ref: Ref, view: requests.TransformRequest) -> dict[str, str]:
    return {
        "SAGEMAKER_BATCH": "True",
        "SAGEMAKER_BATCH_STRATEGY": view.batch_strategy,
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(view.max_payload_in_mb),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(view.max_concurrent_transforms),
        "TRANSFORM_JOB_NAME": ref.name,
    }


def _document(view: requests.TransformRequest, models: Sequence[_Model]) -> JsonObject:
    capture = view.data_capture_config
    return {
        "ContentType": view.transform_input.content_type,
        "SplitType": view.transform_input.split_type,
        "Accept": view.transform_output.accept,
        "AssembleWith": view.transform_output.assemble_with,
        "BatchStrategy": view.batch_strategy,
        "MaxPayloadInMB": view.max_payload_in_mb,
        "MaxConcurrentTransforms": view.max_concurrent_transforms,
        "InputFilter": view.data_processing.input_filter,
        "OutputFilter": view.data_processing.output_filter,
        "JoinSource": view.data_processing.join_source,
        "GenerateInferenceId": capture is not None and capture.generate_inference_id,
        "Capture": capture and {"Output": view.transform_output.s3_output_path},
        "Containers": [
            {
                "Framework": one.runtime.framework,
                "Environment": one.environment,
                "Base": one.base,
            }
            for one in models
        ],
    }
