"""The public documents of monitoring, read: job definitions of five formats as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import JsonObject
    from clary.monitoring.model import Type

Problem = Literal["", "BinaryClassification", "MulticlassClassification", "Regression"]
_PER_TYPE = ("BaselineConfig", "AppSpecification", "JobInput", "JobOutputConfig")


class View(Struct, frozen=True, rename="pascal"):
    """A read-only view of a public document; members it does not name are ignored."""


class Place(View, frozen=True):
    """An S3 URI in an object of its own."""

    s3_uri: str = ""


class Baseline(View, frozen=True):
    """What executions compare with."""

    baselining_job_name: str = ""
    constraints_resource: Place = Place()
    statistics_resource: Place = Place()


class App(View, frozen=True):
    """What jobs run; ``config_uri`` is a Clarify configuration."""

    image_uri: str
    config_uri: str = ""
    container_entrypoint: tuple[str, ...] = ()
    container_arguments: tuple[str, ...] = ()
    record_preprocessor_source_uri: str = ""
    post_analytics_processor_source_uri: str = ""
    problem_type: Problem = ""
    environment: dict[str, str] = {}


class CsvFormat(View, frozen=True):
    """CSV, with a header unless it says otherwise."""

    header: bool = False


class JsonFormat(View, frozen=True):
    """JSON, a document a line or one a file."""

    line: bool = False


class DatasetFormat(View, frozen=True):
    """How a batch's objects are written: one of these."""

    csv: CsvFormat | None = None
    json: JsonFormat | None = None
    parquet: dict[str, Any] | None = None

    @property
    def document(self) -> JsonObject:
        """As the environment of jobs has it."""
        if self.csv is not None:
            return {"csv": {"header": self.csv.header}}
        if self.json is not None:
            return {"json": {"lines": self.json.line}}
        return {"parquet": {}}


class Watched(View, frozen=True):
    """``EndpointInput`` or ``BatchTransformInput``: what is looked at, and where it goes."""

    local_path: str
    endpoint_name: str = ""
    data_captured_destination_s3_uri: str = ""
    dataset_format: DatasetFormat = DatasetFormat()
    s3_data_distribution_type: Literal["FullyReplicated", "ShardedByS3Key"] = "FullyReplicated"
    features_attribute: str = ""
    inference_attribute: str = ""
    probability_attribute: str = ""
    probability_threshold_attribute: float | None = None
    exclude_features_attribute: str = ""
    start_time_offset: str = ""
    end_time_offset: str = ""


class JobInput(View, frozen=True):
    """What is looked at, and the labels it is compared with."""

    endpoint_input: Watched | None = None
    batch_transform_input: Watched | None = None
    ground_truth_s3_input: Place = Place()


class S3Output(View, frozen=True):
    """Where reports go."""

    s3_uri: str
    local_path: str
    s3_upload_mode: Literal["Continuous", "EndOfJob"] = "Continuous"


class Output(View, frozen=True):
    """One output."""

    s3_output: S3Output


class OutputConfig(View, frozen=True):
    """The output: one."""

    monitoring_outputs: tuple[Output]
    kms_key_id: str = ""


class Definition(View, frozen=True):
    """A job definition of any type, members named alike.

    ``resources``, ``network`` and ``stopping`` stay as they were asked for.
    """

    app_specification: App
    job_input: JobInput
    job_output_config: OutputConfig
    job_resources: dict[str, Any]
    role_arn: str
    baseline_config: Baseline = Baseline()
    network_config: dict[str, Any] = {}
    stopping_condition: dict[str, Any] = {}

    @property
    def watched(self) -> Watched:
        """What is looked at."""
        found = self.job_input.endpoint_input or self.job_input.batch_transform_input
        if found is None:
            legal = "EndpointInput or BatchTransformInput"
            raise InvalidInput("JobInput", "names nothing to look at", legal=legal)
        return found

    @property
    def output(self) -> S3Output:
        """Where reports go."""
        return self.job_output_config.monitoring_outputs[0].s3_output


class Times(View, frozen=True):
    """When a schedule is due, and which stretch of time a run of it looks at."""

    schedule_expression: str
    data_analysis_start_time: str = ""
    data_analysis_end_time: str = ""


class ScheduleConfig(View, frozen=True):
    """``MonitoringScheduleConfig``."""

    schedule_config: Times | None = None
    monitoring_job_definition: dict[str, Any] | None = None
    monitoring_job_definition_name: str = ""
    monitoring_type: Literal["DataQuality", "ModelQuality", "ModelBias", "ModelExplainability"] = (
        "DataQuality"
    )


def definition(of: Type, request: Mapping[str, Any]) -> Definition:
    """Read a Create…JobDefinition request of a type.

    Raises
    ------
    InvalidInput
        A member is malformed, or there is nothing to look at; names it as the request does.
    """
    names = {f"{of}{name}": name for name in _PER_TYPE}
    found = _read({names.get(name, name): value for name, value in request.items()}, of)
    if of in {"ModelQuality", "ModelBias"} and not found.job_input.ground_truth_s3_input.s3_uri:
        raise InvalidInput(f"{of}JobInput.GroundTruthS3Input.S3Uri", "is missing")
    return found


def inline(request: Mapping[str, Any]) -> Definition:
    """Read the ``MonitoringJobDefinition`` that a schedule brings. Raises InvalidInput."""
    inputs = request.get("MonitoringInputs") or [{}]
    app = {**request.get("MonitoringAppSpecification", {})}
    app["Environment"] = request.get("Environment") or {}
    renamed = {
        "BaselineConfig": request.get("BaselineConfig") or {},
        "AppSpecification": app,
        "JobInput": inputs[0],
        "JobOutputConfig": request.get("MonitoringOutputConfig"),
        "JobResources": request.get("MonitoringResources"),
    }
    return _read({**request, **renamed}, "DataQuality")


def schedule(request: Mapping[str, Any]) -> ScheduleConfig:
    """Read the configuration of a schedule.

    Raises
    ------
    InvalidInput
        It brings no definition of a job, or two.
    """
    field = "MonitoringScheduleConfig"
    found = build(ScheduleConfig, request.get(field), field=field)
    named = bool(found.monitoring_job_definition_name)
    if named == (found.monitoring_job_definition is not None):
        legal = "MonitoringJobDefinitionName or MonitoringJobDefinition"
        raise InvalidInput(field, "needs exactly one definition of a job", legal=legal)
    return found


def _read(document: Mapping[str, Any], of: Type) -> Definition:
    try:
        found = build(Definition, document)
    except InvalidInput as error:
        first, _, rest = error.field.partition(".")
        place = ".".join(filter(None, (f"{of}{first}" if first in _PER_TYPE else first, rest)))
        raise InvalidInput(place, error.problem, legal=error.legal, hint=error.hint) from None
    sides = (found.job_input.endpoint_input, found.job_input.batch_transform_input)
    if (sides[0] is None) == (sides[1] is None):
        legal = "exactly one of EndpointInput and BatchTransformInput"
        raise InvalidInput(f"{of}JobInput", "names nothing or two things to look at", legal=legal)
    return found
