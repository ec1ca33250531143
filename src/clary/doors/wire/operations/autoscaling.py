"""Application Auto Scaling, of endpoint variants."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, page_of
from clary.endpoints.scaling_requests import (
    ACTIVITY,
    DIMENSION,
    NAMESPACE,
    POLICY,
    TARGET,
    Activity,
    Policy,
    Target,
)
from clary.kernel.codec import build
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Page, Resource

_MOST = 50
_LINKED = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
_ROLE = f"{_LINKED}AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


def register_scalable_target(call: Call) -> JsonObject:
    """Have a variant scaled, or change how."""
    made = call.platform.scaling.register(
        _near(call), call.params, actor=call.actor, tags=call.params.get("Tags", {})
    )
    return {"ScalableTargetARN": _target_arn(made.ref)}


def deregister_scalable_target(call: Call) -> JsonObject:
    """Scale a variant no longer."""
    call.platform.scaling.deregister(_near(call), call.params, actor=call.actor)
    return {}


def describe_scalable_targets(call: Call) -> JsonObject:
    """List targets, all or those of some resources."""
    wanted = call.params.get("ResourceIds")
    if wanted is None:
        page = _select(call, TARGET)
        return answer("ScalableTargets", map(_target, page.items), page.token)
    refs = [_near(call).sibling(TARGET, name) for name in wanted]
    found = call.platform.store.get_all(refs) if _is_offered(call) else {}
    return page_of(call, "ScalableTargets", [_target(one) for one in found.values()])


def put_scaling_policy(call: Call) -> JsonObject:
    """Make a policy, or replace it."""
    made = call.platform.scaling.put_policy(_near(call), call.params, actor=call.actor)
    return {"PolicyARN": _policy_arn(made), "Alarms": []}


def delete_scaling_policy(call: Call) -> JsonObject:
    """Remove a policy."""
    call.platform.scaling.delete_policy(_near(call), call.params, actor=call.actor)
    return {}


def describe_scaling_policies(call: Call) -> JsonObject:
    """List policies, all or those of a resource, or some by name."""
    names = call.params.get("PolicyNames")
    page = _select(call, POLICY)
    found = [
        one for one in page.items if names is None or one.body["request"]["PolicyName"] in names
    ]
    return answer("ScalingPolicies", map(_policy, found), page.token)


def describe_scaling_activities(call: Call) -> JsonObject:
    """List what was scaled, the newest first."""
    page = _select(call, ACTIVITY)
    return answer("ScalingActivities", map(_activity, page.items), page.token)


def _near(call: Call) -> Ref:
    return Ref(call.account, call.region, TARGET, "-")


def _is_offered(call: Call) -> bool:
    """Say whether what a list asks for can exist; what clary does not scale is not there."""
    dimension = call.params.get("ScalableDimension", DIMENSION)
    return (call.params["ServiceNamespace"], dimension) == (NAMESPACE, DIMENSION)


def _select(call: Call, kind: str) -> Page:
    """List the targets, policies or activities, of one resource if it is named."""
    params = call.params
    resource = params.get("ResourceId")
    parent = _near(call).sibling(TARGET, resource) if resource else None
    is_recent = kind == ACTIVITY
    query = Query(
        kind if _is_offered(call) else "-",
        call.account,
        call.region,
        parent,
        sort_by="created" if is_recent else "name",
        descending=is_recent,
        limit=params.get("MaxResults", _MOST),
        token=params.get("NextToken", ""),
    )
    return call.platform.scaling.list(query)


def _of(target: Ref) -> JsonObject:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.name,
        "ScalableDimension": DIMENSION,
    }


def _target(found: Resource) -> JsonObject:
    target = build(Target, found.body)
    return {
        **_of(found.ref),
        "ScalableTargetARN": _target_arn(found.ref),
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "RoleARN": arn(found.ref.sibling("role", _ROLE)),
        "CreationTime": found.created_at,
        "SuspendedState": {
            "DynamicScalingInSuspended": target.suspended.dynamic_scaling_in_suspended,
            "DynamicScalingOutSuspended": target.suspended.dynamic_scaling_out_suspended,
            "ScheduledScalingSuspended": target.suspended.scheduled_scaling_suspended,
        },
    }


def _policy(found: Resource) -> JsonObject:
    request = build(Policy, found.body).request
    return {
        **request,
        "PolicyARN": _policy_arn(found),
        "Alarms": [],
        "CreationTime": found.created_at,
    }


def _activity(found: Resource) -> JsonObject:
    activity, target = build(Activity, found.body), found.parent
    if target is None:
        raise TypeError(f"{found.ref} belongs to no target")
    return {
        **_of(target),
        "ActivityId": found.ref.name,
        "Description": f"Setting desired instance count to {activity.count}.",
        "Cause": f"{activity.cause} asked for {activity.count} instead of {activity.before}",
        "StartTime": found.created_at,
        "EndTime": activity.ended_at,
        "StatusCode": found.status,
        "StatusMessage": activity.message,
    }


def _target_arn(target: Ref) -> str:
    return arn(target.sibling(TARGET, _id(target.name)))


def _policy_arn(policy: Resource) -> str:
    request = policy.body["request"]
    place = f"resource/{NAMESPACE}/{request['ResourceId']}"
    name = f"{_id(policy.ref.name)}:{place}:policyName/{request['PolicyName']}"
    return arn(policy.ref.sibling(POLICY, name))


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:34]
