"""Scalable targets, their policies and what these did: register, put, list, remove."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.endpoints import body, scaling_requests
from clary.endpoints.model import ENDPOINT
from clary.endpoints.scaling_requests import ACTIVITY, POLICY, TARGET, Policy, Target
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page

_MOST_POLICIES = 50
_MOST_CHILDREN = 10_000


class Scaling:
    """The verbs of scalable targets and their policies; ``Autoscaler`` acts on them.

    Parameters
    ----------
    store
        Where they are.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def register(
        self,
        near: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
    ) -> Resource:
        """Have a variant scaled, or change how, by a RegisterScalableTarget document.

        Raises
        ------
        InvalidInput
            There is no such variant with instances, or the bounds are not legal.
        NotSupported
            It names something that clary does not scale.
        """
        endpoint, variant = scaling_requests.variant(request)
        ref = near.sibling(TARGET, request["ResourceId"])
        at = now()
        with self._store.begin() as change:
            least = _least(change, near.sibling(ENDPOINT, endpoint), variant)
            present = change.get(ref)
            held = build(Target, present.body) if present else None
            target = scaling_requests.registered(request, held, least)
            if present is None:
                parent = near.sibling(ENDPOINT, endpoint)
                made = Resource(ref, plain(target), at, at, parent=parent)
                made = change.insert(made, due=True)
            else:
                made = change.update(replace(present, body=plain(target)))
                change.wake(ref)
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, f"{TARGET}.registered", ref))
        return made

    def deregister(self, near: Ref, request: JsonObject, *, actor: str) -> None:
        """Scale a variant no longer; its policies go too. Raises NotFound."""
        scaling_requests.variant(request)
        ref = near.sibling(TARGET, request["ResourceId"])
        with self._store.begin() as change:
            _existing(change, ref)
            remove(self._store, ref, change, actor=actor)

    def put_policy(self, near: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Make a policy of a registered target, or replace it, by a PutScalingPolicy document.

        Raises
        ------
        NotFound
            The target is not registered.
        InvalidInput, NotSupported
            The policy is malformed, or of a kind that clary does not have.
        LimitExceeded
            The target has too many.
        """
        scaling_requests.variant(request)
        scaling_requests.tracking(request)
        target = near.sibling(TARGET, request["ResourceId"])
        ref = near.sibling(POLICY, f"{target.name}/{request['PolicyName']}")
        at = now()
        document = plain(Policy(plain(request), at))
        with self._store.begin() as change:
            _existing(change, target)
            if (present := change.get(ref)) is not None:
                made = change.update(replace(present, body=document))
            else:
                if len(policies(self._store, target)) >= _MOST_POLICIES:
                    raise LimitExceeded(f"{target} has {_MOST_POLICIES} policies, the most")
                made = change.insert(Resource(ref, document, at, at, parent=target))
            change.wake(target)
            change.append(Event(at, actor, f"{POLICY}.put", ref))
        return made

    def delete_policy(self, near: Ref, request: JsonObject, *, actor: str) -> None:
        """Remove a policy. Raises NotFound."""
        scaling_requests.variant(request)
        ref = near.sibling(POLICY, f"{request['ResourceId']}/{request['PolicyName']}")
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, f"{POLICY}.deleted", ref))

    def list(self, query: Query) -> Page:
        """List targets, policies or activities."""
        return self._store.select(query)


def remove(store: MetadataStore, target: Ref, change: Transaction, *, actor: str) -> None:
    """Remove a target with its policies and activities."""
    for kind in (POLICY, ACTIVITY):
        for child in store.select(Query(kind, parent=target, limit=_MOST_CHILDREN)).items:
            change.delete(child.ref)
    change.delete(target)
    change.append(Event(now(), actor, f"{TARGET}.deregistered", target))


def policies(store: MetadataStore, target: Ref) -> Sequence[Resource]:
    """List the policies of a target, by name."""
    query = Query(POLICY, parent=target, sort_by="name", descending=False, limit=1000)
    return store.select(query).items


def _least(change: Transaction, endpoint: Ref, name: str) -> int:
    """Say how many instances a variant must have. Raises InvalidInput when it can have none."""
    found = change.get(endpoint)
    served = found and (body.read(found).served or body.read(found).pending)
    variant = served and served.variant(name)
    if not served or not variant:
        raise InvalidInput("ResourceId", f"endpoint {endpoint.name} has no variant {name!r}")
    if variant.serverless:
        raise InvalidInput(
            "ResourceId", f"variant {name!r} is serverless", hint="it scales by itself"
        )
    return 0 if "AsyncInferenceConfig" in served.document else 1


def _existing(change: Transaction, ref: Ref) -> Resource:
    found = change.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
