"""The durable state machine of an endpoint: each step is one transaction, decided from data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from clary.endpoints import body, containers, rollouts, shadows
from clary.endpoints.model import ENDPOINT, FLEET
from clary.endpoints.viewed import VIEW_VARIABLE, view_of
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, InvalidInput, NotFound, Unavailable
from clary.kernel.resource import Event, Link, Query

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from datetime import datetime

    from clary.endpoints.body import Endpoint, Variant
    from clary.endpoints.compilations import Compilations
    from clary.endpoints.fleets import Fleets, FleetState
    from clary.endpoints.model import Route
    from clary.endpoints.rollouts import Change, Deployment
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.kernel.resource import Resource
    from clary.metrics.alarms import Alarms


_LOOK = timedelta(seconds=5)
"""What wakes an endpoint may have been lost with the process that was to do it."""
_GONE = timedelta(seconds=0.5)
_SEEN = timedelta(seconds=0.3)
"""By then every process that serves an endpoint goes by its new routes."""
_MOST_FLEETS = 1000
_ENDS = {
    "Succeeded": ("InService", "in-service"),
    "RolledBack": ("InService", "rolled-back"),
    "Failed": ("Failed", "failed"),
    "RollbackFailed": ("UpdateRollbackFailed", "update-rollback-failed"),
}
"""The status after each outcome, and the event that tells of it."""


class Controller:
    """Drives endpoints: the worker's handler of their kind.

    Parameters
    ----------
    store, objects
        Where endpoints are, and their models' artifacts.
    fleets
        The workers.
    compilations
        Makes what answers without workers.
    alarms
        What rolls deployments back.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        fleets: Fleets,
        compilations: Compilations,
        alarms: Alarms,
    ) -> None:
        self._store = store
        self._objects = objects
        self._fleets = fleets
        self._compilations = compilations
        self._alarms = alarms

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:  # noqa: ARG002 - port
        """Bring an endpoint as far as it can go now."""
        if resource.status == "Deleting":
            return self._remove(resource)
        if body.read(resource).deployment is not None:
            return self._deploy(resource)
        return self._scale(resource) if resource.status == "Updating" else None

    def _deploy(self, resource: Resource) -> datetime | None:
        try:
            prepared = self._prepare(resource)
        except Unavailable:
            raise
        except ClaryError as error:
            return self._apply(resource, _refused(body.read(resource), error.message))
        if prepared is None:
            return now() + _LOOK
        going = body.read(prepared).deployment
        if going is None:
            raise TypeError(f"nothing of {resource.ref} is being deployed")
        states = self._states(prepared, (*going.counts,))
        alarms = self._alarms.states(going.plan.alarms, near=resource.ref)
        return self._apply(prepared, rollouts.advance(going, states, alarms, now()))

    def _prepare(self, resource: Resource) -> Resource | None:
        """Read the models of new variants and have them compiled; None while that is going on."""
        endpoint = body.read(resource)
        pending = endpoint.pending
        if pending is None or all(one.choice for one in pending.variants):
            return resource
        read = [self._with_stages(resource.ref, one) for one in pending.variants]
        with self._store.begin() as change:
            chosen = {one.name: self._chosen(resource.ref, one, change) for one in read}
            new = body.changed(pending, chosen)
            if new != pending:
                endpoint = structs.replace(endpoint, pending=new)
                resource = change.update(replace(resource, body=body.write(endpoint)))
        return resource if all(one.choice for one in new.variants) else None

    def _with_stages(self, ref: Ref, variant: Variant) -> Variant:
        if variant.stages:
            return variant
        found = containers.contents(self._store.get, ref.sibling("model", variant.model))
        stages = containers.stages(self._objects, found.containers, role=found.role)
        view = view_of(stages, ref)
        if view is not None and found.direct:
            problem = "its containers are called one by one"
            raise InvalidInput(VIEW_VARIABLE, problem, legal="containers that are called in a row")
        if view is not None and self._store.get(view) is None:
            raise NotFound(view)
        return structs.replace(
            variant,
            stages=stages,
            direct=found.direct,
            network=variant.network and found.network,
        )

    def _chosen(self, ref: Ref, variant: Variant, change: Transaction) -> Variant:
        """Say who answers for a variant, as far as that is known."""
        if variant.choice:
            return variant
        if len(variant.stages) > 1 or variant.stages[0].multi_model:
            return structs.replace(variant, choice="native: it is not one model")
        made = self._compilations.ensure(variant.stages[0], ref, waiter=ref, transaction=change)
        key = made.key if made.status == "Compiled" else ""
        return structs.replace(variant, compiled=key, choice=made.choice)

    def _apply(self, resource: Resource, made: Change) -> datetime | None:
        ref, endpoint = resource.ref, body.read(resource)
        if made.outcome:
            detail = {"status": resource.status, **_progress(made.deployment)}
            if due_at := self._move(resource, made.routes, detail):
                return due_at
        after = _after(endpoint, made)
        status, action = _status(endpoint, made)
        with self._store.begin() as change:
            self._set_counts(resource, endpoint, made, change)
            for name in made.retired:
                if change.get(ref.sibling(FLEET, name)) is not None:
                    self._fleets.retire(ref.sibling(FLEET, name), transaction=change)
            if after != endpoint or status != resource.status:
                change.update(replace(resource, status=status, body=body.write(after)))
                detail = {"status": status, **_progress(made.deployment)}
                if made.outcome == "Succeeded":
                    detail["variants"] = _deployed(resource, after, change)
                change.append(Event(now(), endpoint.actor, f"{ENDPOINT}.{action}", ref, detail))
            if made.outcome and endpoint.waiter:
                change.wake(endpoint.waiter)
        return None if made.outcome else made.due_at

    def _move(
        self, resource: Resource, routes: tuple[Route, ...], detail: JsonObject
    ) -> datetime | None:
        """Change the routes of a live endpoint before it says that it is done.

        Parameters
        ----------
        resource, routes
            The endpoint, and where its requests are to go.
        detail
            What the journal says of it.

        Returns
        -------
        datetime or None
            When all requests will go by them; None: they do.
        """
        endpoint = body.read(resource)
        if not endpoint.routes or not routes:
            return None
        if routes != endpoint.routes:
            after = structs.replace(endpoint, routes=routes)
            with self._store.begin() as change:
                resource = change.update(replace(resource, body=body.write(after)))
                moved = Event(now(), endpoint.actor, f"{ENDPOINT}.advanced", resource.ref, detail)
                change.append(moved)
        seen_at = resource.modified_at + _SEEN
        return seen_at if now() < seen_at else None

    def _set_counts(
        self, resource: Resource, endpoint: Endpoint, made: Change, change: Transaction
    ) -> None:
        """Make the fleets that should be there, each with as many instances as it should have."""
        variants = {
            one.fleet: one
            for part in (endpoint.served, endpoint.pending)
            if part
            for one in part.variants
        }
        for name, count in made.counts.items():
            fleet = resource.ref.sibling(FLEET, name)
            found = change.get(fleet)
            if found is None:
                spec = variants[name].spec(resource.ref.name, count)
                self._fleets.create(fleet, spec, parent=resource.ref, transaction=change)
            elif count and self._fleets.state(found).desired != count:
                self._fleets.resize(fleet, count, transaction=change)

    def _scale(self, resource: Resource) -> datetime | None:
        """Serve by the weights that are wanted, once the instances that are wanted are there."""
        endpoint = body.read(resource)
        if endpoint.served is None:
            raise TypeError(f"{resource.ref} is updated before it was in service")
        counts = endpoint.served.counts
        states = self._states(resource, (*counts,))
        broken = next((x.reason or x.status for x in states.values() if x.status == "Failed"), "")
        if not broken and any(
            name not in states or (count and states[name].ready != count)
            for name, count in counts.items()
        ):
            return now() + _LOOK
        if due_at := self._move(resource, endpoint.served.routes, {"status": resource.status}):
            return due_at
        after = structs.replace(endpoint, reason=broken)
        with self._store.begin() as change:
            change.update(replace(resource, status="InService", body=body.write(after)))
            detail = {"status": "InService"}
            change.append(
                Event(now(), endpoint.actor, f"{ENDPOINT}.in-service", resource.ref, detail)
            )
        return None

    def _remove(self, resource: Resource) -> datetime | None:
        """Remove an endpoint when the last of its fleets has gone."""
        ref = resource.ref
        query = Query(FLEET, ref.account, ref.region, parent=ref, limit=_MOST_FLEETS)
        left = self._store.select(query).items
        if left:
            return now() + _GONE
        endpoint, detail = body.read(resource), {"status": "Deleted"}
        with self._store.begin() as change:
            change.delete(ref)
            shadows.forget(self._store, ref, change)
            change.append(Event(now(), endpoint.actor, f"{ENDPOINT}.deleted", ref, detail))
            if endpoint.waiter:
                change.wake(endpoint.waiter)
        return None

    def _states(self, resource: Resource, names: Iterable[str]) -> dict[str, FleetState]:
        refs = [resource.ref.sibling(FLEET, name) for name in names]
        found = self._store.get_all(refs)
        return {ref.name: self._fleets.state(fleet) for ref, fleet in found.items()}


def _refused(endpoint: Endpoint, reason: str) -> Change:
    """Give up what can never be deployed; what was served goes on."""
    going = endpoint.deployment
    if going is None:
        raise TypeError("nothing is being deployed")
    given_up = structs.replace(going, reason=reason)
    retired = tuple(route.fleet for route in going.new)
    outcome: rollouts.Outcome = "RolledBack" if going.old else "Failed"
    return rollouts.Change(given_up, {}, going.old, retired, None, outcome)


def _after(endpoint: Endpoint, made: Change) -> Endpoint:
    """Say what is stored once a change has been made."""
    served = structs.replace(endpoint, routes=made.routes, deployment=made.deployment)
    if not made.outcome:
        return served
    ended = structs.replace(
        served, deployment=None, policy=made.deployment.policy, reason=made.deployment.reason
    )
    new = endpoint.pending
    if made.outcome == "Succeeded" and new is not None:
        return structs.replace(
            ended, config=new.config, served=new, pending=None, capture=new.capture, reason=""
        )
    return ended if made.outcome == "RollbackFailed" else structs.replace(ended, pending=None)


def _status(endpoint: Endpoint, made: Change) -> tuple[str, str]:
    if made.outcome:
        return _ENDS[made.outcome]
    if endpoint.served is None:
        return "Creating", "advanced"
    back = made.deployment.stage == "RollingBack"
    return "RollingBack" if back else "Updating", "advanced"


def _deployed(resource: Resource, after: Endpoint, change: Transaction) -> list[JsonObject]:
    """Record which models an endpoint consists of now, and who answers for each."""
    variants = after.served.variants if after.served else ()
    for one in variants:
        model = resource.ref.sibling("model", one.model)
        change.link(Link(model, "ContributedTo", resource.ref, one.name))
        if view := view_of(one.stages, resource.ref):
            change.link(Link(view, "ContributedTo", model, "view"))
    return [{"name": x.name, "model": x.model, "choice": x.choice} for x in variants]


def _progress(going: Deployment) -> JsonObject:
    progress: JsonObject = {
        "generation": going.generation,
        "config": going.config,
        "stage": going.stage,
        "step": going.step,
        "share": going.share,
    }
    return progress | ({"reason": going.reason} if going.reason else {})
