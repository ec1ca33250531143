"""Nodes of the public graph for what the journal tells: packages, executions, endpoints, features.

Jobs have no part in this: what they used and made is recorded in their own transactions, and their
trial components are shown for them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import AlreadyExists
from clary.kernel.names import arn
from clary.kernel.resource import Link, Resource
from clary.lineage.entities import (
    ACTION,
    ARTIFACT,
    ENDPOINT,
    EXECUTION,
    FEATURES,
    GROUP,
    PACKAGE,
    READINGS,
    artifact_name,
    body,
    entity_of,
    place_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Event

_MODEL, _DEPLOYMENT = "model", "ModelDeployment"
_STATUS = {
    "Executing": "InProgress",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "Failed": "Failed",
    "Succeeded": "Completed",
}


class Registrations:
    """Follows the journal; implements ``kernel.journal.Follower``.

    Parameters
    ----------
    store
        Where the links of packages are.
    """

    name = "lineage"

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def follow(self, events: Sequence[Event], transaction: Transaction) -> None:
        """Make the nodes and edges that the next lines call for."""
        for event in events:
            if event.ref.kind == EXECUTION:
                _execution(event, transaction)
            elif event.action == "model-package-group.created":
                _group(event.ref, event, transaction)
            elif event.action == "model-package.created":
                _package(event, transaction)
                self._approval(event, event.detail, transaction)
            elif event.action == "model-package.updated":
                self._approval(event, event.detail.get("after") or {}, transaction)
            elif (node := _of_features(event)) is not None:
                _once(node, transaction)
            elif event.action == "endpoint.in-service" and "variants" in event.detail:
                self._deployment(event, transaction)

    def _approval(self, event: Event, said: Mapping[str, Any], transaction: Transaction) -> None:
        """Show a decision on a package as an action between its model's files and the package."""
        action = _decision(event, said)
        if action is None:
            return
        _once(action, transaction)
        for link in self._store.links(event.ref, incoming=True):
            if link.role == _MODEL:
                transaction.link(Link(link.source, "ContributedTo", action.ref))
        transaction.link(Link(action.ref, "ContributedTo", _artifact(event, transaction)))

    def _deployment(self, event: Event, transaction: Transaction) -> None:
        """Show a deployment as an action between the models' files and packages and an endpoint."""
        endpoint = _once(
            _node(event.ref, "Endpoint", _request(event.ref, "Endpoint", {}), event), transaction
        )
        action = _deployed(event)
        _once(action, transaction)
        transaction.link(Link(action.ref, "ContributedTo", endpoint.ref))
        models = [event.ref.sibling(_MODEL, one["model"]) for one in event.detail["variants"]]
        for link in self._store.links(*models, incoming=True):
            if link.kind == "ContributedTo" and link.role == _MODEL:
                transaction.link(Link(link.source, "ContributedTo", action.ref))


def _execution(event: Event, transaction: Transaction) -> None:
    """Show an execution as an action with the status it has now."""
    execution = transaction.get(event.ref)
    if execution is None:
        return
    pipeline = event.ref.name.partition("/")[0]
    known = {"PipelineName": pipeline, "PipelineExecutionArn": arn(event.ref)}
    request = _request(event.ref, "PipelineExecution", known)
    request["Status"] = _STATUS.get(execution.status, "Unknown")
    action = _node(event.ref, "PipelineExecution", request, event)
    present = transaction.get(action.ref)
    if present is None:
        transaction.insert(action)
    elif present.body["request"].get("Status") != request["Status"]:
        after = {**present.body["request"], "Status": request["Status"]}
        transaction.update(replace(present, body={**present.body, "request": after}))


def _group(ref: Ref, event: Event, transaction: Transaction) -> Ref:
    context = _node(ref, "ModelGroup", _request(ref, "ModelGroup", {}), event)
    return _once(context, transaction).ref


def _package(event: Event, transaction: Transaction) -> None:
    """Show a model package as an artifact of its group, made of its images beside its files."""
    package = transaction.get(event.ref)
    if package is None:
        return
    artifact = _artifact(event, transaction)
    for uri in _images(package.body["request"]):
        ref = event.ref.sibling(ARTIFACT, artifact_name(uri))
        image = {"Source": {"SourceUri": uri}}
        _once(_of(ref, body(image, "Image", event.actor), uri, event), transaction)
        transaction.link(Link(ref, "ContributedTo", artifact))
    if package.parent is not None:
        group = _group(package.parent, event, transaction)
        transaction.link(Link(artifact, "AssociatedWith", group))
        _tell_execution(group, package, transaction)


def _tell_execution(group: Ref, package: Resource, transaction: Transaction) -> None:
    """Say at a group which pipeline execution registered its newest version."""
    by = (package.body["request"].get("MetadataProperties") or {}).get("GeneratedBy", "")
    context = transaction.get(group)
    if context is None or ":pipeline/" not in by:
        return
    request = context.body["request"]
    known = {**request.get("Properties", {}), "PipelineExecutionArn": by}
    after = {**context.body, "request": {**request, "Properties": known}}
    if after != context.body:
        transaction.update(replace(context, body=after))


def _decision(event: Event, said: Mapping[str, Any]) -> Resource | None:
    """Write the action of a decision; None when the line is about none."""
    decision = said.get("ModelApprovalStatus")
    if not decision:
        return None
    name = f"{event.ref.name}-{event.ref.version}-{decision}-{event.id}-aws-model-package"
    ref = event.ref.sibling(ACTION, name[-120:].lstrip("-"))
    known = {"ModelPackageArn": arn(event.ref), "ModelApprovalStatus": decision}
    if reason := said.get("ApprovalDescription"):
        known["ApprovalDescription"] = str(reason)[:2500]
    request = {**_request(event.ref, "ModelPackage", known), "Status": "Completed"}
    return _of(ref, body(request, "Approval", event.actor), arn(event.ref), event)


def _deployed(event: Event) -> Resource:
    """Write the action of a deployment: which models, and who answers for each variant."""
    detail = event.detail
    known = {"EndpointArn": arn(event.ref), "EndpointConfigName": detail["config"]}
    for one in detail["variants"]:
        known[f"ModelName-{one['name']}"] = one["model"]
        known[f"ServedBy-{one['name']}"] = one["choice"][:2500]
    request = {**_request(event.ref, _DEPLOYMENT, known), "Status": "Completed"}
    name = f"{event.ref.name}-{detail['generation']}-{event.id}-aws-endpoint"
    document = body(request, _DEPLOYMENT, event.actor)
    return _of(event.ref.sibling(ACTION, name), document, arn(event.ref), event)


def _artifact(event: Event, transaction: Transaction) -> Ref:
    known = {"ModelPackageVersion": str(event.ref.version)} if event.ref.version else {}
    request = _request(event.ref, "ModelPackage", known)
    return _once(_node(event.ref, "Model", request, event), transaction).ref


def _of_features(event: Event) -> Resource | None:
    """Write the node of a group, a view, a training set or a query; None: it is about none."""
    kind, _, what = event.action.partition(".")
    if kind in FEATURES and what == "created":
        known = {"Version": str(event.ref.version)} if event.ref.version else {}
        request = _request(event.ref, FEATURES[kind], known)
        return _node(event.ref, FEATURES[kind], request, event)
    if event.action in ("training-set.created", "query-execution.produced"):
        request = {**_request(event.ref, READINGS[kind], {}), "Status": "Completed"}
        return _node(event.ref, READINGS[kind], request, event)
    return None


def _images(request: JsonObject) -> Iterator[str]:
    specification = request.get("InferenceSpecification") or {}
    for container in specification.get("Containers") or ():
        if container.get("Image"):
            yield container["Image"]


def _request(ref: Ref, kind: str, known: JsonObject) -> JsonObject:
    return {"Source": {"SourceUri": arn(ref), "SourceType": kind}, "Properties": known}


def _node(ref: Ref, word: str, request: JsonObject, event: Event) -> Resource:
    """Make the node that stands for a stored thing."""
    name = entity_of(ref)
    if name is None or ref.kind not in (PACKAGE, GROUP, EXECUTION, ENDPOINT, *FEATURES, *READINGS):
        raise TypeError(f"{ref} is shown as no node")
    if name.kind == ARTIFACT:
        request = {**request, "Source": {"SourceUri": arn(ref)}}
    return _of(name, body(request, word, event.actor, ref), arn(ref), event)


def _of(ref: Ref, document: JsonObject, uri: str, event: Event) -> Resource:
    return Resource(ref, document, event.at, event.at, parent=place_of(ref, uri))


def _once(node: Resource, transaction: Transaction) -> Resource:
    try:
        return transaction.insert(node)
    except AlreadyExists:
        return node
