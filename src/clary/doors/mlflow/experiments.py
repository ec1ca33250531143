"""Experiments, as MLflow's clients know them."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import msgspec

from clary.doors.mlflow.calls import Pair, page
from clary.doors.mlflow.filters import Names, ordered, parse, parse_order
from clary.experiments.model import EXPERIMENT, named
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.doors.mlflow.calls import Call, Endpoint
    from clary.doors.mlflow.filters import Kind, Look, Value
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

DEFAULT = "Default"
_IDS = {"0": "default", "default": "0"}
"""MLflow's first experiment has the id 0; the two words change places."""
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}")
_LONGEST_NAME = 500
_LONGEST_SLUG = 100
_LONGEST_TAG = 8_000
_LONGEST_KEY = 250
_DELETED = "deleted"
_PAGE = 1_000
_MOST_LISTED = 50_000
_NAMES = Names(
    {
        "name": "name",
        "experiment_id": "experiment_id",
        "creation_time": "creation_time",
        "last_update_time": "last_update_time",
    },
    frozenset({"creation_time", "last_update_time"}),
    ("tag",),
)

View = Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]


class Create(msgspec.Struct, frozen=True):
    """Make an experiment."""

    name: str
    artifact_location: str = ""
    tags: list[Pair] = []


class ById(msgspec.Struct, frozen=True):
    """Name an experiment by its id."""

    experiment_id: str


class ByName(msgspec.Struct, frozen=True):
    """Name an experiment by its name."""

    experiment_name: str


class Update(msgspec.Struct, frozen=True):
    """Rename an experiment."""

    experiment_id: str
    new_name: str = ""


class Tag(msgspec.Struct, frozen=True):
    """Set a tag, or remove it."""

    experiment_id: str
    key: str
    value: str = ""


class Search(msgspec.Struct, frozen=True):
    """Find experiments."""

    max_results: int = 1_000
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []
    view_type: View = "ACTIVE_ONLY"


def experiment_ref(near: Ref, experiment_id: str) -> Ref:
    """Name the experiment that an id stands for."""
    return named(near, EXPERIMENT, _IDS.get(experiment_id, experiment_id))


def experiment_id(ref: Ref) -> str:
    """Return the id of an experiment."""
    return _IDS.get(ref.name, ref.name)


def is_deleted(found: Resource) -> bool:
    """Say whether somebody has deleted it, so that it can be restored."""
    return bool(found.body.get("notes", {}).get(_DELETED))


def is_seen(view: View, *, deleted: bool) -> bool:
    """Say whether a view shows what is deleted or not."""
    return view == "ALL" or deleted == (view == "DELETED_ONLY")


def find(call: Call, ident: str, *, active: bool = False) -> Resource:
    """Read an experiment; the default one is made when it is asked for.

    Raises
    ------
    NotFound
        There is no such experiment.
    InvalidInput
        It is deleted and must be active.
    """
    ref = experiment_ref(call.near, ident)
    if ident == "0":
        call.platform.experiments.runs.ensure_experiment(call.near, DEFAULT, actor=call.actor)
    found = call.platform.experiments.get(ref)
    if active and is_deleted(found):
        legal = "an active experiment; restore it"
        raise InvalidInput("experiment_id", f"{ident} is deleted", legal=legal)
    return found


def check_tags(tags: Sequence[Pair]) -> dict[str, str | None]:
    """Read tags. Raises InvalidInput when a key or a text is too long."""
    for tag in tags:
        if not 1 <= len(tag.key) <= _LONGEST_KEY:
            legal = f"1 to {_LONGEST_KEY} characters"
            raise InvalidInput("key", f"a tag's has {len(tag.key)}", legal=legal)
        if len(tag.value) > _LONGEST_TAG:
            legal = f"at most {_LONGEST_TAG}"
            raise InvalidInput(f"tag {tag.key}", f"{len(tag.value)} characters", legal=legal)
    return {tag.key: tag.value for tag in tags}


def _name(found: Resource) -> str:
    request = found.body["request"]
    name: str = request.get("DisplayName") or request["ExperimentName"]
    return name


def _by_name(call: Call, name: str) -> Resource | None:
    """Find an experiment by the name that people see; SageMaker's legal ones have no case."""
    direct = call.platform.store.get(named(call.near, EXPERIMENT, name))
    shown = Query(
        EXPERIMENT, call.near.account, call.near.region, where={"request.DisplayName": name}
    )
    candidates = [*([direct] if direct else []), *call.platform.experiments.list(shown).items]
    return next((one for one in candidates if _name(one).lower() == name.lower()), None)


def _create(call: Call, request: Create) -> JsonObject:
    name = _checked(request.name)
    if request.artifact_location:
        legal = "none: artifacts are objects of this platform"
        raise InvalidInput("artifact_location", f"{request.artifact_location[:80]!r}", legal=legal)
    if _by_name(call, name) is not None:
        raise AlreadyExists(f"experiment {name}")
    inner = _inner_name(call, name)
    ref = named(call.near, EXPERIMENT, inner)
    document = {"ExperimentName": inner, **({"DisplayName": name} if inner != name else {})}
    tags = {key: text or "" for key, text in check_tags(request.tags).items()}
    call.platform.experiments.create_experiment(ref, document, actor=call.actor, tags=tags)
    return {"experiment_id": experiment_id(ref)}


def _checked(name: str) -> str:
    if not 1 <= len(name) <= _LONGEST_NAME or not name.strip():
        raise InvalidInput("name", f"{name[:40]!r}", legal=f"1 to {_LONGEST_NAME} characters")
    return name


def _inner_name(call: Call, name: str) -> str:
    """Choose the legal name of an experiment: the same for two who make it at once."""
    words = "-".join(re.findall(r"[A-Za-z0-9]+", name))[:_LONGEST_SLUG].strip("-")
    slug = f"{words}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")
    direct = [name] if _LEGAL_NAME.fullmatch(name) and name not in _IDS else []
    for inner in (*direct, slug):  # another may have the name, and be shown under a new one
        if call.platform.store.get(named(call.near, EXPERIMENT, inner)) is None:
            return inner
    return f"{slug}-{secrets.token_hex(4)}"


def _get(call: Call, request: ById) -> JsonObject:
    return {"experiment": _written(call, [find(call, request.experiment_id)])[0]}


def _get_by_name(call: Call, request: ByName) -> JsonObject:
    if request.experiment_name == DEFAULT:
        return _get(call, ById("0"))
    found = _by_name(call, request.experiment_name)
    if found is None:
        raise NotFound(f"experiment {request.experiment_name[:200]}")
    return {"experiment": _written(call, [found])[0]}


def _delete(call: Call, request: ById) -> JsonObject:
    if request.experiment_id == "0":
        raise InvalidInput("experiment_id", "the default experiment cannot be deleted")
    found = find(call, request.experiment_id, active=True)
    note_deleted(call, found.ref, deleted=True)
    return {}


def note_deleted(call: Call, ref: Ref, *, deleted: bool) -> None:
    """Note that something is deleted, or no more."""

    def change(notes: JsonObject) -> JsonObject:
        kept = {key: value for key, value in notes.items() if key != _DELETED}
        return {**kept, _DELETED: True} if deleted else kept

    call.platform.experiments.note(ref, change, actor=call.actor)


def _restore(call: Call, request: ById) -> JsonObject:
    note_deleted(call, find(call, request.experiment_id).ref, deleted=False)
    return {}


def _update(call: Call, request: Update) -> JsonObject:
    found = find(call, request.experiment_id, active=True)
    if request.new_name:
        name = _checked(request.new_name)
        held = _by_name(call, name)
        if held is not None and held.ref != found.ref:
            raise AlreadyExists(f"experiment {name}")
        call.platform.experiments.update(found.ref, {"DisplayName": name}, actor=call.actor)
    return {}


def _set_tag(call: Call, request: Tag) -> JsonObject:
    found = find(call, request.experiment_id, active=True)
    tags = check_tags([Pair(request.key, request.value)])
    with call.platform.store.begin() as transaction:
        transaction.tag(found.ref, tags)
    return {}


def _delete_tag(call: Call, request: Tag) -> JsonObject:
    found = find(call, request.experiment_id, active=True)
    if request.key not in call.platform.store.tags(found.ref):
        raise NotFound(f"tag {request.key[:200]} of experiment {request.experiment_id}")
    with call.platform.store.begin() as transaction:
        transaction.tag(found.ref, {request.key: None})
    return {}


def _search(call: Call, request: Search) -> JsonObject:
    clauses = parse(request.filter, _NAMES)
    orders = parse_order(request.order_by or ["creation_time DESC", "experiment_id"], _NAMES)
    seen = [one for one in every(call) if is_seen(request.view_type, deleted=is_deleted(one))]
    rows = [row for row in _written(call, seen) if all(one.holds(_look(row)) for one in clauses)]
    rows = ordered(rows, orders, _look)
    listed, token = page(rows, request.page_token, request.max_results, _MOST_LISTED)
    return {"experiments": listed, **({"next_page_token": token} if token else {})}


def every(call: Call) -> Iterator[Resource]:
    """Yield every experiment of the account and region."""
    query = Query(EXPERIMENT, call.near.account, call.near.region, limit=_PAGE)
    while True:
        found = call.platform.experiments.list(query)
        yield from found.items
        if not found.token:
            return
        query = replace(query, token=found.token)


def _look(row: JsonObject) -> Look:
    def look(kind: Kind, key: str) -> Sequence[Value]:
        if kind == "tag":
            return [tag["value"] for tag in row["tags"] if tag["key"] == key]
        value: Value = row[key]
        return [value]

    return look


def _written(call: Call, found: Sequence[Resource]) -> list[JsonObject]:
    tags = call.platform.store.tags_of(one.ref for one in found)
    return [_document(one, tags.get(one.ref, {})) for one in found]


def _document(found: Resource, tags: Mapping[str, str]) -> JsonObject:
    ident = experiment_id(found.ref)
    return {
        "experiment_id": ident,
        "name": _name(found),
        "artifact_location": f"mlflow-artifacts:/experiments/{ident}",
        "lifecycle_stage": "deleted" if is_deleted(found) else "active",
        "creation_time": int(found.created_at.timestamp() * 1000),
        "last_update_time": int(found.modified_at.timestamp() * 1000),
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }


ENDPOINTS: dict[str, Endpoint] = {
    "POST experiments/create": (Create, _create),
    "GET experiments/get": (ById, _get),
    "GET experiments/get-by-name": (ByName, _get_by_name),
    "POST experiments/delete": (ById, _delete),
    "POST experiments/restore": (ById, _restore),
    "POST experiments/update": (Update, _update),
    "POST experiments/set-experiment-tag": (Tag, _set_tag),
    "POST experiments/delete-experiment-tag": (Tag, _delete_tag),
    "POST experiments/search": (Search, _search),
    "GET experiments/search": (Search, _search),
}
