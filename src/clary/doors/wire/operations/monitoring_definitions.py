"""Job definitions of monitoring, of four types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query, tags
from clary.kernel.names import arn, parse_name
from clary.monitoring import documents
from clary.monitoring.model import DEFINITIONS

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_NAME = "JobDefinitionName"
_DATA, _QUALITY = DEFINITIONS["DataQuality"], DEFINITIONS["ModelQuality"]
_BIAS, _EXPLAINED = DEFINITIONS["ModelBias"], DEFINITIONS["ModelExplainability"]


def create_data_quality_job_definition(call: Call) -> JsonObject:
    """Keep how data are monitored."""
    return _create(call, _DATA)


def describe_data_quality_job_definition(call: Call) -> JsonObject:
    """Describe how data are monitored."""
    return _describe(call, _DATA)


def list_data_quality_job_definitions(call: Call) -> JsonObject:
    """List definitions of data quality jobs."""
    return _list(call, _DATA)


def delete_data_quality_job_definition(call: Call) -> JsonObject:
    """Remove a definition of data quality jobs."""
    return _delete(call, _DATA)


def create_model_quality_job_definition(call: Call) -> JsonObject:
    """Keep how a model's quality is monitored."""
    return _create(call, _QUALITY)


def describe_model_quality_job_definition(call: Call) -> JsonObject:
    """Describe how a model's quality is monitored."""
    return _describe(call, _QUALITY)


def list_model_quality_job_definitions(call: Call) -> JsonObject:
    """List definitions of model quality jobs."""
    return _list(call, _QUALITY)


def delete_model_quality_job_definition(call: Call) -> JsonObject:
    """Remove a definition of model quality jobs."""
    return _delete(call, _QUALITY)


def create_model_bias_job_definition(call: Call) -> JsonObject:
    """Keep how a model's bias is monitored."""
    return _create(call, _BIAS)


def describe_model_bias_job_definition(call: Call) -> JsonObject:
    """Describe how a model's bias is monitored."""
    return _describe(call, _BIAS)


def list_model_bias_job_definitions(call: Call) -> JsonObject:
    """List definitions of bias jobs."""
    return _list(call, _BIAS)


def delete_model_bias_job_definition(call: Call) -> JsonObject:
    """Remove a definition of bias jobs."""
    return _delete(call, _BIAS)


def create_model_explainability_job_definition(call: Call) -> JsonObject:
    """Keep how a model's attributions are monitored."""
    return _create(call, _EXPLAINED)


def describe_model_explainability_job_definition(call: Call) -> JsonObject:
    """Describe how a model's attributions are monitored."""
    return _describe(call, _EXPLAINED)


def list_model_explainability_job_definitions(call: Call) -> JsonObject:
    """List definitions of explainability jobs."""
    return _list(call, _EXPLAINED)


def delete_model_explainability_job_definition(call: Call) -> JsonObject:
    """Remove a definition of explainability jobs."""
    return _delete(call, _EXPLAINED)


def _create(call: Call, kind: str) -> JsonObject:
    ref = _ref(call, kind)
    call.platform.monitoring.definitions.create(ref, call.params, actor=call.actor, tags=tags(call))
    return {"JobDefinitionArn": arn(ref)}


def _describe(call: Call, kind: str) -> JsonObject:
    return documents.definition(call.platform.monitoring.definitions.get(_ref(call, kind)))


def _list(call: Call, kind: str) -> JsonObject:
    endpoint = call.params.get("EndpointName")
    asked = query(call, kind, where={"endpoint": endpoint} if endpoint else None)
    page = call.platform.monitoring.definitions.list(asked)
    items = map(documents.definition_summary, page.items)
    return answer("JobDefinitionSummaries", items, page.token)


def _delete(call: Call, kind: str) -> JsonObject:
    call.platform.monitoring.definitions.delete(_ref(call, kind), actor=call.actor)
    return {}


def _ref(call: Call, kind: str) -> Ref:
    return parse_name(
        call.params[_NAME], kind, account=call.account, region=call.region, field=_NAME
    )
