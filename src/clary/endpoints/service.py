"""Endpoints and their configurations: create, describe, list, update, delete."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from clary.endpoints import (
    async_requests,
    body,
    containers,
    documents,
    generations,
    notifications,
    requests,
)
from clary.endpoints.body import Endpoint
from clary.endpoints.capacities import scaled
from clary.endpoints.guardrails import check_alarms
from clary.endpoints.model import CONFIG, FLEET
from clary.kernel.clock import now
from clary.kernel.codec import build
from clary.kernel.errors import Conflict, NotFound
from clary.kernel.resource import Event, Page, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.endpoints.body import Generation
    from clary.endpoints.fleets import Fleets
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.metrics.alarms import Alarms


class Endpoints:
    """The verbs of endpoints and endpoint configurations.

    What takes a ``transaction`` becomes a part of it, or makes one of its own.

    Parameters
    ----------
    store
        Where they are.
    fleets
        The workers behind them.
    alarms
        What guards their updates.
    """

    def __init__(self, store: MetadataStore, fleets: Fleets, alarms: Alarms) -> None:
        self._store = store
        self._fleets = fleets
        self._alarms = alarms

    def list(self, query: Query) -> Page:
        """List endpoints or configurations."""
        return self._store.select(query)

    def get(self, ref: Ref) -> Resource:
        """Read an endpoint or a configuration. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def create_config(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Keep a configuration, of models that exist.

        Raises
        ------
        InvalidInput, NotSupported, LimitExceeded
            The request can never be served; names the member.
        NotFound
            A model does not exist.
        AlreadyExists
            There is a configuration of this name.
        """
        view = requests.config(request)
        at = now()
        kept = {name: value for name, value in request.items() if name != "Tags"}
        made = Resource(ref, {"request": kept, "created_by": actor}, at, at)
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            for variant in (*view.production_variants, *view.shadow_production_variants):
                model = ref.sibling("model", variant.model_name)
                if change.get(model) is None:
                    raise NotFound(model)
            if view.async_inference_config:
                asked = async_requests.config(view.async_inference_config)
                notifications.check(change.get, ref, asked.output_config.notification_config)
            inserted = change.insert(made)
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, f"{CONFIG}.created", ref))
        return inserted

    def describe_config(self, ref: Ref) -> JsonObject:
        """Give the DescribeEndpointConfig document. Raises NotFound."""
        return documents.config(self.get(ref))

    def delete_config(self, ref: Ref, *, actor: str) -> None:
        """Remove a configuration; endpoints that were made from it go on. Raises NotFound."""
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, f"{CONFIG}.deleted", ref))

    def create(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
        waiter: Ref | None = None,
    ) -> Resource:
        """Accept an endpoint; a worker brings it into service.

        Parameters
        ----------
        ref
            Its kind is ``endpoint``.
        request
            The CreateEndpoint document.
        actor, tags
            Who asks, and tags of the endpoint.
        transaction
            The change it is to be a part of.
        waiter
            Woken when it is in service or has failed.

        Raises
        ------
        InvalidInput
            The policy is malformed, or a model's package is not approved.
        NotFound
            The configuration or a model does not exist.
        AlreadyExists
            There is an endpoint of this name.
        """
        view = build(requests.EndpointRequest, request)
        uid, at = secrets.token_hex(8), now()
        kept = {name: value for name, value in request.items() if name != "Tags"}
        fresh = Endpoint(kept, view.endpoint_config_name, uid, actor, waiter=waiter)
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            new = self._generation(change, ref, fresh, view.endpoint_config_name)
            endpoint = generations.deploy(fresh, new, view.deployment_config, at)
            made = change.insert(Resource(ref, body.write(endpoint), at, at, "Creating"), due=True)
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, "endpoint.created", ref, {"status": "Creating"}))
        return made

    def describe(self, ref: Ref) -> JsonObject:
        """Give the DescribeEndpoint document. Raises NotFound."""
        return self.document(self.get(ref))

    def document(self, found: Resource) -> JsonObject:
        """Write the DescribeEndpoint document of an endpoint that was read."""
        names = [found.ref.sibling(FLEET, name) for name in body.read(found).fleets]
        fleets = self._store.get_all(names)
        states = {one.name: self._fleets.state(each) for one, each in fleets.items()}
        return documents.endpoint(found, states)

    def update(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        transaction: Transaction | None = None,
        waiter: Ref | None = None,
    ) -> Resource:
        """Put another configuration in the place of the present one, without a pause.

        Raises
        ------
        InvalidInput
            The policy is malformed, one of its alarms does not exist or is in ALARM, or a model's
            package is not approved.
        NotFound
            The endpoint, the configuration or a model does not exist.
        Conflict
            The endpoint is not in service.
        """
        view = build(requests.UpdateRequest, request)
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            found, endpoint, served = _in_service(change, ref)
            new = self._generation(change, ref, endpoint, view.endpoint_config_name)
            new = generations.retained(new, served, view)
            policy = endpoint.policy if view.retain_deployment_config else view.deployment_config
            asked = structs.replace(endpoint, actor=actor, waiter=waiter)
            deployed = generations.deploy(asked, new, policy, now())
            self._check_alarms(ref, deployed)
            return _change(change, found, deployed, "Updating", "endpoint.updating")

    def set_weights_and_capacities(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Change the weights and numbers of instances of variants, as they are served.

        Raises
        ------
        InvalidInput
            There is no such variant, or it cannot have that.
        NotFound
            There is no such endpoint.
        Conflict
            The endpoint is not in service.
        """
        view = build(requests.WeightsRequest, request)
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            found, endpoint, served = _in_service(change, ref)
            asked = structs.replace(endpoint, actor=actor, reason="", waiter=None)
            wanted = scaled(served, view)
            if any(one.serverless_update_config for one in view.desired_weights_and_capacities):
                new = generations.renamed(wanted, endpoint.uid, endpoint.generation + 1)
                asked = generations.deploy(asked, new, None, now())
            else:
                asked = structs.replace(asked, served=wanted)
                for variant in wanted.variants:
                    if variant != served.variant(variant.name) and not variant.serverless:
                        fleet = ref.sibling(FLEET, variant.fleet)
                        self._fleets.resize(fleet, variant.count, transaction=change)
            return _change(change, found, asked, "Updating", "endpoint.updating")

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Take an endpoint out of service; a worker removes it when its fleets are gone.

        Raises NotFound.
        """
        with self._store.begin() as change:
            found = change.get(ref)
            if found is None:
                raise NotFound(ref)
            if found.status == "Deleting":
                return
            endpoint = body.read(found)
            for name in endpoint.fleets:
                if change.get(ref.sibling(FLEET, name)) is not None:
                    self._fleets.retire(ref.sibling(FLEET, name), transaction=change)
            gone = structs.replace(endpoint, routes=(), pending=None, deployment=None, actor=actor)
            _change(change, found, gone, "Deleting", "endpoint.deleting")

    def _check_alarms(self, ref: Ref, endpoint: Endpoint) -> None:
        if endpoint.deployment is not None:
            plan = endpoint.deployment.plan
            check_alarms(plan, self._alarms.states(plan.alarms, near=ref))

    def _generation(
        self, change: Transaction, ref: Ref, endpoint: Endpoint, config: str
    ) -> Generation:
        named = ref.sibling(CONFIG, config)
        found = change.get(named)
        if found is None:
            raise NotFound(named)
        number = endpoint.generation + 1
        new = generations.generation(found.body["request"], endpoint.uid, number)
        for variant in new.variants:
            containers.contents(change.get, ref.sibling("model", variant.model))
        return new


def _in_service(change: Transaction, ref: Ref) -> tuple[Resource, Endpoint, Generation]:
    found = change.get(ref)
    if found is None:
        raise NotFound(ref)
    endpoint = body.read(found)
    if found.status != "InService" or endpoint.served is None:
        raise Conflict(f"{ref} cannot be updated: it is {found.status}, not InService")
    return found, endpoint, endpoint.served


def _change(
    change: Transaction, found: Resource, endpoint: Endpoint, status: str, action: str
) -> Resource:
    changed = change.update(replace(found, status=status, body=body.write(endpoint)))
    change.wake(found.ref)
    change.append(Event(now(), endpoint.actor, action, found.ref, {"status": status}))
    return changed
