"""Runs and logged models as MLflow's documents, and the values in them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from clary.doors.mlflow.experiments import experiment_id
from clary.experiments.model import EXPERIMENT
from clary.experiments.ports import Point
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.mlflow.filters import Kind, Look, Value
    from clary.experiments.logged_models import LoggedModel
    from clary.experiments.model import Run
    from clary.experiments.model import Value as Parameter
    from clary.kernel.ports import JsonObject

RUN_NAME = "mlflow.runName"
_USER = "mlflow.user"
_CONTEXT = "mlflow.data.context"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_000
_EXACT = 2**53
_STATUS = {
    "InProgress": "RUNNING",
    "Stopping": "RUNNING",
    "Completed": "FINISHED",
    "Failed": "FAILED",
    "Stopped": "KILLED",
}
STATUSES = {
    "RUNNING": "InProgress",
    "SCHEDULED": "InProgress",
    "FINISHED": "Completed",
    "FAILED": "Failed",
    "KILLED": "Stopped",
}


def moment(milliseconds: int, field: str) -> datetime:
    """Read a time. Raises InvalidInput when it is none that a calendar knows."""
    if not 0 <= milliseconds <= _LATEST_MS:
        raise InvalidInput(field, f"{milliseconds}", legal=f"0 to {_LATEST_MS} ms since 1970")
    return _EPOCH + timedelta(milliseconds=milliseconds)


def millis(at: datetime) -> int:
    """Write a time."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def number(value: float) -> float | str:
    """Write a number, for JSON has none that are infinite or not a number.

    Examples
    --------
    >>> number(float("-inf")), number(0.5)
    ('-Infinity', 0.5)
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def parameter(text: str) -> Parameter:
    """Read a parameter: a number where it is written back as the same text.

    Examples
    --------
    >>> parameter("0.1"), parameter("0.10"), parameter("7"), parameter("nan")
    (0.1, '0.10', 7, 'nan')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    if math.isfinite(value) and abs(value) < _EXACT:
        if value.is_integer() and str(int(value)) == text:
            return int(value)
        if str(value) == text:
            return value
    return text


def point(one: Point) -> JsonObject:
    """Write a metric's value."""
    return {
        "key": one.name,
        "value": number(one.value),
        "timestamp": millis(one.at),
        "step": one.step or 0,
    }


def pairs(held: Any) -> list[JsonObject]:
    """Write a mapping as MLflow lists it."""
    return [{"key": key, "value": str(value)} for key, value in held.items()]


def experiment_of(run: Run) -> str:
    """Return the id of the experiment that a run is in; empty when it is in none."""
    return experiment_id(run.ref.sibling(EXPERIMENT, run.experiments[0])) if run.experiments else ""


def status_of(run: Run) -> str:
    """Return a run's status; that of one without any follows from whether it has ended."""
    return _STATUS.get(run.status) or ("FINISHED" if run.ended_at else "RUNNING")


def info(run: Run, *, deleted: bool) -> JsonObject:
    """Write what a run is."""
    document: JsonObject = {
        "run_id": run.ref.name,
        "run_uuid": run.ref.name,
        "run_name": run.name,
        "experiment_id": experiment_of(run),
        "user_id": run.tags.get(_USER, ""),
        "status": status_of(run),
        "start_time": millis(run.started_at or run.created_at),
        "artifact_uri": f"mlflow-artifacts:/runs/{run.ref.name}",
        "lifecycle_stage": "deleted" if deleted else "active",
    }
    return {**document, **({"end_time": millis(run.ended_at)} if run.ended_at else {})}


def run_document(run: Run, *, deleted: bool) -> JsonObject:
    """Write a run with what was logged to it."""
    metrics = [
        point(Point(one.name, one.last, one.last_at, one.last_step)) for one in run.metrics.values()
    ]
    tags = {RUN_NAME: run.name, **run.tags}
    inputs = {
        "dataset_inputs": list(run.notes.get("datasets", {}).values()),
        "model_inputs": run.notes.get("model_inputs", []),
    }
    return {
        "info": info(run, deleted=deleted),
        "data": {"metrics": metrics, "params": pairs(run.parameters), "tags": pairs(tags)},
        "inputs": inputs,
        "outputs": {"model_outputs": run.notes.get("model_outputs", [])},
    }


def run_look(run: Run) -> Look:
    """Give what a search compares of a run."""

    def look(kind: Kind, key: str) -> Sequence[Value]:
        if kind == "metric":
            return [run.metrics[key].last] if key in run.metrics else []
        if kind == "param":
            return [str(run.parameters[key])] if key in run.parameters else []
        if kind == "tag":
            return [run.name] if key == RUN_NAME else [run.tags[key]] if key in run.tags else []
        if kind == "dataset":
            return _of_datasets(run, key)
        return [info(run, deleted=False).get(key)]

    return look


def _of_datasets(run: Run, key: str) -> Sequence[Value]:
    used = run.notes.get("datasets", {}).values()
    if key == "context":
        return [tag["value"] for one in used for tag in one["tags"] if tag["key"] == _CONTEXT]
    return [one["dataset"].get(key) for one in used]


def model_document(model: LoggedModel) -> JsonObject:
    """Write a logged model."""
    return {
        "info": {
            "model_id": model.ref.name,
            "experiment_id": experiment_id(model.experiment),
            "name": model.name,
            "creation_timestamp_ms": millis(model.created_at),
            "last_updated_timestamp_ms": millis(model.modified_at),
            "artifact_uri": f"mlflow-artifacts:/models/{model.ref.name}",
            "status": model.status,
            "model_type": model.kind,
            "source_run_id": model.run,
            "tags": pairs(model.tags),
        },
        "data": {"params": pairs(model.parameters), "metrics": list(model.metrics.values())},
    }


def model_look(model: LoggedModel) -> Look:
    """Give what a search compares of a logged model."""

    def look(kind: Kind, key: str) -> Sequence[Value]:
        if kind == "metric":
            return [float(one["value"]) for one in model.metrics.values() if one["key"] == key]
        if kind == "param":
            return [model.parameters[key]] if key in model.parameters else []
        if kind == "tag":
            return [model.tags[key]] if key in model.tags else []
        return [model_document(model)["info"].get(key)]

    return look
