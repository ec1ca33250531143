"""The public documents of endpoints: what Describe and List answer, in SageMaker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.endpoints import body
from clary.kernel.names import arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.endpoints.body import Endpoint, Generation, Variant
    from clary.endpoints.fleets import FleetState
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

    States = Mapping[str, FleetState]

LONGEST_REASON = 1024
_ACTIVITY = {"Baking": "Baking", "Terminating": "Baking"}


def config(found: Resource) -> JsonObject:
    """Write the DescribeEndpointConfig document."""
    request = found.body["request"]
    filled = {
        member: [{"InitialVariantWeight": 1.0, **one} for one in request[member]]
        for member in ("ProductionVariants", "ShadowProductionVariants")
        if request.get(member)
    }
    return {
        "EnableNetworkIsolation": False,
        **request,
        **filled,
        "EndpointConfigArn": arn(found.ref),
        "CreationTime": found.created_at,
    }


def config_summary(found: Resource) -> JsonObject:
    """Write an element of ListEndpointConfigs."""
    return {
        "EndpointConfigName": found.ref.name,
        "EndpointConfigArn": arn(found.ref),
        "CreationTime": found.created_at,
    }


def summary(found: Resource) -> JsonObject:
    """Write an element of ListEndpoints."""
    return {
        "EndpointName": found.ref.name,
        "EndpointArn": arn(found.ref),
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "EndpointStatus": found.status,
    }


def endpoint(found: Resource, states: States) -> JsonObject:
    """Write the DescribeEndpoint document.

    Parameters
    ----------
    found
        The endpoint.
    states
        How its fleets are, by name, as far as there are any.
    """
    held = body.read(found)
    document: JsonObject = {
        **summary(found),
        "EndpointConfigName": held.config,
        **_variants(held, held.served or held.pending, states),
        **_capture(held),
    }
    served = held.served or held.pending
    for member in ("AsyncInferenceConfig", "MetricsConfig"):
        if served and member in served.document:
            document[member] = served.document[member]
    if held.reason:
        document["FailureReason"] = held.reason[:LONGEST_REASON]
    if held.policy:
        document["LastDeploymentConfig"] = held.policy
    if held.deployment and held.pending and held.served:
        document["PendingDeploymentSummary"] = {
            "EndpointConfigName": held.pending.config,
            "StartTime": held.deployment.started_at,
            **_variants(held, held.pending, states),
        }
    return document


def _variants(held: Endpoint, of: Generation | None, states: States) -> JsonObject:
    if of is None:
        return {}
    total = sum(route.weight for route in held.routes if route.shadow is None)
    whole = sum(one.weight for one in of.variants if not one.shadow_of)
    weights = {
        route.fleet: route.weight * (whole / total if total else 1.0) for route in held.routes
    }
    lists: dict[str, list[JsonObject]] = {}
    for one in of.variants:
        member = "ShadowProductionVariants" if one.shadow_of else "ProductionVariants"
        current = one.weight if one.shadow_of else weights.get(one.fleet, 0.0)
        lists.setdefault(member, []).append(_variant(held, of, one, current, states))
    return dict(lists)


def _variant(
    held: Endpoint, of: Generation, one: Variant, current: float, states: States
) -> JsonObject:
    state = states.get(one.fleet)
    document: JsonObject = {
        "VariantName": one.name,
        "DeployedImages": [
            {"SpecifiedImage": stage.image, "ResolvedImage": stage.image} for stage in one.stages
        ],
        "CurrentWeight": round(current, 9),
        "DesiredWeight": one.weight,
    }
    if one.serverless:
        document |= {
            "CurrentServerlessConfig": _serverless(one),
            "DesiredServerlessConfig": _serverless(one),
        }
    else:
        document |= {
            "CurrentInstanceCount": state.ready if state else 0,
            "DesiredInstanceCount": one.count,
        }
    if of is held.pending and held.deployment is not None:
        document["VariantStatus"] = [_activity(held)]
    return document


def _activity(held: Endpoint) -> JsonObject:
    going = held.deployment
    if going is None:
        raise TypeError("nothing is being deployed")
    status = "Deleting" if going.stage == "RollingBack" else _ACTIVITY.get(going.stage, "Creating")
    message = going.reason or f"{going.share:.0%} of the traffic; step {going.step + 1}"
    return {"Status": status, "StatusMessage": message[:1024], "StartTime": going.since}


def _serverless(one: Variant) -> JsonObject:
    asked = one.serverless
    if asked is None:
        raise TypeError(f"{one.name} has instances")
    document: dict[str, Any] = {
        "MemorySizeInMB": asked.memory_mib,
        "MaxConcurrency": asked.max_concurrency,
    }
    if asked.provisioned:
        document["ProvisionedConcurrency"] = asked.provisioned
    return document


def _capture(held: Endpoint) -> JsonObject:
    served = held.served or held.pending
    asked = served.document.get("DataCaptureConfig") if served else None
    if asked is None:
        return {}
    is_on = asked.get("EnableCapture", True)
    return {
        "DataCaptureConfig": {
            "EnableCapture": is_on,
            "CaptureStatus": "Started" if held.capture else "Stopped",
            "CurrentSamplingPercentage": asked["InitialSamplingPercentage"],
            "DestinationS3Uri": asked["DestinationS3Uri"],
            "KmsKeyId": asked.get("KmsKeyId", ""),
        }
    }
