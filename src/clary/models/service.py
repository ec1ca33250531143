"""Models, and the registry: groups of model package versions, and their approval."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.codec import build, digest
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.kernel.names import parse_name
from clary.kernel.resource import Event, Link, Page, Query, Resource
from clary.models import documents, files, requests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.lineage.service import Lineage
    from clary.models.files import Used

_TOKENS = "client-token"
_PENDING = "PendingManualApproval"


class Models:
    """The verbs of models, model packages and their groups.

    What takes a ``transaction`` becomes a part of it, or makes one of its own.

    Parameters
    ----------
    store, objects
        Where models are recorded, and where their files are.
    lineage
        Where it is recorded which content a model consists of.
    """

    def __init__(self, store: MetadataStore, objects: ObjectStore, lineage: Lineage) -> None:
        self._store = store
        self._objects = objects
        self._lineage = lineage

    def list(self, query: Query) -> Page:
        """List models, groups, or (by parent) the versions of a group."""
        return self._store.select(query)

    def create_model(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Make a model of containers or of model packages.

        Raises
        ------
        InvalidInput
            Its containers are malformed, or the files they name do not exist.
        NotFound
            A package it names does not exist.
        AlreadyExists
            There is a model of this name.
        """
        containers = requests.model(request)
        used = list(files.of_containers(self._objects, containers))
        packages = [
            self._package_named(one.model_package_name, ref, f"{place}.ModelPackageName")
            for place, one in containers
            if one.model_package_name
        ]
        at = now()
        body = {"request": _without_tags(request), "created_by": actor}
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            made = change.insert(Resource(ref, body, at, at))
            self._lineage.record(change, ref, inputs=used)
            for package in packages:
                change.link(Link(package, "ContributedTo", ref, "model"))
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, "model.created", ref))
        return made

    def describe_model(self, ref: Ref) -> JsonObject:
        """Give the DescribeModel document."""
        return documents.model(self._get(ref))

    def delete_model(self, ref: Ref, *, actor: str) -> None:
        """Remove a model; its files stay."""
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, "model.deleted", ref))

    def create_group(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Make a group for the versions of one model. Raises AlreadyExists."""
        at = now()
        body = {"request": _without_tags(request), "last": 0, "count": 0, "created_by": actor}
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            made = change.insert(Resource(ref, body, at, at, "Completed"))
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, "model-package-group.created", ref))
        return made

    def describe_group(self, ref: Ref) -> JsonObject:
        """Give the DescribeModelPackageGroup document."""
        return documents.group(self._get(ref))

    def delete_group(self, ref: Ref, *, actor: str) -> None:
        """Remove a group. Raises Conflict when it has versions."""
        with self._store.begin() as change:
            group = _existing(change, ref)
            if count := group.body["count"]:
                raise Conflict(f"{ref} has {count} versions", hint="delete them first")
            change.delete(ref)
            change.append(Event(now(), actor, "model-package-group.deleted", ref))

    def create_package(
        self,
        near: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Register a model package: the next version of its group, or one without a group.

        Parameters
        ----------
        near
            Any name in the account and region it belongs to.
        request
            The CreateModelPackage document; its ``ClientToken`` registers once.
        actor, tags
            Who asks, and tags of the package.
        transaction
            The change it is to be a part of.

        Raises
        ------
        InvalidInput
            Malformed, or the model files it names do not exist; names the URI.
        NotFound
            The group does not exist.
        AlreadyExists
            There is a package without a group of this name.
        Conflict
            The token has registered another package.
        """
        view = requests.package(request)
        used = self._content(view)
        with nullcontext(transaction) if transaction else self._store.begin() as change:
            token = near.sibling(_TOKENS, f"model-package/{view.client_token}")
            if view.client_token and (earlier := change.get(token)):
                return _registered_before(change, earlier, request)
            ref, group = _next_name(change, view, near)
            approval = view.model_approval_status or (_PENDING if group else None)
            kept = {"ModelApprovalStatus": approval} if approval else {}
            body = {
                "request": _without_tags(request) | kept,
                "type": "Versioned" if group else "Unversioned",
                "token": view.client_token,
                "created_by": actor,
                "modified_by": "",
            }
            at = now()
            made = change.insert(Resource(ref, body, at, at, "Completed", group))
            if view.client_token:
                marker = {"ref": [ref.name, ref.version], "digest": digest(request)}
                change.insert(Resource(token, marker, at, at))
            self._lineage.record(change, ref, inputs=used)
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, "model-package.created", ref, kept))
        return made

    def describe_package(self, ref: Ref) -> JsonObject:
        """Give the DescribeModelPackage document."""
        return documents.package(self._get(ref))

    def update_package(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Approve, reject or otherwise change a package; the journal keeps before and after."""
        view = build(requests.PackageChange, request)
        used = list(files.of_containers(self._objects, requests.containers(view)))
        with self._store.begin() as change:
            package = _existing(change, ref)
            before = package.body["request"]
            after = _changed(before, request, view)
            body = {**package.body, "request": after, "modified_by": actor}
            changed = change.update(replace(package, body=body))
            self._lineage.record(change, ref, inputs=used)
            members = [key for key in {**before, **after} if before.get(key) != after.get(key)]
            detail = {
                "before": {key: before.get(key) for key in members},
                "after": {key: after.get(key) for key in members},
            }
            change.append(Event(now(), actor, "model-package.updated", ref, detail))
        return changed

    def delete_package(self, ref: Ref, *, actor: str) -> None:
        """Remove a package; its version number is not used again."""
        with self._store.begin() as change:
            package = _existing(change, ref)
            if token := package.body["token"]:
                change.delete(ref.sibling(_TOKENS, f"model-package/{token}"))
            if package.parent:
                group = _existing(change, package.parent)
                count = group.body["count"] - 1
                change.update(replace(group, body={**group.body, "count": count}))
            change.delete(ref)
            change.append(Event(now(), actor, "model-package.deleted", ref))

    def _content(self, view: requests.PackageRequest) -> Sequence[Used]:
        metrics = (
            ("ModelMetrics", view.model_metrics),
            ("DriftCheckBaselines", view.drift_check_baselines),
        )
        used = list(files.of_containers(self._objects, requests.containers(view)))
        for role, document in metrics:
            used.extend(files.of_metrics(self._objects, document, role))
        return used

    def _package_named(self, name: str, near: Ref, field: str) -> Ref:
        ref = parse_name(
            name, "model-package", account=near.account, region=near.region, field=field
        )
        return self._get(ref).ref

    def _get(self, ref: Ref) -> Resource:
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found


def _existing(change: Transaction, ref: Ref) -> Resource:
    found = change.get(ref)
    if found is None:
        raise NotFound(ref)
    return found


def _without_tags(request: JsonObject) -> JsonObject:
    return {key: value for key, value in request.items() if key not in {"Tags", "ClientToken"}}


def _next_name(
    change: Transaction, view: requests.PackageRequest, near: Ref
) -> tuple[Ref, Ref | None]:
    """Name a new package and its group, counting the version in the group."""
    if view.model_package_name:
        return near.sibling("model-package", view.model_package_name), None
    ref = parse_name(
        view.model_package_group_name or "",
        "model-package-group",
        account=near.account,
        region=near.region,
        field="ModelPackageGroupName",
    )
    group = _existing(change, ref)
    last, count = group.body["last"] + 1, group.body["count"] + 1
    change.update(replace(group, body={**group.body, "last": last, "count": count}))
    return ref.sibling("model-package", ref.name, last), ref


def _registered_before(change: Transaction, token: Resource, request: JsonObject) -> Resource:
    if token.body["digest"] != digest(request):
        raise Conflict("ClientToken: it has registered another model package")
    name, version = token.body["ref"]
    return _existing(change, token.ref.sibling("model-package", name, version))


def _changed(before: JsonObject, request: JsonObject, view: requests.PackageChange) -> JsonObject:
    """Say what a package's document becomes."""
    special = {
        *("ModelPackageArn", "ClientToken", "CustomerMetadataProperties"),
        *("CustomerMetadataPropertiesToRemove", "AdditionalInferenceSpecificationsToAdd"),
    }
    after = {**before, **{key: value for key, value in request.items() if key not in special}}
    properties = {
        **before.get("CustomerMetadataProperties", {}),
        **view.customer_metadata_properties,
    }
    for key in view.customer_metadata_properties_to_remove:
        properties.pop(key, None)
    added = view.additional_inference_specifications_to_add
    specifications = [*before.get("AdditionalInferenceSpecifications", []), *added]
    names = [specification.get("Name") for specification in specifications]
    if len(set(names)) < len(names):
        raise InvalidInput("AdditionalInferenceSpecificationsToAdd", "a name is there already")
    lists = {
        "CustomerMetadataProperties": properties,
        "AdditionalInferenceSpecifications": specifications,
    }
    return after | {key: value for key, value in lists.items() if value or key in before}
