"""What drives scalable targets: looks at loads again and again, and changes instances."""

from __future__ import annotations

import secrets
from dataclasses import replace as replaced
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from clary.endpoints import body, scaling_requests
from clary.endpoints.loads import LONG_S
from clary.endpoints.scaling import policies, remove
from clary.endpoints.scaling_requests import ACTIVITY, TARGET, Activity, Policy, Target
from clary.endpoints.target_tracking import Bounds, Decision, Demand, decide
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from clary.endpoints.body import Variant
    from clary.endpoints.loads import Loads
    from clary.endpoints.service import Endpoints
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction

LOOK_S = 10.0
"""How often a target looks at its metrics."""
_KEPT = timedelta(days=42)
_ACTOR = "application-autoscaling"


class Autoscaler:
    """The worker's handler of scalable targets.

    Parameters
    ----------
    store
        Where they are.
    endpoints
        Changes the instances.
    loads
        What these have to do.
    """

    def __init__(self, store: MetadataStore, endpoints: Endpoints, loads: Loads) -> None:
        self._store = store
        self._endpoints = endpoints
        self._loads = loads

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Look at a target's metrics and change its variant's instances if that is due."""
        del stopping
        endpoint, name = scaling_requests.endpoint(resource.ref)
        found = self._store.get(endpoint)
        if found is None or found.status == "Deleting":
            with self._store.begin() as change:
                remove(self._store, resource.ref, change, actor=_ACTOR)
            return None
        at = now()
        held = body.read(found)
        variant = held.served.variant(name) if held.served else None
        if variant is not None and found.status == "InService":
            resource = self._settle(resource, held.reason, at)
            self._look(resource, variant, at)
        return at + timedelta(seconds=LOOK_S)

    def _look(self, resource: Resource, variant: Variant, at: datetime) -> None:
        target = build(Target, resource.body)
        found = [build(Policy, one.body) for one in policies(self._store, resource.ref)]
        if not found or variant.serverless:
            return
        where = scaling_requests.endpoint(resource.ref)
        demands = [self._demand(policy, variant.count, where, at) for policy in found]
        decision = decide(variant.count, demands, _bounds(target), at)
        if decision.cause:
            with self._store.begin() as change:
                self._scale(resource, variant, decision, change)

    def _demand(
        self, policy: Policy, capacity: int, where: tuple[Ref, str], at: datetime
    ) -> Demand:
        name, view = policy.request["PolicyName"], scaling_requests.tracking(policy.request)
        demand = self._loads.demand(name, view, capacity, where, at)
        if at - policy.since >= timedelta(seconds=LONG_S):
            return demand
        return replaced(demand, long=())  # too young to know that nothing is needed

    def _scale(
        self, resource: Resource, variant: Variant, decision: Decision, change: Transaction
    ) -> None:
        endpoint, name = scaling_requests.endpoint(resource.ref)
        at, before, count = now(), variant.count, decision.capacity
        wanted = {"VariantName": name, "DesiredInstanceCount": count}
        request = {"EndpointName": endpoint.name, "DesiredWeightsAndCapacities": [wanted]}
        self._endpoints.set_weights_and_capacities(
            endpoint, request, actor=_ACTOR, transaction=change
        )
        activity = resource.ref.sibling(ACTIVITY, secrets.token_hex(16))
        made = plain(Activity(count, before, decision.cause))
        change.insert(Resource(activity, made, at, at, "InProgress", resource.ref))
        target = replace(build(Target, resource.body), activity=activity.name)
        if count > before:
            target = replace(target, scaled_out_at=at)
        else:
            target = replace(target, scaled_in_at=at)
        change.update(replaced(resource, body=plain(target)))
        detail = {"from": before, "to": count, "cause": decision.cause}
        change.append(Event(at, _ACTOR, f"{TARGET}.scaled", resource.ref, detail))
        old = Query(ACTIVITY, parent=resource.ref, created_before=at - _KEPT, limit=1000)
        for one in self._store.select(old).items:
            change.delete(one.ref)

    def _settle(self, resource: Resource, broken: str, at: datetime) -> Resource:
        """End the activity that is under way: the endpoint is in service again."""
        target = build(Target, resource.body)
        if not target.activity:
            return resource
        ref = resource.ref.sibling(ACTIVITY, target.activity)
        with self._store.begin() as change:
            found = change.get(ref)
            if found is not None:
                held = build(Activity, found.body)
                message = broken or f"Successfully set desired instance count to {held.count}"
                ended = plain(replace(held, message=message, ended_at=at))
                status = "Failed" if broken else "Successful"
                change.update(replaced(found, status=status, body=ended))
            return change.update(replaced(resource, body=plain(replace(target, activity=""))))


def _bounds(target: Target) -> Bounds:
    return Bounds(
        target.least,
        target.most,
        may_scale_out=not target.suspended.dynamic_scaling_out_suspended,
        may_scale_in=not target.suspended.dynamic_scaling_in_suspended,
        scaled_out_at=target.scaled_out_at,
        scaled_in_at=target.scaled_in_at,
    )
