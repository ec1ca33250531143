"""Pipelines and their executions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, page_of, query, tags
from clary.kernel.errors import InvalidInput, NotSupported
from clary.kernel.names import Ref, arn, parse_name
from clary.pipelines import documents

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject

_NO_ALIASES = "{}: versions have no aliases here"


def create_pipeline(call: Call) -> JsonObject:
    """Make a pipeline."""
    _refuse_aliases(call)
    ref = _pipeline(call)
    call.platform.pipelines.create(ref, call.params, actor=call.actor, tags=tags(call))
    return {"PipelineArn": arn(ref)}


def update_pipeline(call: Call) -> JsonObject:
    """Change a pipeline; a definition becomes its next version."""
    _refuse_aliases(call)
    ref = _pipeline(call)
    changed = call.platform.pipelines.update(ref, call.params, actor=call.actor)
    return {"PipelineArn": arn(ref), "PipelineVersionId": changed.body["version"]}


def update_pipeline_version(call: Call) -> JsonObject:
    """Name or describe a version of a pipeline."""
    if call.params.get("PipelineVersionAliasOperations"):
        raise NotSupported(_NO_ALIASES.format("PipelineVersionAliasOperations"))
    ref = _pipeline(call, "PipelineArn")
    version = call.params["PipelineVersionId"]
    call.platform.pipelines.update_version(ref, version, call.params, actor=call.actor)
    return {"PipelineArn": arn(ref), "PipelineVersionId": version}


def delete_pipeline(call: Call) -> JsonObject:
    """Remove a pipeline with its executions."""
    ref = _pipeline(call)
    call.platform.pipelines.delete(ref, actor=call.actor)
    return {"PipelineArn": arn(ref)}


def describe_pipeline(call: Call) -> JsonObject:
    """Describe a pipeline, or an earlier version of it."""
    _refuse_aliases(call)
    version = call.params.get("PipelineVersionId", 0)
    return call.platform.pipelines.describe(_pipeline(call), version)


def list_pipelines(call: Call) -> JsonObject:
    """List pipelines; all are the customer's."""
    pipelines = call.platform.pipelines
    if call.params.get("ManagedBy") == "AWS":
        return answer("PipelineSummaries", (), "")
    page = pipelines.list(query(call, "pipeline"))
    items = (
        documents.pipeline_summary(found, pipelines.last_execution(found.ref))
        for found in page.items
    )
    return answer("PipelineSummaries", items, page.token)


def list_pipeline_versions(call: Call) -> JsonObject:
    """List a pipeline's versions."""
    pipelines = call.platform.pipelines
    ref = pipelines.get(_pipeline(call)).ref
    page = pipelines.list(query(call, "pipeline-version", parent=ref))
    items = map(documents.version_summary, page.items)
    return answer("PipelineVersionSummaries", items, page.token)


def start_pipeline_execution(call: Call) -> JsonObject:
    """Start an execution."""
    _refuse_aliases(call)
    made = call.platform.pipelines.start(_pipeline(call), call.params, actor=call.actor)
    return {"PipelineExecutionArn": arn(made.ref)}


def stop_pipeline_execution(call: Call) -> JsonObject:
    """Ask an execution to stop."""
    ref = _execution(call)
    call.platform.pipelines.stop(ref, actor=call.actor)
    return {"PipelineExecutionArn": arn(ref)}


def retry_pipeline_execution(call: Call) -> JsonObject:
    """Let an execution that failed or was stopped go on."""
    ref = _execution(call)
    call.platform.pipelines.retry(ref, call.params, actor=call.actor)
    return {"PipelineExecutionArn": arn(ref)}


def update_pipeline_execution(call: Call) -> JsonObject:
    """Change an execution's names or its parallelism."""
    ref = _execution(call)
    call.platform.pipelines.update_execution(ref, call.params, actor=call.actor)
    return {"PipelineExecutionArn": arn(ref)}


def describe_pipeline_execution(call: Call) -> JsonObject:
    """Describe an execution."""
    return call.platform.pipelines.describe_execution(_execution(call))


def describe_pipeline_definition_for_execution(call: Call) -> JsonObject:
    """Give the definition that an execution runs."""
    version = call.platform.pipelines.definition(_execution(call))
    definition = version.body["definition"]
    return {"PipelineDefinition": definition, "CreationTime": version.created_at}


def list_pipeline_executions(call: Call) -> JsonObject:
    """List a pipeline's executions."""
    _refuse_aliases(call)
    pipelines = call.platform.pipelines
    ref = pipelines.get(_pipeline(call)).ref
    asked = query(call, "pipeline-execution", parent=ref)
    if asked.sort_by == "name":  # in the order of the table's key, which its prefix is part of
        asked = replace(asked, parent=None, name_prefix=f"{ref.name}/")
    page = pipelines.list(asked)
    items = map(documents.execution_summary, page.items)
    return answer("PipelineExecutionSummaries", items, page.token)


def list_pipeline_execution_steps(call: Call) -> JsonObject:
    """List an execution's started steps, newest first."""
    pipelines = call.platform.pipelines
    ref = pipelines.get(_execution(call)).ref
    page = pipelines.list(query(call, "pipeline-step", parent=ref))
    return answer("PipelineExecutionSteps", map(documents.step, page.items), page.token)


def list_pipeline_parameters_for_execution(call: Call) -> JsonObject:
    """List the values of an execution's parameters, defaults included."""
    values = call.platform.pipelines.parameters(_execution(call))
    return page_of(call, "PipelineParameters", values)


def _pipeline(call: Call, field: str = "PipelineName") -> Ref:
    return parse_name(
        call.params[field], "pipeline", account=call.account, region=call.region, field=field
    )


def _execution(call: Call) -> Ref:
    text = call.params.get("PipelineExecutionArn")
    if text is None:
        raise InvalidInput("PipelineExecutionArn", "missing")
    return parse_name(
        text,
        "pipeline-execution",
        account=call.account,
        region=call.region,
        field="PipelineExecutionArn",
    )


def _refuse_aliases(call: Call) -> None:
    for member in ("PipelineVersionAlias", "PipelineVersionAliases"):
        if call.params.get(member):
            raise NotSupported(_NO_ALIASES.format(member), hint="use their numbers")
