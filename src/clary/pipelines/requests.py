"""What the requests on pipelines carry, typed; the documents themselves are kept as they came."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Location(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a large definition lies."""

    bucket: str
    object_key: str
    version_id: str | None = None


class Parallelism(msgspec.Struct, frozen=True, rename="pascal"):
    """How many steps may run at once."""

    max_parallel_execution_steps: Annotated[int, msgspec.Meta(ge=1)]


class PipelineRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What CreatePipeline and UpdatePipeline carry."""

    pipeline_name: str
    role_arn: str | None = None
    pipeline_display_name: str | None = None
    pipeline_description: str | None = None
    pipeline_definition: str | None = None
    pipeline_definition_s3_location: Location | None = None
    parallelism_configuration: Parallelism | None = None
    client_request_token: str = ""


class ParameterValue(msgspec.Struct, frozen=True, rename="pascal"):
    """A parameter's value, as text."""

    name: str
    value: str


class SelectedStep(msgspec.Struct, frozen=True, rename="pascal"):
    """A step to run."""

    step_name: str


class Selection(msgspec.Struct, frozen=True, rename="pascal"):
    """The steps to run, and the execution whose results they read."""

    selected_steps: list[SelectedStep]
    source_pipeline_execution_arn: str | None = None


class VersionRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What UpdatePipelineVersion carries."""

    pipeline_version_display_name: str | None = None
    pipeline_version_description: str | None = None


class RetryRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What RetryPipelineExecution carries."""

    parallelism_configuration: Parallelism | None = None
    client_request_token: str = ""


class StartRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What StartPipelineExecution carries; UpdatePipelineExecution carries a part of it."""

    pipeline_parameters: list[ParameterValue] = []
    pipeline_execution_display_name: str | None = None
    pipeline_execution_description: str | None = None
    parallelism_configuration: Parallelism | None = None
    selective_execution_config: Selection | None = None
    pipeline_version_id: int | None = None
    role_arn: str | None = None
    client_request_token: str = ""
