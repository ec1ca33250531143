"""The model registry, as MLflow's clients know it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from clary.doors.mlflow import registered
from clary.doors.mlflow.calls import Pair, page
from clary.doors.mlflow.experiments import check_tags
from clary.doors.mlflow.filters import Names, ordered, parse, parse_order
from clary.doors.mlflow.logged_models import model_ref
from clary.doors.mlflow.registered import ALIAS, MODEL, NAME, NOTE, RUN, RUN_LINK, SOURCE, STAGE
from clary.doors.mlflow.runs import run_ref
from clary.kernel.errors import InvalidInput, NotFound, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clary.doors.mlflow.calls import Call, Endpoint
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_MOST_MODELS = 1_000
_MOST_VERSIONS = 200_000
_SOURCE = re.compile(r"models:/(m-[0-9a-f]+)|mlflow-artifacts:/+(runs|models)/([^/]+)(?:/.*)?")
_ALIAS = re.compile(r"[\w-]{1,255}")
_TIMES = frozenset({"creation_timestamp", "last_updated_timestamp"})
_ALTERNATES = {"timestamp": "last_updated_timestamp", **{name: name for name in _TIMES}}
_MODEL_NAMES = Names({"name": "name", **_ALTERNATES}, _TIMES, ("tag",))
_VERSION_NAMES = Names(
    {
        **{name: name for name in ("name", "run_id", "model_id", "current_stage")},
        "source_path": "source",
        "version_number": "version",
        "version": "version",
        **_ALTERNATES,
    },
    frozenset({"version", *_TIMES}),
    ("tag",),
)

Stage = Literal["None", "Staging", "Production", "Archived"]
_STAGES = {word.lower(): word for word in registered.STAGES}


class Model(msgspec.Struct, frozen=True):
    """Name a registered model; make or describe one."""

    name: str
    description: str = ""
    tags: list[Pair] = []
    stages: list[str] = []


class Rename(msgspec.Struct, frozen=True):
    """Rename a registered model."""

    name: str
    new_name: str = ""


class NewVersion(msgspec.Struct, frozen=True):
    """Register a version."""

    name: str
    source: str
    run_id: str = ""
    run_link: str = ""
    description: str = ""
    model_id: str = ""
    tags: list[Pair] = []


class Version(msgspec.Struct, frozen=True):
    """Name a version; describe it or move it to a stage."""

    name: str
    version: str
    description: str = ""
    stage: str = "None"
    archive_existing_versions: bool = False


class Tag(msgspec.Struct, frozen=True):
    """Set a tag of a model or a version, or remove it."""

    name: str
    key: str
    value: str = ""
    version: str = ""


class Alias(msgspec.Struct, frozen=True):
    """Give a version another name, or take it away."""

    name: str
    alias: str
    version: str = ""


class Search(msgspec.Struct, frozen=True):
    """Find models or versions."""

    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


def _create(call: Call, request: Model) -> JsonObject:
    ref = registered.group_ref(call.near, request.name)
    tags = {key: text or "" for key, text in check_tags(request.tags).items()}
    tags |= {NAME: request.name} if ref.name != request.name else {}
    document = {"ModelPackageGroupName": ref.name}
    if request.description:
        document["ModelPackageGroupDescription"] = request.description
    call.platform.models.create_group(ref, document, actor=call.actor, tags=tags)
    return _get(call, Model(request.name))


def _get(call: Call, request: Model) -> JsonObject:
    found = registered.find_group(call, request.name)
    return {"registered_model": registered.model_documents(call, [found])[0]}


def _update(call: Call, request: Model) -> JsonObject:
    _tag(call, registered.find_group(call, request.name).ref, NOTE, request.description or None)
    return _get(call, request)


def _rename(_: Call, request: Rename) -> JsonObject:
    raise NotSupported(
        f"registered model {request.name[:80]} cannot be renamed: its versions are named after it",
        hint="register it anew",
    )


def _delete(call: Call, request: Model) -> JsonObject:
    group = registered.find_group(call, request.name).ref
    for one in list(registered.versions(call, group)):
        call.platform.models.delete_package(one.ref, actor=call.actor)
    call.platform.models.delete_group(group, actor=call.actor)
    return {}


def _search(call: Call, request: Search) -> JsonObject:
    clauses = parse(request.filter, _MODEL_NAMES)
    orders = parse_order([*request.order_by, "name"], _MODEL_NAMES)
    rows = registered.model_documents(call, list(registered.groups(call)))
    rows = [one for one in rows if all(clause.holds(registered.look(one)) for clause in clauses)]
    rows = ordered(rows, orders, registered.look)
    listed, token = page(rows, request.page_token, request.max_results, _MOST_MODELS)
    return {"registered_models": listed, **({"next_page_token": token} if token else {})}


def _latest(call: Call, request: Model) -> JsonObject:
    wanted = {_stage(one) for one in request.stages} or set(registered.STAGES)
    latest: dict[str, Resource] = {}
    for one in registered.versions(call, registered.find_group(call, request.name).ref):
        latest.setdefault(registered.stage_of(one), one)
    found = [one for stage, one in latest.items() if stage in wanted]
    return {"model_versions": registered.version_documents(call, found)}


def _stage(text: str) -> str:
    if text.lower() not in _STAGES:
        raise InvalidInput("stage", f"{text[:40]!r}", legal=", ".join(_STAGES.values()))
    return _STAGES[text.lower()]


def _create_version(call: Call, request: NewVersion) -> JsonObject:
    group = registered.find_group(call, request.name).ref
    model_id, uri = _resolve(call, request)
    facts = {SOURCE: request.source, RUN: request.run_id, MODEL: model_id}
    facts |= {RUN_LINK: request.run_link}
    document = {
        "ModelPackageGroupName": group.name,
        "ModelPackageDescription": request.description,
        "SourceUri": uri,
        "CustomerMetadataProperties": {key: text for key, text in facts.items() if text},
    }
    tags = {key: text or "" for key, text in check_tags(request.tags).items()}
    made = call.platform.models.create_package(
        call.near,
        {key: value for key, value in document.items() if value},
        actor=call.actor,
        tags=tags,
    )
    return _version_document(call, made)


def _resolve(call: Call, request: NewVersion) -> tuple[str, str]:
    """Say which logged model a source is, if one, and where its files lie."""
    match = _SOURCE.fullmatch(request.source)
    if match is None or ".." in request.source:
        legal = "models:/<model id>, mlflow-artifacts:/runs/… or mlflow-artifacts:/models/…"
        raise InvalidInput("source", f"{request.source[:80]!r}", legal=legal)
    logged, kind, name = match.groups()
    model_id = logged or (name if kind == "models" else "")
    ref = model_ref(call, model_id) if model_id else run_ref(call, name)
    if call.platform.store.get(ref) is None:
        raise NotFound(ref)
    bucket, prefix = call.platform.experiments.runs.artifacts(ref)
    inner = "" if logged else request.source.partition(f"/{name}")[2].strip("/")
    return request.model_id or model_id, f"s3://{bucket}/{prefix}{inner}"


def _version_document(call: Call, found: Resource) -> JsonObject:
    return {"model_version": registered.version_documents(call, [found])[0]}


def _get_version(call: Call, request: Version) -> JsonObject:
    return _version_document(call, registered.find_version(call, request.name, request.version))


def _update_version(call: Call, request: Version) -> JsonObject:
    found = registered.find_version(call, request.name, request.version)
    change = {"ModelPackageDescription": request.description}
    changed = call.platform.models.update_package(found.ref, change, actor=call.actor)
    return _version_document(call, changed)


def _transition(call: Call, request: Version) -> JsonObject:
    found = registered.find_version(call, request.name, request.version)
    stage = _stage(request.stage)
    if request.archive_existing_versions:
        if stage not in ("Staging", "Production"):
            legal = "only when it is Staging or Production"
            raise InvalidInput("archive_existing_versions", f"stage {stage}", legal=legal)
        if found.parent is not None:
            others = registered.versions(call, found.parent)
            _archive(call, (one for one in others if one.ref != found.ref), stage)
    return _version_document(call, _moved(call, found.ref, stage))


def _archive(call: Call, versions: Iterable[Resource], stage: str) -> None:
    for one in list(versions):
        if registered.stage_of(one) == stage:
            _moved(call, one.ref, "Archived")


def _moved(call: Call, ref: Ref, stage: str) -> Resource:
    change = {
        "ModelApprovalStatus": registered.STAGES[stage],
        "CustomerMetadataProperties": {STAGE: stage},
    }
    return call.platform.models.update_package(ref, change, actor=call.actor)


def _delete_version(call: Call, request: Version) -> JsonObject:
    found = registered.find_version(call, request.name, request.version)
    if found.parent is not None:
        held = registered.aliases_of(call.platform.store.tags(found.parent)).items()
        for alias in [alias for alias, one in held if one == str(found.ref.version)]:
            _tag(call, found.parent, ALIAS + alias, None)
    call.platform.models.delete_package(found.ref, actor=call.actor)
    return {}


def _search_versions(call: Call, request: Search) -> JsonObject:
    clauses = parse(request.filter, _VERSION_NAMES)
    orders = parse_order(
        [*request.order_by, "last_updated_timestamp DESC", "name", "version_number DESC"],
        _VERSION_NAMES,
    )
    named = [one.value for one in clauses if (one.key, one.operator) == ("name", "=")]
    if named:
        only = call.platform.store.get(registered.group_ref(call.near, str(named[0])))
        groups = [only] if only is not None else []
    else:
        groups = list(registered.groups(call))
    found = [one for group in groups for one in registered.versions(call, group.ref)]
    rows = [
        one
        for one in registered.version_documents(call, found)
        if all(clause.holds(registered.look(one)) for clause in clauses)
    ]
    rows = ordered(rows, orders, registered.look)
    listed, token = page(rows, request.page_token, request.max_results, _MOST_VERSIONS)
    return {"model_versions": listed, **({"next_page_token": token} if token else {})}


def _download_uri(call: Call, request: Version) -> JsonObject:
    found = _get_version(call, request)["model_version"]
    model_id, source = found["model_id"], found["source"]
    is_logged = model_id and source.startswith("models:/")
    return {"artifact_uri": f"mlflow-artifacts:/models/{model_id}" if is_logged else source}


def _set_tag(call: Call, request: Tag) -> JsonObject:
    check_tags([Pair(request.key, request.value)])
    _tag(call, _tagged(call, request), request.key, request.value)
    return {}


def _delete_tag(call: Call, request: Tag) -> JsonObject:
    _tag(call, _tagged(call, request), request.key, None)
    return {}


def _tagged(call: Call, request: Tag) -> Ref:
    if request.key.startswith((ALIAS, NAME)):
        raise InvalidInput("key", f"{request.key[:80]!r} is kept for clary", legal="another one")
    if request.version:
        return registered.find_version(call, request.name, request.version).ref
    return registered.find_group(call, request.name).ref


def _tag(call: Call, ref: Ref, key: str, value: str | None) -> None:
    with call.platform.store.begin() as transaction:
        transaction.tag(ref, {key: value})


def _set_alias(call: Call, request: Alias) -> JsonObject:
    found = registered.find_version(call, request.name, request.version)
    if not _ALIAS.fullmatch(request.alias) or request.alias.lower() == "latest":
        legal = "letters, digits, _ and -, at most 255, not latest"
        raise InvalidInput("alias", f"{request.alias[:40]!r}", legal=legal)
    group = registered.group_ref(call.near, request.name)
    _tag(call, group, ALIAS + request.alias, str(found.ref.version))
    return {}


def _delete_alias(call: Call, request: Alias) -> JsonObject:
    _tag(call, registered.find_group(call, request.name).ref, ALIAS + request.alias, None)
    return {}


def _get_by_alias(call: Call, request: Alias) -> JsonObject:
    group = registered.find_group(call, request.name).ref
    version = registered.aliases_of(call.platform.store.tags(group)).get(request.alias)
    if version is None:
        # the client takes this code, and no other, for an alias that there is not
        raise InvalidInput("alias", f"{request.alias[:80]!r} of {request.name} is not set")
    return _get_version(call, Version(request.name, version))


ENDPOINTS: dict[str, Endpoint] = {
    "POST registered-models/create": (Model, _create),
    "GET registered-models/get": (Model, _get),
    "PATCH registered-models/update": (Model, _update),
    "POST registered-models/rename": (Rename, _rename),
    "DELETE registered-models/delete": (Model, _delete),
    "GET registered-models/search": (Search, _search),
    "GET registered-models/get-latest-versions": (Model, _latest),
    "POST registered-models/get-latest-versions": (Model, _latest),
    "POST registered-models/set-tag": (Tag, _set_tag),
    "DELETE registered-models/delete-tag": (Tag, _delete_tag),
    "POST registered-models/alias": (Alias, _set_alias),
    "GET registered-models/alias": (Alias, _get_by_alias),
    "DELETE registered-models/alias": (Alias, _delete_alias),
    "POST model-versions/create": (NewVersion, _create_version),
    "GET model-versions/get": (Version, _get_version),
    "PATCH model-versions/update": (Version, _update_version),
    "POST model-versions/transition-stage": (Version, _transition),
    "DELETE model-versions/delete": (Version, _delete_version),
    "GET model-versions/search": (Search, _search_versions),
    "GET model-versions/get-download-uri": (Version, _download_uri),
    "POST model-versions/set-tag": (Tag, _set_tag),
    "DELETE model-versions/delete-tag": (Tag, _delete_tag),
}
