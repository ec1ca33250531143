"""From an endpoint configuration to the generation that a deployment brings into service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from clary.endpoints import requests
from clary.endpoints.async_requests import LIMITS
from clary.endpoints.body import Endpoint, Generation, Variant
from clary.endpoints.guardrails import plan
from clary.endpoints.model import Serverless
from clary.endpoints.rollouts import Deployment

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from clary.endpoints.requests import ConfigRequest, UpdateRequest, VariantRequest
    from clary.kernel.ports import JsonObject

COUNT, WEIGHT, CAPTURE = "DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"


def generation(document: JsonObject, uid: str, number: int) -> Generation:
    """Say what an endpoint becomes by a CreateEndpointConfig document.

    Parameters
    ----------
    document
        As it was kept.
    uid, number
        Of the endpoint and its deployment; they name the fleets.
    """
    view = requests.config(document)
    shadowed = view.production_variants[0].variant_name
    prefix = f"{uid}-{number}-"
    served = [_variant(one, view, prefix, "") for one in view.production_variants]
    shadows = [_variant(one, view, prefix, shadowed) for one in view.shadow_production_variants]
    return Generation(
        view.endpoint_config_name,
        document,
        (*served, *shadows),
        requests.capture(view.data_capture_config),
    )


def retained(new: Generation, old: Generation, update: UpdateRequest) -> Generation:
    """Keep what the variants have now, where an update says so."""
    if not update.retain_all_variant_properties:
        return new
    excluded = {one.variant_property_type for one in update.exclude_retained_variant_properties}
    variants = tuple(_keeping(one, old.variant(one.name), excluded) for one in new.variants)
    if CAPTURE in excluded:
        return replace(new, variants=variants)
    document = {name: value for name, value in new.document.items() if name != CAPTURE}
    document |= {CAPTURE: old.document[CAPTURE]} if CAPTURE in old.document else {}
    return replace(new, variants=variants, capture=old.capture, document=document)


def renamed(one: Generation, uid: str, number: int) -> Generation:
    """Give a generation other fleets, and leave all else as it is."""
    variants = (replace(each, fleet=f"{uid}-{number}-{each.name}") for each in one.variants)
    return replace(one, variants=tuple(variants))


def deploy(
    endpoint: Endpoint, new: Generation, policy: JsonObject | None, at: datetime
) -> Endpoint:
    """Begin to bring a generation into service.

    Raises
    ------
    InvalidInput
        The policy does not fit; names the member.
    """
    number = endpoint.generation + 1
    counts = dict(new.counts)
    if endpoint.served is not None:
        counts |= endpoint.served.counts
    started = Deployment(
        uid=f"{endpoint.uid}-{number}",
        config=new.config,
        generation=number,
        started_at=at,
        since=at,
        new=new.routes,
        old=endpoint.routes,
        counts=counts,
        policy=policy,
    )
    plan(policy, sum(one.count or 1 for one in new.variants))
    return replace(
        endpoint,
        generation=number,
        pending=new,
        deployment=started,
        reason="",
    )


def _variant(asked: VariantRequest, config: ConfigRequest, prefix: str, shadow_of: str) -> Variant:
    return Variant(
        name=asked.variant_name,
        model=asked.model_name,
        fleet=f"{prefix}{asked.variant_name}",
        weight=asked.initial_variant_weight,
        count=asked.initial_instance_count or 0,
        instance_type=asked.instance_type,
        serverless=_serverless(asked),
        shadow_of=shadow_of,
        startup_s=float(asked.container_startup_health_check_timeout_in_seconds or 300),
        network=not config.enable_network_isolation,
        limits=LIMITS if config.async_inference_config else {},
    )


def _serverless(asked: VariantRequest) -> Serverless | None:
    given = asked.serverless_config
    if given is None:
        return None
    provisioned = given.provisioned_concurrency or 0
    return Serverless(given.max_concurrency, given.memory_size_in_mb, provisioned)


def _keeping(new: Variant, old: Variant | None, excluded: Collection[str]) -> Variant:
    if old is None:
        return new
    if WEIGHT not in excluded:
        new = replace(new, weight=old.weight)
    both_counted = new.serverless is None and old.serverless is None
    if COUNT not in excluded and both_counted:
        new = replace(new, count=old.count)
    return new
