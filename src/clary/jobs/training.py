"""The contract of training containers: algorithm mode and script mode."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clary.jobs import requests
from clary.jobs.contract import Outcome, Plan, Source, Target, below_root, join_uri, split_uri
from clary.jobs.images import runtime
from clary.jobs.instances import instance
from clary.jobs.model import hosts
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.jobs.images import Runtime
    from clary.jobs.model import Job
    from clary.jobs.requests import Channel, TrainingRequest
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_ALWAYS: frozenset[Outcome] = frozenset({"Completed", "Failed", "Stopped"})
_GROUP = "homogeneousCluster"
_NOTEBOOK = ("amazon_sagemaker_scheduler",)
"""The command of notebook jobs."""
_BUILT_IN_METRICS = (
    *("accuracy", "auc", "aucpr", "error", "f1", "f1_binary", "f1_macro", "logloss", "mae", "map"),
    *("mape", "merror", "mlogloss", "mse", "ndcg", "precision", "recall", "rmse", "rmsle"),
)


def plan(ref: Ref, job: Job) -> Plan:
    """Say what a training job's containers find and leave behind.

    Raises
    ------
    InvalidInput, NotSupported
        The request can never run; names the member.
    """
    view = requests.training(job.request)
    algorithm = view.algorithm_specification
    image = runtime(algorithm.training_image, field="AlgorithmSpecification.TrainingImage")
    names = hosts(view.resource_config.instance_count)
    size = instance(view.resource_config.instance_type, field="ResourceConfig.InstanceType")
    notebook = algorithm.container_entrypoint == _NOTEBOOK
    command = () if notebook else algorithm.container_entrypoint
    program: Sequence[str] = ("notebook.py",) if notebook else ()
    if not program and not command:
        program = _program(view, image)
    channels = view.input_data_config
    targets = _targets(ref, view)
    return Plan(
        runtime=image,
        argv=(*command, *algorithm.container_arguments),
        program=program,
        cwd="/opt/ml/code",
        environment=size.environment | _environment(ref, view, image),
        hosts=names,
        sources=[*_channels(channels), *_code(view), *_checkpoints(view)],
        targets=targets,
        documents={
            "input/config/hyperparameters.json": view.hyper_parameters,
            "input/config/inputdataconfig.json": {
                one.channel_name: _channel(one, view) for one in channels
            },
        },
        resources=("input/config/resourceconfig.json", _resources(names, view)),
        directories=("code", "input/data", "output", *(target.path for target in targets)),
        limit_s=view.stopping_condition.max_runtime_in_seconds,
        network=not view.enable_network_isolation,
        role=view.role_arn,
        patterns=_patterns(view, program),
        instance=size,
    )


def model_uri(ref: Ref, view: TrainingRequest) -> str:
    """Say where a training job's model will be."""
    name = "model.tar.gz" if view.output_data_config.compression_type == "GZIP" else "model"
    return join_uri(view.output_data_config.s3_output_path, ref.name, "output", name)


def script(view: TrainingRequest) -> tuple[str, str]:
    """Read the entry point and the source archive's URI from the reserved hyperparameters.

    They are JSON strings within the string values; a plain string is taken as it is.
    """
    values = view.hyper_parameters
    return (
        _unquoted(values.get("sagemaker_program", "")),
        _unquoted(values.get("sagemaker_submit_directory", "")),
    )


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _program(view: TrainingRequest, image: Runtime) -> Sequence[str]:
    if script(view)[0]:
        return ("script_mode.py",)
    if image.framework == "xgboost":
        return ("xgboost_train.py", "--pickle") if image.pickles_model else ("xgboost_train.py",)
    raise InvalidInput(
        "HyperParameters",
        f"sagemaker_program is missing, and {image.asked} has no algorithm of its own",
    )


def _environment(ref: Ref, view: TrainingRequest, image: Runtime) -> dict[str, str]:
    module = f"sagemaker_{image.framework}_container.training:main"
    return {
        **view.environment,
        "SAGEMAKER_TRAINING_MODULE": module,
        "TRAINING_JOB_NAME": ref.name,
        "TRAINING_JOB_ARN": arn(ref),
    }


def _channels(channels: Sequence[Channel]) -> list[Source]:
    found = []
    for index, channel in enumerate(channels):
        given = channel.data_source.s3_data_source
        if given is None:
            continue
        split_uri(given.s3_uri, field=f"InputDataConfig.{index}.DataSource.S3DataSource.S3Uri")
        found.append(
            Source(
                name=channel.channel_name,
                uri=given.s3_uri,
                path=f"input/data/{channel.channel_name}",
                manifest=given.s3_data_type == "ManifestFile",
                sharded=given.s3_data_distribution_type == "ShardedByS3Key",
                gunzip=channel.compression_type == "Gzip",
            )
        )
    return found


def _code(view: TrainingRequest) -> list[Source]:
    _, archive = script(view)
    if not archive.startswith("s3://"):
        return []
    split_uri(archive, field="HyperParameters.sagemaker_submit_directory")
    return [Source("code", archive, "input/code", code=True, file_name="sourcedir.tar.gz")]


def _checkpoints(view: TrainingRequest) -> list[Source]:
    given = view.checkpoint_config
    if given is None:
        return []
    split_uri(given.s3_uri, field="CheckpointConfig.S3Uri")
    path = below_root(given.local_path, field="CheckpointConfig.LocalPath")
    return [Source("checkpoints", given.s3_uri, path, optional=True)]


def _targets(ref: Ref, view: TrainingRequest) -> list[Target]:
    output = view.output_data_config
    split_uri(output.s3_output_path, field="OutputDataConfig.S3OutputPath")
    folder = join_uri(output.s3_output_path, ref.name, "output")
    targets = [
        Target(
            "model",
            "model",
            model_uri(ref, view),
            archive=output.compression_type == "GZIP",
            when=frozenset({"Completed", "Stopped"}),
            model=True,
        ),
        Target("data", "output/data", f"{folder}/output.tar.gz", archive=True, when=_ALWAYS),
        Target(
            "intermediate",
            "output/intermediate",
            f"{folder}/intermediate",
            continuous=True,
            when=_ALWAYS,
        ),
    ]
    if view.checkpoint_config is not None:
        path = below_root(view.checkpoint_config.local_path, field="CheckpointConfig.LocalPath")
        uri = view.checkpoint_config.s3_uri
        targets.append(Target("checkpoints", path, uri, continuous=True, when=_ALWAYS))
    return targets


def _channel(channel: Channel, view: TrainingRequest) -> JsonObject:
    given = channel.data_source.s3_data_source
    mode = channel.input_mode or view.algorithm_specification.training_input_mode
    document = {
        "TrainingInputMode": mode,
        "S3DistributionType": given.s3_data_distribution_type if given else "FullyReplicated",
        "RecordWrapperType": channel.record_wrapper_type,
    }
    return document | ({"ContentType": channel.content_type} if channel.content_type else {})


def _resources(names: Sequence[str], view: TrainingRequest) -> JsonObject:
    kind = view.resource_config.instance_type
    return {
        "hosts": list(names),
        "current_instance_type": kind,
        "current_group_name": _GROUP,
        "instance_groups": [
            {"instance_group_name": _GROUP, "instance_type": kind, "hosts": list(names)}
        ],
        "network_interface_name": "lo",
    }


def _patterns(view: TrainingRequest, program: Sequence[str]) -> list[tuple[str, str]]:
    given = view.algorithm_specification.metric_definitions
    patterns = [(one.name, one.regex) for one in given]
    if not patterns and program and program[0] == "xgboost_train.py":
        patterns = [
            (f"{channel}:{metric}", rf"\[[0-9]+\].*#011{channel}-{metric}:(\S+)")
            for channel in ("train", "validation")
            for metric in _BUILT_IN_METRICS
        ]
    return patterns
