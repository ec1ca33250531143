"""The contract of processing containers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.jobs import requests
from clary.jobs.contract import ROOT, Plan, Source, Target, below_root, split_uri
from clary.jobs.images import runtime
from clary.jobs.instances import instance
from clary.jobs.model import hosts
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.jobs.model import Job
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject


def plan(ref: Ref, job: Job) -> Plan:
    """Say what a processing job's containers find and leave behind.

    Raises
    ------
    InvalidInput, NotSupported
        The request can never run; names the member.
    """
    view = requests.processing(job.request)
    app = view.app_specification
    image = runtime(app.image_uri, field="AppSpecification.ImageUri")
    command = app.container_entrypoint or image.command
    if not command:
        raise InvalidInput(
            "AppSpecification.ContainerEntrypoint",
            "is missing, and the image has no program of its own here",
        )
    cluster = view.processing_resources.cluster_config
    sources = [
        _source(f"ProcessingInputs.{index}.S3Input", one.input_name, one.s3_input)
        for index, one in enumerate(view.processing_inputs)
        if one.s3_input is not None and not one.app_managed
    ]
    targets = [
        _target(f"ProcessingOutputConfig.Outputs.{index}.S3Output", one, one.s3_output)
        for index, one in enumerate(view.processing_output_config.outputs)
        if one.s3_output is not None and not one.app_managed
    ]
    names = hosts(cluster.instance_count)
    size = instance(cluster.instance_type, field="ProcessingResources.ClusterConfig.InstanceType")
    return Plan(
        runtime=image,
        argv=(*command, *app.container_arguments),
        cwd="/opt/ml/processing",
        environment={**size.environment, **view.environment, "PROCESSING_JOB_NAME": ref.name},
        hosts=names,
        sources=_marked(sources, command),
        targets=targets,
        documents={"config/processingjobconfig.json": _document(ref, job.request)},
        resources=("config/resourceconfig.json", {"hosts": list(names)}),
        directories=("processing", "output", *(target.path for target in targets)),
        limit_s=view.stopping_condition.max_runtime_in_seconds,
        network=not view.network_config.enable_network_isolation,
        role=view.role_arn,
        exit_message="output/message",
        instance=size,
    )


def _source(place: str, name: str, given: requests.S3Input) -> Source:
    split_uri(given.s3_uri, field=f"{place}.S3Uri")
    return Source(
        name=name,
        uri=given.s3_uri,
        path=below_root(given.local_path, field=f"{place}.LocalPath"),
        manifest=given.s3_data_type == "ManifestFile",
        sharded=given.s3_data_distribution_type == "ShardedByS3Key",
        gunzip=given.s3_compression_type == "Gzip",
    )


def _marked(sources: Sequence[Source], entrypoint: Sequence[str]) -> Sequence[Source]:
    """Mark as code the deepest input that a word of the command lies in."""
    paths = {
        one.path for one in sources for word in entrypoint if word.startswith(f"{ROOT}/{one.path}/")
    }
    deepest = max(paths, key=len, default="")
    return [replace(one, code=one.path == deepest) for one in sources]


def _target(place: str, output: requests.ProcessingOutput, given: requests.S3Output) -> Target:
    split_uri(given.s3_uri, field=f"{place}.S3Uri")
    into = output.feature_store_output
    return Target(
        name=output.output_name,
        path=below_root(given.local_path, field=f"{place}.LocalPath"),
        uri=given.s3_uri,
        continuous=given.s3_upload_mode == "Continuous",
        group=into.feature_group_name if into else "",
    )


def _document(ref: Ref, request: JsonObject) -> JsonObject:
    """Write the job's configuration as its container reads it."""
    shown = {name: value for name, value in request.items() if name != "Tags"}
    return {"ProcessingJobArn": arn(ref), "ProcessingJobName": ref.name, **shown}
