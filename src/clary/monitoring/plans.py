"""The processing job of an execution, composed from its definition and what there is to look at."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.jobs.contract import join_uri
from clary.kernel.codec import digest, to_json
from clary.monitoring.windows import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.monitoring.model import Execution, Type
    from clary.monitoring.requests import Definition
    from clary.monitoring.windows import Window

_PROCESSING = "/opt/ml/processing"
_CONFIG = f"{_PROCESSING}/input/config"
_LABELS = f"{_PROCESSING}/input/groundtruth"
_CONSTRAINTS = f"{_PROCESSING}/baseline/constraints"
_STATISTICS = f"{_PROCESSING}/baseline/stats"
_PUBLISH = "publish_cloudwatch_metrics"
_METRICS = "/opt/ml/output/metrics/cloudwatch"
RESULT, METRICS = "result", "metrics"
"""Names of the outputs."""
VIOLATIONS = "constraint_violations.json"
ANALYSES: Mapping[Type, str] = {
    "DataQuality": "DATA_QUALITY",
    "ModelQuality": "MODEL_QUALITY",
    "ModelBias": "MODEL_BIAS",
    "ModelExplainability": "MODEL_EXPLAINABILITY",
}
_CAPTURES = {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an execution's job is made of.

    Parameters
    ----------
    ref
        The execution.
    execution, definition
        What it is to do.
    window
        The stretch of time it looks at.
    data, labels
        URIs of the manifests of what is looked at, and of labels.
    constraints, statistics
        URIs of the baseline's files; empty: there is none.
    """

    ref: Ref
    execution: Execution
    definition: Definition
    window: Window
    data: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    constraints: str = ""
    statistics: str = ""

    @property
    def job(self) -> Ref:
        """Name the job: the same whoever makes it."""
        at = self.execution.scheduled_at
        return self.ref.sibling(
            "processing-job", f"model-monitoring-{at:%Y%m%d%H%M}-{digest(self.ref.name)[:24]}"
        )

    @property
    def output(self) -> str:
        """Where the reports go: below the definition's output, by the scheduled time."""
        at, named = self.execution.scheduled_at, self.execution
        folder = f"{at:%Y/%m/%d/%H}"
        if at.second or at.microsecond:
            folder += f"/{at:%M-%S}-{at.microsecond // 1000:03d}"
        elif at.minute:
            folder += f"/{at:%M}"
        parts = [named.endpoint, named.schedule, folder]
        return join_uri(self.definition.output.s3_uri, *filter(None, parts))

    def request(self) -> JsonObject:
        """Write the CreateProcessingJob request."""
        definition = self.definition
        app = definition.app_specification
        specification: JsonObject = {"ImageUri": app.image_uri}
        if app.container_entrypoint:
            specification["ContainerEntrypoint"] = list(app.container_entrypoint)
        if app.container_arguments:
            specification["ContainerArguments"] = list(app.container_arguments)
        outputs: JsonObject = {"Outputs": list(self._outputs())}
        if definition.job_output_config.kms_key_id:
            outputs["KmsKeyId"] = definition.job_output_config.kms_key_id
        request: JsonObject = {
            "ProcessingJobName": self.job.name,
            "ProcessingInputs": list(self._inputs()),
            "ProcessingOutputConfig": outputs,
            "ProcessingResources": definition.job_resources,
            "AppSpecification": specification,
            "Environment": self._environment(),
            "RoleArn": definition.role_arn,
        }
        if definition.stopping_condition:
            request["StoppingCondition"] = definition.stopping_condition
        if definition.network_config:
            request["NetworkConfig"] = definition.network_config
        return request

    def _inputs(self) -> Iterator[JsonObject]:
        watched, app = self.definition.watched, self.definition.app_specification
        name = "endpoint_input" if watched.endpoint_name else "batch_transform_input"
        spread = watched.s3_data_distribution_type
        for number, uri in enumerate(self.data, start=1):
            yield _input(f"{name}_{number}", uri, watched.local_path, "ManifestFile", spread)
        for number, uri in enumerate(self.labels, start=1):
            yield _input(f"groundtruth_{number}", uri, _LABELS, "ManifestFile")
        yield from baseline_inputs(self.constraints, self.statistics)
        for name, uri, path in (
            ("analysis_config", app.config_uri, _CONFIG),
            ("pre_processor_script", app.record_preprocessor_source_uri, _script("pre")),
            ("post_processor_script", app.post_analytics_processor_source_uri, _script("post")),
        ):
            if uri:
                yield _input(name, uri, path)

    def _outputs(self) -> Iterator[JsonObject]:
        given = self.definition.output
        result = {
            "S3Uri": self.output,
            "LocalPath": given.local_path,
            "S3UploadMode": given.s3_upload_mode,
        }
        yield {"OutputName": RESULT, "S3Output": result}
        if self.publishes:
            metrics = {
                "S3Uri": join_uri(self.output, METRICS),
                "LocalPath": _METRICS,
                "S3UploadMode": "EndOfJob",
            }
            yield {"OutputName": METRICS, "S3Output": metrics}

    @property
    def publishes(self) -> bool:
        """Whether the job's metrics are wanted."""
        wanted = self.definition.app_specification.environment.get(_PUBLISH, "Enabled")
        return wanted == "Enabled"

    def _environment(self) -> dict[str, str]:
        definition, execution = self.definition, self.execution
        watched, app = definition.watched, definition.app_specification
        threshold = watched.probability_threshold_attribute
        live = bool(watched.endpoint_name)
        document = _CAPTURES if live else watched.dataset_format.document
        variables = {
            "analysis_type": ANALYSES[execution.type],
            "dataset_source": watched.local_path,
            "dataset_format": to_json(document).decode(),
            "monitoring_input_type": "ENDPOINT_INPUT" if live else "BATCH_TRANSFORM_INPUT",
            "ground_truth_source": _LABELS if self.labels else "",
            "output_path": definition.output.local_path,
            "start_time": text(self.window.start),
            "end_time": text(self.window.end),
            "metric_time": text(self.window.start),
            **baseline_variables(self.constraints, self.statistics),
            "problem_type": app.problem_type,
            "features_attribute": watched.features_attribute,
            "inference_attribute": watched.inference_attribute,
            "probability_attribute": watched.probability_attribute,
            "probability_threshold_attribute": "" if threshold is None else repr(threshold),
            "exclude_features_attribute": watched.exclude_features_attribute,
            "record_preprocessor_script": _file(_script("pre"), app.record_preprocessor_source_uri),
            "post_analytics_processor_script": _file(
                _script("post"), app.post_analytics_processor_source_uri
            ),
            "sagemaker_endpoint_name": execution.endpoint,
            "sagemaker_monitoring_schedule_name": execution.schedule,
        }
        told = {name: value for name, value in variables.items() if value}
        return {_PUBLISH: "Enabled", **app.environment, **told}


def baseline_inputs(constraints: str, statistics: str) -> Iterator[JsonObject]:
    """Mount the files of a baseline; empty URIs stand for none."""
    if constraints:
        yield _input("constraints", constraints, _CONSTRAINTS)
    if statistics:
        yield _input("baseline", statistics, _STATISTICS)


def baseline_variables(constraints: str, statistics: str) -> dict[str, str]:
    """Say where the files of a baseline are mounted; empty where there are none."""
    return {
        "baseline_constraints": _file(_CONSTRAINTS, constraints),
        "baseline_statistics": _file(_STATISTICS, statistics),
    }


def _script(side: str) -> str:
    return f"{_PROCESSING}/code/{side}processing"


def _file(folder: str, uri: str) -> str:
    return f"{folder}/{posixpath.basename(uri)}" if uri else ""


def _input(
    name: str, uri: str, path: str, kind: str = "S3Prefix", spread: str = "FullyReplicated"
) -> dict[str, Any]:
    given = {
        "S3Uri": uri,
        "LocalPath": path,
        "S3DataType": kind,
        "S3InputMode": "File",
        "S3DataDistributionType": spread,
        "S3CompressionType": "None",
    }
    return {"InputName": name, "S3Input": given}
