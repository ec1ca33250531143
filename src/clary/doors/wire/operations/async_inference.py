"""Inference requests that are answered in objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.endpoints.model import ENDPOINT
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject


def invoke_endpoint_async(call: Call) -> JsonObject:
    """Keep a request, to be answered later; says where the answer will be."""
    endpoint = Ref(call.account, call.region, ENDPOINT, call.params["EndpointName"])
    kept = call.platform.async_invocations.accept(endpoint, call.params, actor=call.actor)
    return {
        "InferenceId": kept.inference_id,
        "OutputLocation": kept.places.output or None,
        "FailureLocation": kept.places.failure or None,
    }
