"""Inference requests to endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.endpoints.invocations import Invocation
from clary.endpoints.model import ENDPOINT
from clary.kernel.errors import ModelFailed, Unavailable
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject


def invoke_endpoint(call: Call) -> JsonObject:
    """Answer a request by a model; what it streams is gathered first."""
    target, reply = call.platform.serving.invoke(_invocation(call))
    body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
    return {
        "Body": body,
        "ContentType": reply.content_type or None,
        "InvokedProductionVariant": target.variant,
        "CustomAttributes": reply.custom_attributes or None,
    }


def invoke_endpoint_with_response_stream(call: Call) -> JsonObject:
    """Answer a request by a model, piece by piece as it comes."""
    target, reply = call.platform.serving.invoke(_invocation(call))
    pieces = iter([reply.body]) if isinstance(reply.body, bytes) else reply.body
    return {
        "Body": _events(pieces),
        "ContentType": reply.content_type or None,
        "InvokedProductionVariant": target.variant,
        "CustomAttributes": reply.custom_attributes or None,
    }


def _events(pieces: Iterator[bytes]) -> Iterator[JsonObject]:
    try:
        for piece in pieces:
            yield {"PayloadPart": {"Bytes": piece}}
    except (ModelFailed, Unavailable) as error:
        late = isinstance(error, ModelFailed) and error.status == 504
        code = "ModelInvocationTimeExceeded" if late else "StreamBroken"
        yield {"ModelStreamError": {"Message": error.message, "ErrorCode": code}}


def _invocation(call: Call) -> Invocation:
    params = call.params
    return Invocation(
        Ref(call.account, call.region, ENDPOINT, params["EndpointName"]),
        params["Body"],
        content_type=params.get("ContentType", ""),
        accept=params.get("Accept", ""),
        variant=params.get("TargetVariant", ""),
        model=params.get("TargetModel", ""),
        container=params.get("TargetContainerHostname", ""),
        inference_id=params.get("InferenceId", ""),
        custom_attributes=params.get("CustomAttributes", ""),
        trace=call.trace,
    )
