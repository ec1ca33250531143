"""Processing, training and transform jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query, tags
from clary.jobs import describe
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM
from clary.kernel.names import arn, parse_name

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject


def create_processing_job(call: Call) -> JsonObject:
    """Start a processing job."""
    return _create(call, PROCESSING)


def describe_processing_job(call: Call) -> JsonObject:
    """Describe a processing job."""
    return _describe(call, PROCESSING)


def list_processing_jobs(call: Call) -> JsonObject:
    """List processing jobs."""
    return _list(call, PROCESSING)


def stop_processing_job(call: Call) -> JsonObject:
    """Ask a processing job to end."""
    return _stop(call, PROCESSING)


def delete_processing_job(call: Call) -> JsonObject:
    """Forget a processing job that has ended."""
    return _delete(call, PROCESSING)


def create_training_job(call: Call) -> JsonObject:
    """Start a training job."""
    return _create(call, TRAINING)


def describe_training_job(call: Call) -> JsonObject:
    """Describe a training job."""
    return _describe(call, TRAINING)


def list_training_jobs(call: Call) -> JsonObject:
    """List training jobs; none has a warm pool or a training plan."""
    if call.params.keys() & {"WarmPoolStatusEquals", "TrainingPlanArnEquals"}:
        return answer("TrainingJobSummaries", (), "")
    return _list(call, TRAINING)


def stop_training_job(call: Call) -> JsonObject:
    """Ask a training job to end; what it has as a model is stored."""
    return _stop(call, TRAINING)


def delete_training_job(call: Call) -> JsonObject:
    """Forget a training job that has ended."""
    return _delete(call, TRAINING)


def create_transform_job(call: Call) -> JsonObject:
    """Start a transform job."""
    return _create(call, TRANSFORM)


def describe_transform_job(call: Call) -> JsonObject:
    """Describe a transform job."""
    return _describe(call, TRANSFORM)


def list_transform_jobs(call: Call) -> JsonObject:
    """List transform jobs."""
    return _list(call, TRANSFORM)


def stop_transform_job(call: Call) -> JsonObject:
    """Ask a transform job to end."""
    return _stop(call, TRANSFORM)


def _ref(call: Call, kind: str) -> Ref:
    member = f"{describe.prefix(kind)}Name"
    return parse_name(
        call.params[member], kind, account=call.account, region=call.region, field=member
    )


def _create(call: Call, kind: str) -> JsonObject:
    ref = _ref(call, kind)
    call.platform.jobs.create(ref, call.params, actor=call.actor, tags=tags(call))
    return {f"{describe.prefix(kind)}Arn": arn(ref)}


def _describe(call: Call, kind: str) -> JsonObject:
    return call.platform.jobs.describe(_ref(call, kind))


def _list(call: Call, kind: str) -> JsonObject:
    status = call.params.get("StatusEquals")
    # as documented: only transform jobs come newest first when no SortOrder is given
    asked = query(call, kind, descending=kind == TRANSFORM)
    asked = replace(asked, statuses=(status,) if status else ())
    page = call.platform.jobs.list(asked)
    items = map(describe.summary, page.items)
    return answer(f"{describe.prefix(kind)}Summaries", items, page.token)


def _stop(call: Call, kind: str) -> JsonObject:
    call.platform.jobs.stop(_ref(call, kind), actor=call.actor)
    return {}


def _delete(call: Call, kind: str) -> JsonObject:
    call.platform.jobs.delete(_ref(call, kind), actor=call.actor)
    return {}
