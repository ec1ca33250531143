"""Endpoints and endpoint configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query, tags
from clary.endpoints import documents
from clary.endpoints.model import CONFIG, ENDPOINT
from clary.kernel.names import arn, parse_name

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_CONFIG_NAME, _NAME = "EndpointConfigName", "EndpointName"


def create_endpoint_config(call: Call) -> JsonObject:
    """Keep what an endpoint is to serve, and how."""
    ref = _ref(call, CONFIG, _CONFIG_NAME)
    call.platform.endpoints.create_config(ref, call.params, actor=call.actor, tags=tags(call))
    return {"EndpointConfigArn": arn(ref)}


def describe_endpoint_config(call: Call) -> JsonObject:
    """Describe a configuration."""
    return call.platform.endpoints.describe_config(_ref(call, CONFIG, _CONFIG_NAME))


def list_endpoint_configs(call: Call) -> JsonObject:
    """List configurations."""
    page = call.platform.endpoints.list(query(call, CONFIG))
    return answer("EndpointConfigs", map(documents.config_summary, page.items), page.token)


def delete_endpoint_config(call: Call) -> JsonObject:
    """Remove a configuration; endpoints made from it go on."""
    call.platform.endpoints.delete_config(_ref(call, CONFIG, _CONFIG_NAME), actor=call.actor)
    return {}


def create_endpoint(call: Call) -> JsonObject:
    """Bring a configuration into service."""
    ref = _ref(call, ENDPOINT, _NAME)
    call.platform.endpoints.create(ref, call.params, actor=call.actor, tags=tags(call))
    return {"EndpointArn": arn(ref)}


def describe_endpoint(call: Call) -> JsonObject:
    """Describe an endpoint: its status, variants, and what is being deployed.

    Who is told that it is in service has the next request answered by what was described.
    """
    ref = _ref(call, ENDPOINT, _NAME)
    described = call.platform.endpoints.describe(ref)
    call.platform.serving.refresh(ref)
    return described


def list_endpoints(call: Call) -> JsonObject:
    """List endpoints."""
    status = call.params.get("StatusEquals")
    asked = replace(query(call, ENDPOINT), statuses=(status,) if status else ())
    page = call.platform.endpoints.list(asked)
    return answer("Endpoints", map(documents.summary, page.items), page.token)


def update_endpoint(call: Call) -> JsonObject:
    """Serve another configuration, without a pause."""
    ref = _ref(call, ENDPOINT, _NAME)
    call.platform.endpoints.update(ref, call.params, actor=call.actor)
    return {"EndpointArn": arn(ref)}


def update_endpoint_weights_and_capacities(call: Call) -> JsonObject:
    """Change the weights and numbers of instances of variants."""
    ref = _ref(call, ENDPOINT, _NAME)
    call.platform.endpoints.set_weights_and_capacities(ref, call.params, actor=call.actor)
    return {"EndpointArn": arn(ref)}


def delete_endpoint(call: Call) -> JsonObject:
    """Take an endpoint out of service."""
    call.platform.endpoints.delete(_ref(call, ENDPOINT, _NAME), actor=call.actor)
    return {}


def _ref(call: Call, kind: str, member: str) -> Ref:
    return parse_name(
        call.params[member], kind, account=call.account, region=call.region, field=member
    )
