"""Inference experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.doors.wire.listing import answer, query, tags
from clary.endpoints.model import ENDPOINT
from clary.endpoints.shadow_requests import experiment
from clary.endpoints.shadow_tests import ENDED, EXPERIMENT, Experiment
from clary.kernel.codec import build
from clary.kernel.errors import NotFound
from clary.kernel.names import Ref, arn

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_SHADOW_STATUS = {
    "Created": "Creating",
    "Starting": "Creating",
    "Running": "InService",
    "Stopping": "Deleting",
}


def create_inference_experiment(call: Call) -> JsonObject:
    """Make an experiment."""
    call.platform.shadow_tests.create(_ref(call), call.params, actor=call.actor, tags=tags(call))
    return _named(call)


def describe_inference_experiment(call: Call) -> JsonObject:
    """Describe an experiment."""
    found = call.platform.shadow_tests.get(_ref(call))
    held = build(Experiment, found.body)
    view = experiment(held.request)
    shadow = view.shadow.shadow_model_variant_name
    variants = [
        {**one, "Status": _status(found.status, is_shadow=one["VariantName"] == shadow)}
        for one in held.request["ModelVariants"]
    ]
    return {
        **{k: v for k, v in held.request.items() if k != "EndpointName"},
        **_times(found, held),
        "Arn": arn(found.ref),
        "ModelVariants": variants,
        "EndpointMetadata": _endpoint(call, view.endpoint_name),
    }


def list_inference_experiments(call: Call) -> JsonObject:
    """List experiments."""
    status = call.params.get("StatusEquals")
    asked = replace(query(call, EXPERIMENT), statuses=[status] if status else ())
    page = call.platform.shadow_tests.list(asked)
    return answer("InferenceExperiments", map(_summary, page.items), page.token)


def start_inference_experiment(call: Call) -> JsonObject:
    """Begin an experiment before its time."""
    call.platform.shadow_tests.start(_ref(call))
    return _named(call)


def stop_inference_experiment(call: Call) -> JsonObject:
    """End an experiment, and say what stays."""
    call.platform.shadow_tests.stop(_ref(call), call.params)
    return _named(call)


def delete_inference_experiment(call: Call) -> JsonObject:
    """Remove an experiment that is over."""
    call.platform.shadow_tests.delete(_ref(call), actor=call.actor)
    return _named(call)


def _ref(call: Call) -> Ref:
    return Ref(call.account, call.region, EXPERIMENT, call.params["Name"])


def _named(call: Call) -> JsonObject:
    return {"InferenceExperimentArn": arn(_ref(call))}


def _summary(found: Resource) -> JsonObject:
    held = build(Experiment, found.body)
    request = held.request
    kept = {k: v for k, v in request.items() if k in {"Type", "Description", "RoleArn"}}
    return {"Name": found.ref.name, **kept, **_times(found, held)}


def _times(found: Resource, held: Experiment) -> JsonObject:
    schedule = experiment(held.request).schedule
    document: dict[str, Any] = {
        "Status": found.status,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "CompletionTime": held.ended_at,
        "Schedule": {"StartTime": schedule.start_time, "EndTime": schedule.end_time},
    }
    return document | ({"StatusReason": held.reason} if held.reason else {})


def _status(status: str, *, is_shadow: bool) -> str:
    if not is_shadow:
        return "InService"
    return "Deleted" if status in ENDED else _SHADOW_STATUS[status]


def _endpoint(call: Call, name: str) -> JsonObject:
    try:
        found = call.platform.endpoints.describe(Ref(call.account, call.region, ENDPOINT, name))
    except NotFound:
        return {"EndpointName": name}
    members = ("EndpointName", "EndpointConfigName", "EndpointStatus", "FailureReason")
    return {member: found[member] for member in members if member in found}
