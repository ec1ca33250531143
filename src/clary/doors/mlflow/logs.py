"""What is logged to a run: metrics, parameters, tags, datasets, models; and metrics read back."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from clary.doors.mlflow import documents, logged_models
from clary.doors.mlflow.calls import Named, Pair
from clary.doors.mlflow.runs import log_tags, require_active, run_ref
from clary.experiments.ports import Point
from clary.kernel.clock import now
from clary.kernel.codec import from_json, to_json
from clary.kernel.errors import InvalidInput
from clary.kernel.paging import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.mlflow.calls import Call, Endpoint
    from clary.kernel.ports import JsonObject

MOST_METRICS = 1_000
MOST_POINTS = 25_000
_LONGEST_KEY = 250
_LONGEST_VALUE = 6_000
_MOST_RUNS = 100
_MOST_SAMPLES = 2_500
_MOST_MODELS_TOLD = 100
_HISTORY = "mlflow.log-model.history"


class Metric(msgspec.Struct, frozen=True):
    """A value of a metric."""

    key: str
    value: float
    timestamp: int | None = None
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogMetric(Named, frozen=True, kw_only=True):
    """Log one value of a metric."""

    key: str
    value: float
    timestamp: int | None = None
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogParameter(Named, frozen=True, kw_only=True):
    """Log one parameter."""

    key: str
    value: str = ""


class LogBatch(Named, frozen=True):
    """Log several things."""

    metrics: tuple[Metric, ...] = ()
    params: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()


class Dataset(msgspec.Struct, frozen=True, omit_defaults=True):
    """Data that a run has used; ``schema`` and ``profile`` are JSON texts."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetInput(msgspec.Struct, frozen=True):
    """Data that a run has used, and what for."""

    dataset: Dataset
    tags: tuple[Pair, ...] = ()


class LogInputs(Named, frozen=True):
    """Say what a run has used."""

    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[logged_models.Used, ...] = ()


class LogOutputs(Named, frozen=True):
    """Say which models a run has made."""

    models: tuple[logged_models.Made, ...] = ()


class LogModel(Named, frozen=True, kw_only=True):
    """Tell a run of a model among its artifacts."""

    model_json: str


class History(Named, frozen=True, kw_only=True):
    """Read a metric."""

    metric_key: str
    page_token: str = ""
    max_results: int = MOST_POINTS


class BulkInterval(msgspec.Struct, frozen=True):
    """Read a metric of several runs, thinned out."""

    metric_key: str
    run_ids: tuple[str, ...] = ()
    start_step: int | None = None
    end_step: int | None = None
    max_results: int = _MOST_SAMPLES


def _log_metric(call: Call, request: LogMetric) -> JsonObject:
    one = Metric(
        *(request.key, request.value, request.timestamp, request.step),
        *(request.model_id, request.dataset_name, request.dataset_digest),
    )
    return _log_batch(call, LogBatch(run_id=request.run, metrics=(one,)))


def _log_parameter(call: Call, request: LogParameter) -> JsonObject:
    pair = Pair(request.key, request.value)
    return _log_batch(call, LogBatch(run_id=request.run, params=(pair,)))


def _log_batch(call: Call, request: LogBatch) -> JsonObject:
    for member, most in (("metrics", MOST_METRICS), ("params", MOST_METRICS), ("tags", 100)):
        if len(getattr(request, member)) > most:
            raise InvalidInput(member, f"{len(getattr(request, member))}", legal=f"at most {most}")
    ref = require_active(call, request.run)
    call.platform.experiments.runs.log(
        ref,
        actor=call.actor,
        parameters=_parameters(request.params),
        points=[_point(one) for one in request.metrics],
        once=True,
    )
    if request.tags:
        log_tags(call, ref, request.tags)
    logged_models.log_metrics(call, ref.name, request.metrics)
    return {}


def _parameters(given: Sequence[Pair]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        if not 1 <= len(one.key) <= _LONGEST_KEY:
            legal = f"1 to {_LONGEST_KEY} characters"
            raise InvalidInput("key", f"a parameter's has {len(one.key)}", legal=legal)
        if len(one.value) > _LONGEST_VALUE:
            legal = f"at most {_LONGEST_VALUE}"
            raise InvalidInput(f"param {one.key}", f"{len(one.value)} characters", legal=legal)
        value = documents.parameter(one.value)
        if str(found.setdefault(one.key, value)) != one.value:
            raise InvalidInput("params", f"{one.key!r} is there twice, with different values")
    return found


def _point(one: Metric) -> Point:
    if not 1 <= len(one.key) <= _LONGEST_KEY:
        legal = f"1 to {_LONGEST_KEY} characters"
        raise InvalidInput("key", f"a metric's has {len(one.key)}", legal=legal)
    at = now() if one.timestamp is None else documents.moment(one.timestamp, "timestamp")
    return Point(one.key, one.value, at, one.step)


def _log_inputs(call: Call, request: LogInputs) -> JsonObject:
    ref = require_active(call, request.run)
    used = {f"{one.dataset.name}/{one.dataset.digest}": one for one in request.datasets}

    def change(notes: JsonObject) -> JsonObject:
        models = {one["model_id"]: one for one in notes.get("model_inputs", [])}
        models |= {one.model_id: {"model_id": one.model_id} for one in request.models}
        datasets = {**notes.get("datasets", {}), **msgspec.to_builtins(used)}
        return {**notes, "datasets": datasets, "model_inputs": list(models.values())}

    call.platform.experiments.note(ref, change, actor=call.actor)
    inputs = {one.dataset.name: one.dataset.source[:2048] for one in request.datasets}
    call.platform.experiments.runs.log(ref, actor=call.actor, inputs=inputs)
    return {}


def _log_outputs(call: Call, request: LogOutputs) -> JsonObject:
    ref = require_active(call, request.run)

    def change(notes: JsonObject) -> JsonObject:
        made = {(one["model_id"], one["step"]): one for one in notes.get("model_outputs", [])}
        for one in request.models:
            made[one.model_id, one.step] = {"model_id": one.model_id, "step": one.step}
        return {**notes, "model_outputs": list(made.values())}

    call.platform.experiments.note(ref, change, actor=call.actor)
    return {}


def _log_model(call: Call, request: LogModel) -> JsonObject:
    ref = require_active(call, request.run)
    told = from_json(request.model_json, field="model_json")
    if not isinstance(told, dict) or not {"artifact_path", "flavors"} <= told.keys():
        legal = "an object with artifact_path and flavors"
        raise InvalidInput("model_json", "not of a model", legal=legal)
    before = from_json(call.platform.store.tags(ref).get(_HISTORY, "[]"), field=_HISTORY)
    history = to_json([*before, told][-_MOST_MODELS_TOLD:]).decode()
    call.platform.experiments.runs.log(ref, actor=call.actor, tags={_HISTORY: history})
    return {}


def _history(call: Call, request: History) -> JsonObject:
    if not 1 <= request.max_results <= MOST_POINTS:
        legal = f"1 to {MOST_POINTS}"
        raise InvalidInput("max_results", f"{request.max_results} is out of bounds", legal=legal)
    start = decode_token(request.page_token, field="page_token") if request.page_token else 0
    if not isinstance(start, int) or start < 0:
        raise InvalidInput("page_token", f"{request.page_token[:40]!r} is not of this list")
    ref, metrics = run_ref(call, request.run), call.platform.experiments.metrics
    points = metrics.history(ref, request.metric_key, after=start)
    found = list(islice(points, request.max_results + 1))
    listed = [documents.point(one) for one in found[: request.max_results]]
    more = len(found) > len(listed)
    token = {"next_page_token": encode_token(start + len(listed))} if more else {}
    return {"metrics": listed, **token}


def _bulk_interval(call: Call, request: BulkInterval) -> JsonObject:
    for member, value, most in (
        ("run_ids", len(request.run_ids), _MOST_RUNS),
        ("max_results", request.max_results, _MOST_SAMPLES),
    ):
        if not 1 <= value <= most:
            raise InvalidInput(member, f"{value} is out of bounds", legal=f"1 to {most}")
    least = -(2**63) if request.start_step is None else request.start_step
    last = 2**63 if request.end_step is None else request.end_step
    written: list[JsonObject] = []
    for run_id in request.run_ids:
        ref = run_ref(call, run_id)
        points = call.platform.experiments.metrics.history(ref, request.metric_key)
        inside = [one for one in points if least <= (one.step or 0) <= last]
        inside.sort(key=lambda one: (one.step or 0, one.at))
        written += [
            {**documents.point(one), "run_id": run_id}
            for one in _thinned(inside, request.max_results)
        ]
    return {"metrics": written}


def _thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """Take evenly spread points, the first and the last among them."""
    if len(points) <= most:
        return points
    if most == 1:
        return [points[-1]]
    return [points[place * (len(points) - 1) // (most - 1)] for place in range(most)]


ENDPOINTS: dict[str, Endpoint] = {
    "POST runs/log-metric": (LogMetric, _log_metric),
    "POST runs/log-parameter": (LogParameter, _log_parameter),
    "POST runs/log-batch": (LogBatch, _log_batch),
    "POST runs/log-inputs": (LogInputs, _log_inputs),
    "POST runs/outputs": (LogOutputs, _log_outputs),
    "POST runs/log-model": (LogModel, _log_model),
    "GET metrics/get-history": (History, _history),
    "GET metrics/get-history-bulk-interval": (BulkInterval, _bulk_interval),
}
