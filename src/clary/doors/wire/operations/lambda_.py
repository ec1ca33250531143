"""Functions and their invocations."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from clary.doors.wire.errors import WireError
from clary.doors.wire.listing import answer
from clary.doors.wire.waiting import CALLERS
from clary.functions import documents
from clary.functions.invocations import RETRIES
from clary.functions.model import FUNCTION, LARGEST_PAYLOAD, LATEST, Asked, parse_function
from clary.kernel.codec import from_json, plain, to_json
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource


def create_function(call: Call) -> JsonObject:
    """Make a function."""
    _refuse_versions(call)
    made = call.platform.functions.create(
        _function(call), call.params, actor=call.actor, tags=call.params.get("Tags")
    )
    return documents.configuration(made)


def get_function(call: Call) -> JsonObject:
    """Describe a function and say where its code is."""
    found = _found(call)
    return {
        "Configuration": documents.configuration(found),
        "Code": documents.location(found),
        "Tags": dict(call.platform.functions.tags(found.ref)),
    }


def get_function_configuration(call: Call) -> JsonObject:
    """Describe a function."""
    return documents.configuration(_found(call))


def list_functions(call: Call) -> JsonObject:
    """List functions by name."""
    query = Query(
        FUNCTION,
        call.account,
        call.region,
        sort_by="name",
        descending=False,
        limit=min(call.params.get("MaxItems", 50), 50),
        token=call.params.get("Marker", ""),
    )
    page = call.platform.functions.list(query)
    found = answer("Functions", map(documents.configuration, page.items), "")
    return {**found, "NextMarker": page.token or None}


def update_function_code(call: Call) -> JsonObject:
    """Give a function other code."""
    _refuse_versions(call)
    ref = _function(call)
    if call.params.get("DryRun"):
        return documents.configuration(_found(call))
    changed = call.platform.functions.update_code(ref, call.params, actor=call.actor)
    return documents.configuration(changed)


def update_function_configuration(call: Call) -> JsonObject:
    """Change how a function runs."""
    changed = call.platform.functions.update_configuration(
        _function(call), call.params, actor=call.actor
    )
    return documents.configuration(changed)


def delete_function(call: Call) -> JsonObject:
    """Remove a function."""
    call.platform.functions.delete(_function(call), actor=call.actor)
    return {}


def list_tags(call: Call) -> JsonObject:
    """List a function's tags."""
    return {"Tags": dict(call.platform.functions.tags(_resource(call)))}


def tag_resource(call: Call) -> JsonObject:
    """Set a function's tags."""
    call.platform.functions.tag(_resource(call), call.params["Tags"], actor=call.actor)
    return {}


def untag_resource(call: Call) -> JsonObject:
    """Remove tags of a function."""
    gone = dict.fromkeys(call.params["TagKeys"])
    call.platform.functions.tag(_resource(call), gone, actor=call.actor)
    return {}


def invoke(call: Call) -> JsonObject:
    """Call a function: and wait for what it returns, or not, or only ask whether one could."""
    params = call.params
    ref = _found(call).ref
    payload = b"".join(_pieces(params.get("Payload", b"")))
    kind = params.get("InvocationType", "RequestResponse")
    if kind == "DryRun":
        return {"StatusCode": 204}
    again = RETRIES if kind == "Event" else 0
    asked = Asked(payload, call.actor, again=again, context=_context(params.get("ClientContext")))
    invocations = call.platform.invocations
    if kind == "Event":
        invocations.start(ref, asked)
        return {"StatusCode": 202}
    with CALLERS.take() as seated:
        if not seated:
            raise WireError("TooManyRequestsException", "Too many callers wait for functions", 429)
        started = invocations.start(ref, asked)
        done = invocations.finish(started)
    found: JsonObject = {"StatusCode": 200, "ExecutedVersion": LATEST}
    if params.get("LogType") == "Tail":
        found["LogResult"] = base64.b64encode(invocations.tail(started, done)).decode()
    if done.failure is not None:
        return {**found, "FunctionError": "Unhandled", "Payload": to_json(plain(done.failure))}
    return {**found, "Payload": done.result.encode()}


def _pieces(payload: Any) -> list[bytes]:
    if isinstance(payload, bytes):
        return [payload]
    held: list[bytes] = []
    for piece in payload:
        held.append(piece)
        if sum(map(len, held)) > LARGEST_PAYLOAD:
            raise LimitExceeded(f"the payload is over {LARGEST_PAYLOAD} bytes")
    return held


def _context(text: str | None) -> JsonObject:
    if text is None:
        return {}
    try:
        document = from_json(base64.b64decode(text, validate=True), field="ClientContext")
    except binascii.Error:
        raise InvalidInput("ClientContext", "is not base64") from None
    if not isinstance(document, dict):
        raise InvalidInput("ClientContext", "is no object")
    return document


def _function(call: Call) -> Ref:
    qualifier = call.params.get("Qualifier", LATEST)
    name = call.params["FunctionName"]
    whole = name if qualifier == LATEST else f"{name}:{qualifier}"
    return parse_function(whole, account=call.account, region=call.region)


def _found(call: Call) -> Resource:
    return call.platform.functions.get(_function(call))


def _resource(call: Call) -> Ref:
    ref = parse_arn(call.params["Resource"], field="Resource")
    if ref.kind != FUNCTION:
        raise InvalidInput("Resource", f"{call.params['Resource']!r} is no function")
    return parse_function(call.params["Resource"], account=call.account, region=call.region)


def _refuse_versions(call: Call) -> None:
    if call.params.get("Publish"):
        raise NotSupported("Publish: functions have no versions here")
