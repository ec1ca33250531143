"""Inference experiments: a shadow is tried beside a variant of an endpoint, and kept or not.

``Creating``  until its start                  ``Starting``  the endpoint gets the shadow
``Running``   until its end, or until stopped  ``Stopping``  the endpoint gets what is to stay
``Completed`` and ``Cancelled`` are the ends; a start that fails ends it as Cancelled, with why.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from clary.endpoints import body, shadow_requests
from clary.endpoints.model import CONFIG, ENDPOINT
from clary.endpoints.shadow_requests import StopRequest
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import Conflict, NotFound
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from clary.endpoints.service import Endpoints
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page

EXPERIMENT = "inference-experiment"
ENDED = ("Completed", "Cancelled")
_LOOK = timedelta(seconds=5)


class Experiment(Struct, frozen=True):
    """The body of an ``inference-experiment``.

    Parameters
    ----------
    request
        The CreateInferenceExperiment document.
    actor, uid
        Who made it; ``uid`` names its configurations.
    before
        The endpoint's configuration document as it was.
    config
        Name of the endpoint-config that the endpoint is to have now; empty: none was asked for.
    stop
        The StopInferenceExperiment document, once there is one.
    reason
        Why it ended.
    started_at, ended_at
        When it began, and when it ended.
    """

    request: dict[str, Any]
    actor: str
    uid: str
    before: dict[str, Any] = {}
    config: str = ""
    stop: dict[str, Any] | None = None
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class ShadowTests:
    """The verbs of inference experiments; ``run`` is the worker's handler of their kind."""

    def __init__(self, store: MetadataStore, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    def create(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make an experiment, which begins by its schedule, or at once.

        Raises
        ------
        InvalidInput
            Its variants or times do not fit.
        NotFound
            The endpoint or a model does not exist.
        AlreadyExists
            There is an experiment of this name.
        """
        view, at = shadow_requests.experiment(request), now()
        shadow_requests.times(view, at)
        kept = {name: value for name, value in plain(request).items() if name != "Tags"}
        made = Resource(
            ref, plain(Experiment(kept, actor, secrets.token_hex(4))), at, at, "Created"
        )
        endpoint = ref.sibling(ENDPOINT, view.endpoint_name)
        with self._store.begin() as change:
            needed = (ref.sibling("model", one.model_name) for one in view.model_variants)
            for one in (endpoint, *needed):
                if change.get(one) is None:
                    raise NotFound(one)
            inserted = change.insert(made, due=True)
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, f"{EXPERIMENT}.created", ref))
        return inserted

    def get(self, ref: Ref) -> Resource:
        """Read an experiment. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List experiments."""
        return self._store.select(query)

    def start(self, ref: Ref) -> None:
        """Begin an experiment before its time. Raises NotFound, and Conflict when it has begun."""
        with self._store.begin() as change:
            found = _existing(change, ref)
            if found.status != "Created":
                raise Conflict(f"{ref} cannot be started: it is {found.status}")
            held = structs.replace(build(Experiment, found.body), started_at=now())
            change.update(replace(found, body=plain(held)))
            change.wake(ref)

    def stop(self, ref: Ref, request: JsonObject) -> None:
        """End an experiment, and say what stays of its variants.

        Raises
        ------
        NotFound
            There is no such experiment.
        Conflict
            It is starting, stopping or over.
        InvalidInput
            The actions do not leave one variant that answers.
        """
        asked = build(StopRequest, request)
        with self._store.begin() as change:
            found = _existing(change, ref)
            held = build(Experiment, found.body)
            shadow_requests.afterwards({}, shadow_requests.experiment(held.request), asked, "-")
            if found.status == "Created":
                self._end(change, found, held, "Cancelled", asked.reason)
                return
            if found.status != "Running":
                raise Conflict(f"{ref} cannot be stopped: it is {found.status}")
            stopping = structs.replace(held, stop=plain(request), config="")
            change.update(replace(found, status="Stopping", body=plain(stopping)))
            change.wake(ref)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove an experiment that is over. Raises NotFound, Conflict."""
        with self._store.begin() as change:
            found = _existing(change, ref)
            if found.status not in (*ENDED, "Created"):
                raise Conflict(f"{ref} cannot be deleted: it is {found.status}", hint="stop it")
            change.delete(ref)
            change.append(Event(now(), actor, f"{EXPERIMENT}.deleted", ref))

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Bring an experiment as far as it can go now."""
        del stopping
        if resource.status in ENDED:
            return None
        held = build(Experiment, resource.body)
        view = shadow_requests.experiment(held.request)
        endpoint = self._store.get(resource.ref.sibling(ENDPOINT, view.endpoint_name))
        if endpoint is None or endpoint.status in ("Failed", "Deleting", "UpdateRollbackFailed"):
            self._cancel(resource, held, f"endpoint {view.endpoint_name} is not in service")
            return None
        planned = shadow_requests.times(view, resource.created_at)
        if resource.status == "Created" and held.started_at is None and now() < planned.start:
            return planned.start
        if endpoint.status != "InService":
            return now() + _LOOK
        return self._go_on(resource, held, endpoint, planned.end)

    def _go_on(
        self, resource: Resource, held: Experiment, endpoint: Resource, end: datetime
    ) -> datetime | None:
        """Take the next step, now that nothing of the endpoint is under way."""
        if resource.status == "Created":
            return self._begin(resource, held, endpoint)
        if resource.status == "Stopping" and not held.config:
            return self._finish(resource, held)
        found = body.read(endpoint)
        if found.config != held.config:
            self._cancel(resource, held, found.reason or "the endpoint was changed")
            return None
        if resource.status == "Running":
            return self._watch(resource, held, end)
        return self._settle(resource, held, end)

    def _begin(self, resource: Resource, held: Experiment, endpoint: Resource) -> datetime:
        served = body.read(endpoint).served
        if served is None:
            return now() + _LOOK
        view, config = shadow_requests.experiment(held.request), _config(resource.ref, held)
        made = shadow_requests.with_shadow(served.document, view, config)
        begun = structs.replace(held, before=served.document, config=config, started_at=now())
        return self._update(resource, begun, made, "Starting")

    def _finish(self, resource: Resource, held: Experiment) -> datetime | None:
        asked, view = build(StopRequest, held.stop), shadow_requests.experiment(held.request)
        config = f"{_config(resource.ref, held)}-end"
        made = shadow_requests.afterwards(held.before, view, asked, config)
        if made is None:
            with self._store.begin() as change:
                self._end(change, resource, held, asked.desired_state, asked.reason)
            return None
        return self._update(resource, structs.replace(held, config=config), made, "Stopping")

    def _update(
        self, resource: Resource, held: Experiment, config: JsonObject, status: str
    ) -> datetime:
        """Give the endpoint another configuration, in the transaction that says so."""
        ref, name = resource.ref, config["EndpointConfigName"]
        endpoint = held.request["EndpointName"]
        request = {"EndpointName": endpoint, "EndpointConfigName": name}
        with self._store.begin() as change:
            self._endpoints.create_config(
                ref.sibling(CONFIG, name), config, actor=held.actor, transaction=change
            )
            self._endpoints.update(
                ref.sibling(ENDPOINT, endpoint),
                request,
                actor=held.actor,
                transaction=change,
                waiter=ref,
            )
            change.update(replace(resource, status=status, body=plain(held)))
            event = Event(now(), held.actor, f"{EXPERIMENT}.{status.lower()}", ref)
            change.append(event)
        return now() + _LOOK

    def _settle(self, resource: Resource, held: Experiment, end: datetime) -> datetime | None:
        """Note that the endpoint has what was asked for."""
        with self._store.begin() as change:
            if resource.status == "Starting":
                change.update(replace(resource, status="Running"))
                change.append(Event(now(), held.actor, f"{EXPERIMENT}.running", resource.ref))
                return end
            asked = build(StopRequest, held.stop)
            self._end(change, resource, held, asked.desired_state, asked.reason)
        return None

    def _watch(self, resource: Resource, held: Experiment, end: datetime) -> datetime:
        """End it at its time."""
        if now() < end:
            return end
        source = shadow_requests.experiment(held.request).source
        stop = {"ModelVariantActions": {source: "Retain"}, "Reason": "its time is over"}
        over = structs.replace(held, stop=stop, config="")
        with self._store.begin() as change:
            change.update(replace(resource, status="Stopping", body=plain(over)))
        return now()

    def _cancel(self, resource: Resource, held: Experiment, reason: str) -> None:
        with self._store.begin() as change:
            self._end(change, resource, held, "Cancelled", reason)

    def _end(
        self, change: Transaction, resource: Resource, held: Experiment, status: str, reason: str
    ) -> None:
        ended = structs.replace(held, reason=reason, ended_at=now())
        change.update(replace(resource, status=status, body=plain(ended)))
        event = Event(now(), held.actor, f"{EXPERIMENT}.{status.lower()}", resource.ref)
        change.append(event)


def _config(ref: Ref, held: Experiment) -> str:
    return f"{ref.name[:48]}-{held.uid}"


def _existing(change: Transaction, ref: Ref) -> Resource:
    found = change.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
