"""What people want to know of an endpoint at a glance; numbers by variant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clary.endpoints import body
from clary.endpoints.meters import NAMESPACE
from clary.kernel.clock import now
from clary.metrics.model import Metric, Tally

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.metrics.service import Metrics

_PERIOD_S = 60


def variants(found: Resource, document: JsonObject) -> dict[str, JsonObject]:
    """Say of each variant what answers, with what share of the traffic, and how.

    Parameters
    ----------
    found
        The endpoint.
    document
        Its DescribeEndpoint document.
    """
    held = body.read(found)
    generation = held.served or held.pending
    listed = [
        *document.get("ProductionVariants", ()),
        *document.get("ShadowProductionVariants", ()),
    ]
    total = sum(one["CurrentWeight"] for one in document.get("ProductionVariants", ()))
    rows: dict[str, JsonObject] = {}
    for one in listed:
        known = generation.variant(one["VariantName"]) if generation else None
        if known is None:
            continue
        share = one["CurrentWeight"] / total if total and not known.shadow_of else 0.0
        rows[known.name] = {
            "variant": known.name,
            "model": known.model,
            "share": share,
            "weight": one["DesiredWeight"],
            "instances": one.get("CurrentInstanceCount"),
            "desired": one.get("DesiredInstanceCount"),
            "answers": known.choice,
            "shadow_of": known.shadow_of,
        }
    return rows


def measures(metrics: Metrics, endpoint: Ref, variant: str, *, minutes: int) -> JsonObject:
    """Count the requests and errors of a variant, and say how long its model took.

    Latencies are in milliseconds; None where there were no requests.
    """
    read = {
        name: _whole(metrics, endpoint, variant, name, minutes)
        for name in ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "ModelLatency")
    }
    latency = read["ModelLatency"]
    p50, p99 = latency.percentile(50), latency.percentile(99)
    return {
        "requests": int(read["Invocations"].total),
        "errors_4xx": int(read["Invocation4XXErrors"].total),
        "errors_5xx": int(read["Invocation5XXErrors"].total),
        "p50_ms": None if p50 is None else p50 / 1e3,
        "p99_ms": None if p99 is None else p99 / 1e3,
    }


def _whole(metrics: Metrics, endpoint: Ref, variant: str, name: str, minutes: int) -> Tally:
    where = (("EndpointName", endpoint.name), ("VariantName", variant))
    metric = Metric(endpoint.account, endpoint.region, NAMESPACE, name, where, "")
    end = now() + timedelta(seconds=_PERIOD_S)
    start = end - timedelta(minutes=minutes + 1)
    whole = Tally()
    periods = metrics.tallies(metric, start=start, end=end, period_s=_PERIOD_S)
    for by_unit in periods.values():
        for tally in by_unit.values():
            whole.merge(tally)
    return whole
