"""Registered models and their versions as MLflow's documents: groups and model packages inside."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.doors.mlflow.documents import millis, pairs
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.doors.mlflow.calls import Call
    from clary.doors.mlflow.filters import Kind, Look, Value
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

GROUP, PACKAGE = "model-package-group", "model-package"
NAME, NOTE, ALIAS = "mlflow.registeredModelName", "mlflow.note.content", "mlflow.alias."
SOURCE, RUN, MODEL, RUN_LINK, STAGE = (
    *("mlflow.source", "mlflow.runId", "mlflow.modelId", "mlflow.runLink", "mlflow.stage"),
)
STAGES = {
    "None": "PendingManualApproval",
    "Staging": "PendingManualApproval",
    "Production": "Approved",
    "Archived": "Rejected",
}
"""What a stage means for the approval of a model package."""
_SHOWN = {"Approved": "Production", "Rejected": "Archived"}
_PROMPT = "mlflow.prompt.is_prompt"
"""Clients ask for models by saying that this is not true."""
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_LONGEST_NAME = 256
_LONGEST_SLUG = 54
_PAGE = 1_000


def group_ref(near: Ref, name: str) -> Ref:
    """Name the group of a registered model, whose name may be no legal one of a group.

    Raises
    ------
    InvalidInput
        No registered model can be called so.

    Examples
    --------
    >>> from clary.kernel.names import Ref
    >>> group_ref(Ref("1", "us-east-1", "", ""), "abalone-age").name
    'abalone-age'
    """
    if not 1 <= len(name) <= _LONGEST_NAME or "/" in name or ":" in name:
        legal = f"1 to {_LONGEST_NAME} characters without / and :"
        raise InvalidInput("name", f"{name[:40]!r}", legal=legal)
    if _LEGAL_NAME.fullmatch(name):
        return near.sibling(GROUP, name)
    words = "-".join(re.findall(r"[A-Za-z0-9]+", name))[:_LONGEST_SLUG].strip("-")
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return near.sibling(GROUP, f"{words}-{mark}" if words else mark)


def find_group(call: Call, name: str) -> Resource:
    """Read the group of a registered model. Raises NotFound."""
    found = call.platform.store.get(group_ref(call.near, name))
    if found is None:
        raise NotFound(f"registered model {name}")
    return found


def find_version(call: Call, name: str, version: str) -> Resource:
    """Read a version of a registered model. Raises NotFound."""
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("version", f"{version[:40]!r}", legal="a number")
    group = group_ref(call.near, name)
    found = call.platform.store.get(group.sibling(PACKAGE, group.name, int(version)))
    if found is None:
        raise NotFound(f"version {version} of registered model {name}")
    return found


def groups(call: Call) -> Iterator[Resource]:
    """Yield every group of the account and region."""
    yield from _every(call, Query(GROUP, call.near.account, call.near.region, limit=_PAGE))


def versions(call: Call, group: Ref) -> Iterator[Resource]:
    """Yield the versions of a group, the newest first."""
    query = Query(PACKAGE, group.account, group.region, parent=group, sort_by="version")
    yield from _every(call, replace(query, limit=_PAGE))


def _every(call: Call, query: Query) -> Iterator[Resource]:
    while True:
        page = call.platform.models.list(query)
        yield from page.items
        if not page.token:
            return
        query = replace(query, token=page.token)


def name_of(group: Ref, tags: Mapping[str, str]) -> str:
    """Return what a registered model is called."""
    return tags.get(NAME, group.name)


def aliases_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Read the aliases of a registered model off its group's tags: versions by alias."""
    return {
        key.removeprefix(ALIAS): version for key, version in tags.items() if key.startswith(ALIAS)
    }


def model_documents(call: Call, found: Sequence[Resource]) -> list[JsonObject]:
    """Write registered models."""
    tags = call.platform.store.tags_of(one.ref for one in found)
    return [_model(call, one, tags.get(one.ref, {})) for one in found]


def _model(call: Call, found: Resource, tags: Mapping[str, str]) -> JsonObject:
    request = found.body["request"]
    latest: dict[str, Resource] = {}
    for one in versions(call, found.ref):
        latest.setdefault(stage_of(one), one)
    shown = {key: text for key, text in tags.items() if not key.startswith((ALIAS, NAME, NOTE))}
    aliases = [{"alias": alias, "version": version} for alias, version in aliases_of(tags).items()]
    return {
        "name": name_of(found.ref, tags),
        "creation_timestamp": millis(found.created_at),
        "last_updated_timestamp": millis(found.modified_at),
        "description": tags.get(NOTE) or request.get("ModelPackageGroupDescription", ""),
        "latest_versions": version_documents(call, list(latest.values())),
        "tags": pairs(shown),
        "aliases": aliases,
    }


def version_documents(call: Call, found: Sequence[Resource]) -> list[JsonObject]:
    """Write versions; packages that belong to no group are none."""
    refs = {one.parent for one in found if one.parent}
    tags = call.platform.store.tags_of([*(one.ref for one in found), *refs])
    return [
        _version(one, tags.get(one.ref, {}), one.parent, tags.get(one.parent, {}))
        for one in found
        if one.parent
    ]


def stage_of(found: Resource) -> str:
    """Return the stage that a version is in."""
    request = found.body["request"]
    waiting: str = request.get("CustomerMetadataProperties", {}).get(STAGE, "None")
    return _SHOWN.get(request.get("ModelApprovalStatus", ""), waiting)


def _version(
    found: Resource, tags: Mapping[str, str], group: Ref, group_tags: Mapping[str, str]
) -> JsonObject:
    request = found.body["request"]
    known = request.get("CustomerMetadataProperties", {})
    number = str(found.ref.version)
    return {
        "name": name_of(group, group_tags),
        "version": number,
        "creation_timestamp": millis(found.created_at),
        "last_updated_timestamp": millis(found.modified_at),
        "user_id": found.body["created_by"],
        "current_stage": stage_of(found),
        "description": request.get("ModelPackageDescription", ""),
        "source": known.get(SOURCE) or _files(request),
        "run_id": known.get(RUN, ""),
        "model_id": known.get(MODEL, ""),
        "run_link": known.get(RUN_LINK, ""),
        "status": "READY",
        "tags": pairs(tags),
        "aliases": [alias for alias, one in aliases_of(group_tags).items() if one == number],
    }


def _files(request: JsonObject) -> str:
    """Say where the model of a package lies that was not registered by MLflow."""
    containers = request.get("InferenceSpecification", {}).get("Containers", [])
    return next((one["ModelDataUrl"] for one in containers if one.get("ModelDataUrl")), "")


def look(document: JsonObject) -> Look:
    """Give what a search compares of a document."""

    def find(kind: Kind, key: str) -> Sequence[Value]:
        if kind == "tag":
            found = [tag["value"] for tag in document["tags"] if tag["key"] == key]
            return found or (["false"] if key == _PROMPT else [])
        value: Value = document.get(key)
        return [float(value) if key == "version" and value is not None else value]

    return find
