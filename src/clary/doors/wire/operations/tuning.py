"""Hyperparameter tuning jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.doors.wire.listing import answer, page_of, query, tags
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn, parse_name
from clary.tuning import documents
from clary.tuning.model import TUNING

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_NAME = "HyperParameterTuningJobName"
_PAGE = 10
_METRIC = "FinalHyperParameterTuningJobObjectiveMetric"
_SORTS = {
    "Name": "TrainingJobName",
    "CreationTime": "CreationTime",
    "Status": "TrainingJobStatus",
    "FinalObjectiveMetricValue": _METRIC,
}


def create_hyper_parameter_tuning_job(call: Call) -> JsonObject:
    """Start a tuning job."""
    ref = _ref(call)
    call.platform.tuning.create(ref, call.params, actor=call.actor, tags=tags(call))
    return {"HyperParameterTuningJobArn": arn(ref)}


def describe_hyper_parameter_tuning_job(call: Call) -> JsonObject:
    """Describe a tuning job and the best training job so far."""
    return call.platform.tuning.describe(_ref(call))


def list_hyper_parameter_tuning_jobs(call: Call) -> JsonObject:
    """List tuning jobs."""
    status = call.params.get("StatusEquals")
    asked = replace(query(call, TUNING), statuses=(status,) if status else ())
    page = call.platform.tuning.list(asked)
    return answer(
        "HyperParameterTuningJobSummaries", map(documents.summary, page.items), page.token
    )


def stop_hyper_parameter_tuning_job(call: Call) -> JsonObject:
    """Ask a tuning job and its training jobs to end."""
    call.platform.tuning.stop(_ref(call), actor=call.actor)
    return {}


def delete_hyper_parameter_tuning_job(call: Call) -> JsonObject:
    """Forget a tuning job that has ended; its training jobs stay."""
    call.platform.tuning.delete(_ref(call), actor=call.actor)
    return {}


def list_training_jobs_for_hyper_parameter_tuning_job(call: Call) -> JsonObject:
    """List the training jobs of a tuning job; by value, only those that have one."""
    word = call.params.get("SortBy", "Name")
    if word not in _SORTS:
        raise InvalidInput("SortBy", f"{word!r} is no order", legal=", ".join(_SORTS))
    member = _SORTS[word]
    status = call.params.get("StatusEquals")
    found = [
        one
        for one in call.platform.tuning.training_jobs(_ref(call))
        if member in one and status in {None, one["TrainingJobStatus"]}
    ]
    found.sort(
        key=lambda one: _sort_value(one[member]),
        reverse=call.params.get("SortOrder") == "Descending",
    )
    asked = replace(call, params={"MaxResults": _PAGE, **call.params})
    return page_of(asked, "TrainingJobSummaries", found)


def _sort_value(value: Any) -> Any:
    return value["Value"] if isinstance(value, dict) else value


def _ref(call: Call) -> Ref:
    return parse_name(
        call.params[_NAME], TUNING, account=call.account, region=call.region, field=_NAME
    )
