"""Logged models, as MLflow's clients make and find them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.doors.mlflow import documents, experiments
from clary.doors.mlflow.calls import Pair, page
from clary.doors.mlflow.filters import Names, ordered, parse, parse_order
from clary.experiments.model import LOGGED_MODEL
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.mlflow.calls import Call, Endpoint
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_MOST_LISTED = 1_000
_LONGEST_NAME = 500
_ATTRIBUTES = ("model_id", "experiment_id", "name", "status", "model_type", "source_run_id")
_TIMES = ("creation_timestamp_ms", "last_updated_timestamp_ms")
_NAMES = Names(
    {
        **{name: name for name in (*_ATTRIBUTES, *_TIMES)},
        **{name.removesuffix("_ms"): name for name in _TIMES},
        "creation_time": "creation_timestamp_ms",
    },
    frozenset(_TIMES),
    ("metric", "param", "tag"),
)

Status = Literal["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"]


class Used(msgspec.Struct, frozen=True):
    """A model that a run has used."""

    model_id: str


class Made(msgspec.Struct, frozen=True):
    """A model that a run has made at a step."""

    model_id: str
    step: int = 0


class Create(msgspec.Struct, frozen=True):
    """Make a model."""

    experiment_id: str = "0"
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[Pair] = []
    tags: list[Pair] = []


class Finalize(msgspec.Struct, frozen=True):
    """Say that its files are there, or that they are not coming."""

    model_id: str
    status: Status


class ById(msgspec.Struct, frozen=True):
    """Name a model."""

    model_id: str


class Change(msgspec.Struct, frozen=True):
    """Add tags or parameters."""

    model_id: str
    tags: list[Pair] = []
    params: list[Pair] = []


class Tag(msgspec.Struct, frozen=True):
    """Remove a tag."""

    model_id: str
    tag_key: str


class OrderBy(msgspec.Struct, frozen=True):
    """What models are sorted by."""

    field_name: str
    ascending: bool = True


class Search(msgspec.Struct, frozen=True):
    """Find models."""

    experiment_ids: list[str] = []
    filter: str = ""
    datasets: list[dict[str, str]] = []
    max_results: int = 100
    order_by: list[OrderBy] = []
    page_token: str = ""


def model_ref(call: Call, model_id: str) -> Ref:
    """Name a model by its id."""
    return call.near.sibling(LOGGED_MODEL, model_id)


def log_metrics(call: Call, run_id: str, metrics: Sequence[Any]) -> None:
    """Note metrics of a run that are told of models, too: the latest value for each dataset."""
    by_model: dict[str, dict[str, JsonObject]] = defaultdict(dict)
    for one in metrics:
        if one.model_id:
            key = f"{one.key}/{one.dataset_name}/{one.dataset_digest}"
            by_model[one.model_id][key] = {
                "key": one.key,
                "value": documents.number(one.value),
                "timestamp": documents.millis(now()) if one.timestamp is None else one.timestamp,
                "step": one.step,
                "model_id": one.model_id,
                "run_id": run_id,
                "dataset_name": one.dataset_name,
                "dataset_digest": one.dataset_digest,
            }
    for model_id, values in by_model.items():
        call.platform.experiments.logged_models.log(
            model_ref(call, model_id), actor=call.actor, metrics=values
        )


def _create(call: Call, request: Create) -> JsonObject:
    experiment = experiments.find(call, request.experiment_id, active=True)
    name = request.name or f"model-{secrets.token_hex(3)}"
    if len(name) > _LONGEST_NAME:
        raise InvalidInput("name", f"{len(name)} characters", legal=f"at most {_LONGEST_NAME}")
    models = call.platform.experiments.logged_models
    made = models.create(
        experiment.ref,
        name,
        actor=call.actor,
        status="LOGGED_MODEL_PENDING",
        kind=request.model_type,
        run=request.source_run_id,
    )
    if request.params or request.tags:
        made = models.log(
            made.ref,
            actor=call.actor,
            parameters={one.key: one.value for one in request.params},
            tags=experiments.check_tags(request.tags),
        )
    return {"model": documents.model_document(made)}


def _finalize(call: Call, request: Finalize) -> JsonObject:
    ref = model_ref(call, request.model_id)
    models = call.platform.experiments.logged_models
    made = models.log(ref, actor=call.actor, status=request.status)
    return {"model": documents.model_document(made)}


def _get(call: Call, request: ById) -> JsonObject:
    found = call.platform.experiments.logged_models.get(model_ref(call, request.model_id))
    return {"model": documents.model_document(found)}


def _delete(call: Call, request: ById) -> JsonObject:
    ref = model_ref(call, request.model_id)
    call.platform.experiments.logged_models.delete(ref, actor=call.actor)
    return {}


def _change(call: Call, request: Change) -> JsonObject:
    changed = call.platform.experiments.logged_models.log(
        model_ref(call, request.model_id),
        actor=call.actor,
        parameters={one.key: one.value for one in request.params},
        tags=experiments.check_tags(request.tags),
    )
    return {"model": documents.model_document(changed)}


def _log_parameters(call: Call, request: Change) -> JsonObject:
    _change(call, request)
    return {}


def _delete_tag(call: Call, request: Tag) -> JsonObject:
    ref = model_ref(call, request.model_id)
    models = call.platform.experiments.logged_models
    if request.tag_key not in models.get(ref).tags:
        raise NotFound(f"tag {request.tag_key[:200]} of model {request.model_id}")
    models.log(ref, actor=call.actor, tags={request.tag_key: None})
    return {}


def _search(call: Call, request: Search) -> JsonObject:
    clauses = parse(request.filter, _NAMES)
    asked = [f"{one.field_name} {'ASC' if one.ascending else 'DESC'}" for one in request.order_by]
    orders = parse_order([*asked, "creation_timestamp_ms DESC", "model_id"], _NAMES)
    refs = dict.fromkeys(
        experiments.experiment_ref(call.near, one) for one in request.experiment_ids
    )
    found = [
        one
        for one in call.platform.experiments.logged_models.of(refs)
        if all(clause.holds(documents.model_look(one)) for clause in clauses)
    ]
    rows = ordered(found, orders, documents.model_look)
    listed, token = page(rows, request.page_token, request.max_results, _MOST_LISTED)
    written = [documents.model_document(one) for one in listed]
    return {"models": written, **({"next_page_token": token} if token else {})}


ENDPOINTS: dict[str, Endpoint] = {
    "POST logged-models": (Create, _create),
    "POST logged-models/search": (Search, _search),
    "GET logged-models/{model_id}": (ById, _get),
    "PATCH logged-models/{model_id}": (Finalize, _finalize),
    "DELETE logged-models/{model_id}": (ById, _delete),
    "PATCH logged-models/{model_id}/tags": (Change, _change),
    "POST logged-models/{model_id}/params": (Change, _log_parameters),
    "DELETE logged-models/{model_id}/tags/{tag_key}": (Tag, _delete_tag),
}
