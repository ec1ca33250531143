"""Runs, as MLflow's clients log them and find them again."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal

import msgspec

from clary.doors.mlflow import documents, experiments
from clary.doors.mlflow.calls import Named, Pair, page
from clary.doors.mlflow.experiments import View, check_tags, is_seen, note_deleted
from clary.doors.mlflow.filters import Names, ordered, parse, parse_order
from clary.experiments.model import COMPONENT, named
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.mlflow.calls import Call, Endpoint
    from clary.experiments.model import Run
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_LONGEST_NAME = 500
_MOST_EXPERIMENTS = 1_000
_MOST_LISTED = 50_000
_NAMES = Names(
    {
        **{name: name for name in ("run_id", "run_name", "status", "user_id", "artifact_uri")},
        **{name: name for name in ("start_time", "end_time", "experiment_id")},
        **dict.fromkeys(("created", "Created"), "start_time"),
        **dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
    },
    frozenset({"start_time", "end_time"}),
    ("metric", "param", "tag", "dataset"),
)
_FIRST = ["start_time DESC", "run_id"]

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]


class Create(msgspec.Struct, frozen=True):
    """Begin a run."""

    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: int | None = None
    tags: list[Pair] = []


class Update(Named, frozen=True):
    """End a run, let it go on, or rename it."""

    status: Status | None = None
    end_time: int | None = None
    run_name: str = ""


class Tag(Named, frozen=True, kw_only=True):
    """Set a tag, or remove it."""

    key: str
    value: str = ""


class Search(msgspec.Struct, frozen=True):
    """Find runs."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: View = "ACTIVE_ONLY"
    max_results: int = 1_000
    order_by: list[str] = []
    page_token: str = ""


def run_ref(call: Call, run_id: str) -> Ref:
    """Name a run by its id. Raises InvalidInput when there is none."""
    if not run_id:
        raise InvalidInput("run_id", "missing", legal="the id of a run")
    return named(call.near, COMPONENT, run_id)


def require_active(call: Call, run_id: str) -> Ref:
    """Name a run that can be logged to.

    Raises
    ------
    NotFound
        There is no such run.
    InvalidInput
        It is deleted.
    """
    ref = run_ref(call, run_id)
    if experiments.is_deleted(call.platform.experiments.get(ref)):
        raise InvalidInput("run_id", f"{run_id} is deleted", legal="an active run; restore it")
    return ref


def _create(call: Call, request: Create) -> JsonObject:
    experiment = experiments.find(call, request.experiment_id, active=True)
    tags = {key: text or "" for key, text in check_tags(request.tags).items()}
    given = tags.pop(documents.RUN_NAME, "")
    if request.run_name and given and request.run_name != given:
        raise InvalidInput("run_name", f"{request.run_name[:80]!r}", legal=f"as tagged: {given!r}")
    name = _checked_name(request.run_name or given or f"run-{secrets.token_hex(3)}")
    if request.user_id:
        tags.setdefault("mlflow.user", request.user_id)
    started = request.start_time
    runs = call.platform.experiments.runs
    run = runs.begin(
        call.near,
        experiment.body["request"]["ExperimentName"],
        secrets.token_hex(16),
        actor=call.actor,
        display_name=name,
        tags=tags,
        started_at=None if started is None else documents.moment(started, "start_time"),
    )
    bucket, prefix = runs.artifacts(run.ref)
    runs.log(run.ref, actor=call.actor, outputs={"artifacts": f"s3://{bucket}/{prefix}"})
    return {"run": documents.run_document(run, deleted=False)}


def _checked_name(name: str) -> str:
    if len(name) > _LONGEST_NAME:
        raise InvalidInput("run_name", f"{len(name)} characters", legal=f"at most {_LONGEST_NAME}")
    return name


def _update(call: Call, request: Update) -> JsonObject:
    ref = require_active(call, request.run)
    if request.run_name:
        change = {"DisplayName": _checked_name(request.run_name)}
        call.platform.experiments.update(ref, change, actor=call.actor)
    if request.status is not None:
        ended = request.end_time
        call.platform.experiments.runs.end(
            ref,
            documents.STATUSES[request.status],
            actor=call.actor,
            ended_at=now() if ended is None else documents.moment(ended, "end_time"),
        )
    return {"run_info": documents.info(call.platform.experiments.runs.get(ref), deleted=False)}


def _get(call: Call, request: Named) -> JsonObject:
    run = call.platform.experiments.runs.get(run_ref(call, request.run))
    return {"run": documents.run_document(run, deleted=_is_deleted(run))}


def _is_deleted(run: Run) -> bool:
    return bool(run.notes.get("deleted"))


def _delete(call: Call, request: Named) -> JsonObject:
    note_deleted(call, require_active(call, request.run), deleted=True)
    return {}


def _restore(call: Call, request: Named) -> JsonObject:
    note_deleted(call, run_ref(call, request.run), deleted=False)
    return {}


def _set_tag(call: Call, request: Tag) -> JsonObject:
    ref = require_active(call, request.run)
    log_tags(call, ref, [Pair(request.key, request.value)])
    return {}


def log_tags(call: Call, ref: Ref, tags: Sequence[Pair]) -> None:
    """Set tags of a run; the tag of its name renames it."""
    given = check_tags(tags)
    name = given.pop(documents.RUN_NAME, None)
    if name:
        change = {"DisplayName": _checked_name(name)}
        call.platform.experiments.update(ref, change, actor=call.actor)
    call.platform.experiments.runs.log(ref, actor=call.actor, tags=given)


def _delete_tag(call: Call, request: Tag) -> JsonObject:
    ref = require_active(call, request.run)
    if request.key not in call.platform.store.tags(ref):
        raise NotFound(f"tag {request.key[:200]} of run {request.run}")
    call.platform.experiments.runs.log(ref, actor=call.actor, tags={request.key: None})
    return {}


def _search(call: Call, request: Search) -> JsonObject:
    clauses = parse(request.filter, _NAMES)
    orders = parse_order([*request.order_by, *_FIRST], _NAMES)
    if len(request.experiment_ids) > _MOST_EXPERIMENTS:
        given = f"{len(request.experiment_ids)} of them"
        raise InvalidInput("experiment_ids", given, legal=f"at most {_MOST_EXPERIMENTS}")
    refs = dict.fromkeys(
        experiments.experiment_ref(call.near, one) for one in request.experiment_ids
    )
    held = call.platform.store.get_all(refs)
    gone = {ref for ref, one in held.items() if experiments.is_deleted(one)}
    found = []
    for ref in held:
        for run in call.platform.experiments.runs.of([ref]):
            deleted = ref in gone or _is_deleted(run)
            look = documents.run_look(run)
            if is_seen(request.run_view_type, deleted=deleted) and all(
                one.holds(look) for one in clauses
            ):
                found.append((run, deleted))
    rows = ordered(found, orders, lambda pair: documents.run_look(pair[0]))
    listed, token = page(rows, request.page_token, request.max_results, _MOST_LISTED)
    written = [documents.run_document(run, deleted=deleted) for run, deleted in listed]
    return {"runs": written, **({"next_page_token": token} if token else {})}


ENDPOINTS: dict[str, Endpoint] = {
    "POST runs/create": (Create, _create),
    "POST runs/update": (Update, _update),
    "GET runs/get": (Named, _get),
    "POST runs/delete": (Named, _delete),
    "POST runs/restore": (Named, _restore),
    "POST runs/set-tag": (Tag, _set_tag),
    "POST runs/delete-tag": (Tag, _delete_tag),
    "POST runs/search": (Search, _search),
}
