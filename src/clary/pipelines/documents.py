"""The public documents of pipelines: what Describe and List answer, in SageMaker's words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from clary.kernel.names import arn

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource


def pipeline(found: Resource, version: Resource, last: Resource | None) -> JsonObject:
    """Write the DescribePipeline document; ``last`` is the newest execution."""
    return _without_empty(
        {
            **found.body["request"],
            "PipelineArn": arn(found.ref),
            "PipelineDefinition": version.body["definition"],
            "PipelineStatus": found.status,
            "CreationTime": found.created_at,
            "LastModifiedTime": found.modified_at,
            "LastRunTime": last and last.created_at,
            "CreatedBy": by(found.body["created_by"]),
            "LastModifiedBy": by(found.body["modified_by"]),
            "PipelineVersionDisplayName": version.body.get("display_name"),
            "PipelineVersionDescription": version.body.get("description"),
        }
    )


def pipeline_summary(found: Resource, last: Resource | None) -> JsonObject:
    """Write an element of ListPipelines."""
    request = found.body["request"]
    return _without_empty(
        {
            "PipelineArn": arn(found.ref),
            "PipelineName": found.ref.name,
            "PipelineDisplayName": request.get("PipelineDisplayName"),
            "PipelineDescription": request.get("PipelineDescription"),
            "RoleArn": request.get("RoleArn"),
            "CreationTime": found.created_at,
            "LastModifiedTime": found.modified_at,
            "LastExecutionTime": last and last.created_at,
        }
    )


def version_summary(found: Resource) -> JsonObject:
    """Write an element of ListPipelineVersions."""
    return _without_empty(
        {
            "PipelineArn": arn(found.ref.sibling("pipeline", found.ref.name)),
            "PipelineVersionId": found.ref.version,
            "CreationTime": found.created_at,
            "PipelineVersionDisplayName": found.body.get("display_name"),
            "PipelineVersionDescription": found.body.get("description"),
        }
    )


def execution(found: Resource) -> JsonObject:
    """Write the DescribePipelineExecution document."""
    body = found.body
    return _without_empty(
        {
            "PipelineArn": arn(found.ref.sibling("pipeline", found.ref.name.partition("/")[0])),
            "PipelineExecutionArn": arn(found.ref),
            "PipelineExecutionDisplayName": body["display_name"],
            "PipelineExecutionStatus": found.status,
            "PipelineExecutionDescription": body["description"],
            "PipelineExperimentConfig": body["experiment"],
            "FailureReason": body["reason"],
            "CreationTime": found.created_at,
            "LastModifiedTime": found.modified_at,
            "CreatedBy": by(body["actor"]),
            "LastModifiedBy": by(body["modified_by"]),
            "ParallelismConfiguration": body["parallelism"]
            and {"MaxParallelExecutionSteps": body["parallelism"]},
            "SelectiveExecutionConfig": _selection(found),
            "PipelineVersionId": body["version"],
            "RoleArn": body["role"],
        }
    )


def execution_summary(found: Resource) -> JsonObject:
    """Write an element of ListPipelineExecutions."""
    return _without_empty(
        {
            "PipelineExecutionArn": arn(found.ref),
            "StartTime": found.created_at,
            "PipelineExecutionStatus": found.status,
            "PipelineExecutionDescription": found.body["description"],
            "PipelineExecutionDisplayName": found.body["display_name"],
            "PipelineExecutionFailureReason": found.body["reason"],
        }
    )


def step(found: Resource) -> JsonObject:
    """Write an element of ListPipelineExecutionSteps."""
    body = found.body
    ended_at = body["ended_at"]
    return _without_empty(
        {
            "StepName": found.ref.name.rpartition("/")[2],
            "StepDisplayName": body["display_name"],
            "StepDescription": body["description"],
            "StartTime": found.created_at,
            "EndTime": ended_at and datetime.fromisoformat(ended_at),
            "StepStatus": found.status,
            "FailureReason": body["reason"],
            "Metadata": body["metadata"],
            "AttemptCount": body.get("attempt", 0) + 1,
            "CacheHitResult": _source(found, "cached_from"),
            "SelectiveExecutionResult": _source(found, "selected_from"),
        }
    )


def _source(step: Resource, member: str) -> JsonObject | None:
    name = step.body.get(member)
    if not name:
        return None
    return {"SourcePipelineExecutionArn": arn(step.ref.sibling("pipeline-execution", name))}


def _selection(found: Resource) -> JsonObject | None:
    selected = found.body.get("selected")
    if selected is None:
        return None
    document: JsonObject = {"SelectedSteps": [{"StepName": name} for name in selected["steps"]]}
    if selected["source"]:
        source = found.ref.sibling("pipeline-execution", selected["source"])
        document["SourcePipelineExecutionArn"] = arn(source)
    return document


def by(actor: str) -> JsonObject:
    """Write who did something as a UserContext."""
    return {"IamIdentity": {"Arn": actor}}


def _without_empty(document: JsonObject) -> JsonObject:
    return {key: value for key, value in document.items() if value not in (None, "", {})}
