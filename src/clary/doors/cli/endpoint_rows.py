"""What commands show of endpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clary.endpoints import body
from clary.endpoints.captures import LOST
from clary.endpoints.meters import NAMESPACE
from clary.endpoints.summaries import measures
from clary.kernel.clock import now
from clary.metrics.model import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.endpoints.comparisons import ShadowResult
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.platform import Platform

_PERIOD_S = 60


def listed(platform: Platform, item: Resource) -> JsonObject:
    """Write an endpoint as a row."""
    served = body.read(item).served or body.read(item).pending
    names = [one.name for one in served.variants] if served else []
    counted = [measures(platform.metrics, item.ref, name, minutes=60) for name in names]
    return {
        "name": item.ref.name,
        "status": item.status,
        "variants": ", ".join(names),
        "requests/h": sum(one["requests"] for one in counted),
        "errors/h": sum(one["errors_4xx"] + one["errors_5xx"] for one in counted),
        "created": item.created_at,
    }


def shown(row: JsonObject) -> JsonObject:
    """Write a variant as the first columns of its row."""
    ready, desired = row["instances"], row["desired"]
    by_use = ready is None
    return {
        "variant": row["variant"],
        "model": row["model"],
        "traffic": f"shadows {row['shadow_of']}" if row["shadow_of"] else f"{row['share']:.0%}",
        "weight": row["weight"],
        "instances": "by use" if by_use else f"{ready} of {desired}",
        "answers": row["answers"],
    }


def measured(platform: Platform, endpoint: Ref, variant: str, minutes: int) -> JsonObject:
    """Write what a variant's requests came to as the other columns."""
    found = measures(platform.metrics, endpoint, variant, minutes=minutes)
    return {
        "requests": found["requests"],
        "4xx": found["errors_4xx"],
        "5xx": found["errors_5xx"],
        "p50 ms": found["p50_ms"],
        "p99 ms": found["p99_ms"],
    }


def rollout_state(found: Resource) -> JsonObject:
    """Say how far the rollout under way is, or why the last one was undone."""
    held = body.read(found)
    state: JsonObject = {}
    if held.deployment is not None:
        going = held.deployment
        state["rollout"] = f"{going.stage}, {going.share:.0%} of the traffic, step {going.step + 1}"
    if held.reason:
        state["last update failed" if held.served else "reason"] = held.reason
    return state


def capture_state(platform: Platform, found: Resource, minutes: int) -> JsonObject:
    """Say what is captured, where to, and how many requests were lost on the way."""
    wanted = body.read(found).capture
    if wanted is None:
        return {}
    lost = sum(
        _sum(platform, found.ref, one.name, minutes)
        for part in (body.read(found).served,)
        if part
        for one in part.variants
    )
    return {"capture": f"{wanted.percentage:g}% to {wanted.destination}", "captures lost": lost}


def shadow_rows(results: Sequence[ShadowResult]) -> list[dict[str, Any]]:
    """Write how shadows compare."""
    return [
        {
            "shadow": one.variant,
            "of": one.shadow_of,
            "requests": one.requests,
            "dropped": one.dropped,
            "errors": one.errors,
            "unlike": one.unlike,
            "agreement": None if one.agreement is None else f"{one.agreement:.2%}",
            "difference p99": one.difference.get("p99"),
            "p99 ms": one.latency_ms.get("p99"),
            "shadow p99 ms": one.shadow_latency_ms.get("p99"),
            "since": one.since,
        }
        for one in results
    ]


def _sum(platform: Platform, endpoint: Ref, variant: str, minutes: int) -> int:
    where = (("EndpointName", endpoint.name), ("VariantName", variant))
    metric = Metric(endpoint.account, endpoint.region, NAMESPACE, LOST, where, "")
    end = now() + timedelta(seconds=_PERIOD_S)
    start = end - timedelta(minutes=minutes + 1)
    points = platform.metrics.values(metric, "Sum", start=start, end=end, period_s=_PERIOD_S)
    return int(sum(points.values()))
