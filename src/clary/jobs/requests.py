"""Typed views of the public create requests; the documents themselves are kept verbatim.

A view names what clary acts on. What it cannot do is refused here, by the member's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, field

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported
from clary.kernel.ports import JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_S = 86_400
MOST_HOSTS = 20
MOST_HELD_MB = 100
"""MaxConcurrentTransforms times MaxPayloadInMB may be so much."""
_JSON = "application/json"

Hosts = Annotated[int, Meta(ge=1, le=MOST_HOSTS)]
Seconds = Annotated[int, Meta(ge=1)]
Distribution = Literal["FullyReplicated", "ShardedByS3Key"]
Compression = Literal["None", "Gzip"]
DataType = Literal["S3Prefix", "ManifestFile", "AugmentedManifestFile", "Converse"]
InputMode = Literal["File", "FastFile", "Pipe"]


class View(msgspec.Struct, frozen=True, rename="pascal"):
    """Some members of a request document."""


class S3Input(View, frozen=True):
    """Where a processing input comes from and goes to."""

    s3_uri: str
    s3_data_type: DataType = "S3Prefix"
    local_path: str = ""
    s3_input_mode: InputMode = "File"
    s3_data_distribution_type: Distribution = "FullyReplicated"
    s3_compression_type: Compression = "None"


class ProcessingInput(View, frozen=True):
    """One named input."""

    input_name: str
    app_managed: bool = False
    s3_input: S3Input | None = None


class S3Output(View, frozen=True):
    """Where a processing output comes from and goes to."""

    s3_uri: str
    s3_upload_mode: Literal["EndOfJob", "Continuous"] = "EndOfJob"
    local_path: str = ""


class FeatureStoreOutput(View, frozen=True):
    """The feature group that gets the rows of an output."""

    feature_group_name: str


class ProcessingOutput(View, frozen=True):
    """One named output."""

    output_name: str
    app_managed: bool = False
    s3_output: S3Output | None = None
    feature_store_output: FeatureStoreOutput | None = None


class ProcessingOutputs(View, frozen=True):
    """Every output."""

    outputs: tuple[ProcessingOutput, ...] = ()


class Cluster(View, frozen=True):
    """How many hosts of which type."""

    instance_count: Hosts = 1
    instance_type: str = "ml.m5.large"
    instance_groups: tuple[JsonObject, ...] = ()


class ProcessingResources(View, frozen=True):
    """The cluster."""

    cluster_config: Cluster


class AppSpecification(View, frozen=True):
    """What a processing job runs."""

    image_uri: str
    container_entrypoint: tuple[str, ...] = ()
    container_arguments: tuple[str, ...] = ()


class NetworkConfig(View, frozen=True):
    """Whether there is a network."""

    enable_network_isolation: bool = False


class StoppingCondition(View, frozen=True):
    """How long a job may run."""

    max_runtime_in_seconds: Seconds = DAY_S


class ProcessingRequest(View, frozen=True):
    """CreateProcessingJob."""

    app_specification: AppSpecification
    processing_resources: ProcessingResources
    role_arn: str = ""
    processing_inputs: tuple[ProcessingInput, ...] = ()
    processing_output_config: ProcessingOutputs = ProcessingOutputs()
    environment: dict[str, str] = {}
    network_config: NetworkConfig = NetworkConfig()
    stopping_condition: StoppingCondition = StoppingCondition()


class S3DataSource(View, frozen=True):
    """Objects that a channel or a transform reads."""

    s3_uri: str
    s3_data_type: DataType = "S3Prefix"
    s3_data_distribution_type: Distribution = "FullyReplicated"


class DataSource(View, frozen=True):
    """Where data come from: S3."""

    s3_data_source: S3DataSource | None = None


class Channel(View, frozen=True):
    """One training channel."""

    channel_name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    data_source: DataSource
    content_type: str = ""
    compression_type: Compression = "None"
    record_wrapper_type: Literal["None", "RecordIO"] = "None"
    input_mode: InputMode | None = None


class MetricDefinition(View, frozen=True):
    """A metric's name and the pattern whose first group is its value."""

    name: str
    regex: str


class Algorithm(View, frozen=True):
    """What a training job runs."""

    training_image: str = ""
    training_input_mode: InputMode = "File"
    metric_definitions: tuple[MetricDefinition, ...] = ()
    container_entrypoint: tuple[str, ...] = ()
    container_arguments: tuple[str, ...] = ()


class TrainingOutput(View, frozen=True):
    """Where the model goes."""

    s3_output_path: str
    compression_type: Literal["GZIP", "NONE"] = "GZIP"


class Checkpoints(View, frozen=True):
    """Where checkpoints are kept."""

    s3_uri: str
    local_path: str = "/opt/ml/checkpoints"


class TrainingRequest(View, frozen=True):
    """CreateTrainingJob."""

    algorithm_specification: Algorithm
    output_data_config: TrainingOutput
    resource_config: Cluster = Cluster()
    role_arn: str = ""
    hyper_parameters: dict[str, str] = {}
    input_data_config: tuple[Channel, ...] = ()
    stopping_condition: StoppingCondition = StoppingCondition()
    checkpoint_config: Checkpoints | None = None
    enable_network_isolation: bool = False
    environment: dict[str, str] = {}


class TransformInput(View, frozen=True):
    """What a transform job reads, and how it is cut into records."""

    data_source: DataSource
    content_type: str = ""
    compression_type: Compression = "None"
    split_type: Literal["None", "Line", "RecordIO", "TFRecord"] = "None"


class TransformOutput(View, frozen=True):
    """Where predictions go, and how they are put together."""

    s3_output_path: str
    accept: str = ""
    assemble_with: Literal["None", "Line"] = "None"


class DataProcessing(View, frozen=True):
    """Filters before and after the model, and whether inputs join their predictions."""

    input_filter: str = "$"
    output_filter: str = "$"
    join_source: Literal["Input", "None"] = "None"


class BatchCapture(View, frozen=True):
    """Where a transform job's manifests go, and whether its records of output get ids."""

    destination_s3_uri: str
    generate_inference_id: bool = False


class TransformRequest(View, frozen=True):
    """CreateTransformJob."""

    model_name: str
    transform_input: TransformInput
    transform_output: TransformOutput
    transform_resources: Cluster
    batch_strategy: Literal["MultiRecord", "SingleRecord"] = "MultiRecord"
    max_payload_in_mb: Annotated[int, Meta(ge=0, le=100)] = field(name="MaxPayloadInMB", default=6)
    max_concurrent_transforms: Annotated[int, Meta(ge=0)] = 1
    environment: dict[str, str] = {}
    data_processing: DataProcessing = DataProcessing()
    data_capture_config: BatchCapture | None = None


def processing(request: JsonObject) -> ProcessingRequest:
    """Read a CreateProcessingJob document; refuses what clary does not do."""
    view = build(ProcessingRequest, request)
    for index, one in enumerate(view.processing_inputs):
        place = f"ProcessingInputs.{index}"
        if one.s3_input is None:
            raise NotSupported(f"{place}: clary reads S3Input only, no DatasetDefinition")
        _refuse_input(f"{place}.S3Input", one.s3_input.s3_input_mode, one.s3_input.s3_data_type)
    for index, out in enumerate(view.processing_output_config.outputs):
        if out.s3_output is None and not out.app_managed:
            place = f"ProcessingOutputConfig.Outputs.{index}"
            raise NotSupported(
                f"{place}: it has no S3Output",
                hint="beside FeatureStoreOutput, S3Output says where the job leaves the rows",
            )
    _refuse_repeated("ProcessingInputs", [one.input_name for one in view.processing_inputs])
    outputs = view.processing_output_config.outputs
    _refuse_repeated("ProcessingOutputConfig.Outputs", [one.output_name for one in outputs])
    return view


def training(request: JsonObject) -> TrainingRequest:
    """Read a CreateTrainingJob document; refuses what clary does not do."""
    view = build(TrainingRequest, request)
    for index, channel in enumerate(view.input_data_config):
        place = f"InputDataConfig.{index}"
        source = channel.data_source.s3_data_source
        if source is None:
            raise NotSupported(f"{place}.DataSource: clary reads S3DataSource only")
        mode = channel.input_mode or view.algorithm_specification.training_input_mode
        _refuse_input(place, mode, source.s3_data_type)
        if channel.record_wrapper_type != "None":
            raise NotSupported(f"{place}.RecordWrapperType: clary wraps no records as RecordIO")
        if channel.channel_name in {".", ".."}:
            raise InvalidInput(f"{place}.ChannelName", f"{channel.channel_name!r} is no name")
    _refuse_repeated("InputDataConfig", [one.channel_name for one in view.input_data_config])
    if view.resource_config.instance_groups:
        raise NotSupported("ResourceConfig.InstanceGroups: clary has hosts of one kind only")
    if not view.algorithm_specification.training_image:
        raise NotSupported("AlgorithmSpecification: clary needs TrainingImage, no AlgorithmName")
    return view


def transform(request: JsonObject) -> TransformRequest:
    """Read a CreateTransformJob document; refuses what clary does not do."""
    view = build(TransformRequest, request)
    source = view.transform_input.data_source.s3_data_source
    if source is None:
        raise InvalidInput("TransformInput.DataSource", "S3DataSource is missing")
    _refuse_input("TransformInput", "File", source.s3_data_type)
    if view.transform_input.split_type not in {"None", "Line"}:
        raise NotSupported(
            f"TransformInput.SplitType: clary does not split by {view.transform_input.split_type}"
        )
    _check_records(view)
    held = view.max_concurrent_transforms * view.max_payload_in_mb
    if held > MOST_HELD_MB:
        problem = f"together with MaxPayloadInMB it makes {held} MB"
        raise InvalidInput("MaxConcurrentTransforms", problem, legal=f"at most {MOST_HELD_MB}")
    return view


def _check_records(view: TransformRequest) -> None:
    """Refuse what needs records where the input is not cut into any; JSON is one as a whole."""
    is_cut = view.transform_input.split_type == "Line"
    if is_cut or view.transform_input.content_type.partition(";")[0].strip() == _JSON:
        return
    if view.data_processing != DataProcessing():
        raise InvalidInput("DataProcessing", "filters and joins need records; set SplitType Line")
    if view.data_capture_config and view.data_capture_config.generate_inference_id:
        raise InvalidInput(
            "DataCaptureConfig.GenerateInferenceId", "ids need records; set SplitType Line"
        )


def _refuse_input(place: str, mode: str, data_type: str) -> None:
    if mode == "Pipe":
        raise NotSupported(f"{place}: clary has no Pipe input mode; use File or FastFile")
    if data_type not in {"S3Prefix", "ManifestFile"}:
        raise NotSupported(f"{place}.S3DataType: clary does not read {data_type}")


def _refuse_repeated(place: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(place, f"the name {twice[0]!r} is given twice")
