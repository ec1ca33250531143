"""What a job of model quality reads: a data set with labels, or captures and labels to merge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from clary.analysis.attributes import MISSING, attribute
from clary.analysis.batch_answers import batch_answers
from clary.analysis.captures import Faults, Window, captures
from clary.analysis.ground_truth import Labels, read_labels
from clary.analysis.outcomes import Outcomes
from clary.analysis.tables import name, open_table
from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.analysis.attributes import Attribute
    from clary.analysis.captures import Capture, Line
    from clary.analysis.payloads import Payload
    from clary.analysis.quality import Problem
    from clary.analysis.sources import Format
    from clary.analysis.tables import Table

GROUND_TRUTH = "/opt/ml/processing/input/groundtruth"
_FORMATS: dict[str, Format] = {"csv": "csv", "json": "json", "parquet": "parquet"}
_CAPTURES = "sagemakercapturejson"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of a job of model quality, as the SDK and schedules write it.

    Parameters
    ----------
    dataset_source, output_path
        Folders or files of the job.
    dataset_format
        JSON: ``{"csv": {"header": true}}``, ``{"json": {"lines": true}}``, ``{"parquet": {}}`` or
        ``{"sagemakerCaptureJson": {}}``; what it is not told is seen from the files.
    ground_truth_source
        The folder of labels to merge with what was captured.
    baseline_constraints
        Bounds to hold the metrics against; without, bounds are suggested.
    start_time, end_time
        Only what was answered between them is measured; ISO 8601.
    """

    problem_type: Literal["Regression", "BinaryClassification", "MulticlassClassification"]
    dataset_source: str
    output_path: str
    dataset_format: str = "{}"
    inference_attribute: str = ""
    probability_attribute: str = ""
    ground_truth_attribute: str = ""
    probability_threshold_attribute: float = 0.5
    ground_truth_source: str = GROUND_TRUTH
    baseline_constraints: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    publish_cloudwatch_metrics: str = "Disabled"

    @property
    def problem(self) -> Problem:
        """The kind of problem."""
        return self.problem_type

    def place(self, which: str) -> Attribute | None:
        """Read one of the attributes; None where it is not given."""
        text: str = getattr(self, which)
        return attribute(text, field=which) if text else None


@dataclass(slots=True)
class Answers:
    """Answers in columns, lists or arrays; those that no attribute names are empty."""

    predictions: Any = field(default_factory=list)
    probabilities: Any = field(default_factory=list)
    labels: Any = field(default_factory=list)

    def outcomes(self) -> Outcomes:
        """Put labels and answers side by side."""
        answers = (self.predictions, self.probabilities)
        return Outcomes(self.labels, *(one if len(one) else None for one in answers))


@dataclass(slots=True)
class Data:
    """What was read.

    Parameters
    ----------
    labelled, unlabelled
        Answers whose labels are known, and those whose labels are not there yet.
    is_live
        Whether they were captured; else they are a data set.
    merged
        How requests and labels found each other, for the ``clary`` block.
    """

    labelled: Answers = field(default_factory=Answers)
    unlabelled: Answers = field(default_factory=Answers)
    is_live: bool = False
    merged: dict[str, Any] = field(default_factory=dict)


def read(settings: Settings) -> Data:
    """Read what is to be measured.

    Raises
    ------
    InvalidInput
        Settings are not legal, or a data set cannot be read; lines of captures that cannot are
        counted and named instead.
    """
    kind, options = _format(settings.dataset_format)
    truth = Path(settings.ground_truth_source)
    if kind == _CAPTURES or truth.is_dir():
        is_batch = bool(kind) and kind != _CAPTURES
        return _live(settings, truth, is_batch=is_batch, has_header=options.get("header", False))
    return _dataset(settings, kind, has_header=options.get("header", True))


def _format(text: str) -> tuple[str, dict[str, bool]]:
    """Read a dataset format: its lower-case name, and its switches by lower-case name."""
    document = build(dict[str, dict[str, Any]], from_json(text or "{}", field="dataset_format"))
    kind, options = next(iter(document.items()), ("", {}))
    if kind and kind.lower() not in (*_FORMATS, _CAPTURES):
        legal = "csv, json, parquet, sagemakerCaptureJson"
        raise InvalidInput("dataset_format", f"{kind!r} is no format", legal=legal)
    return kind.lower(), {one.lower(): value for one, value in options.items()}


def _dataset(settings: Settings, kind: str, *, has_header: bool) -> Data:
    places = {which: settings.place(which) for which in _WHICH}
    if places["ground_truth_attribute"] is None:
        raise InvalidInput("ground_truth_attribute", "is missing; it names the column of labels")
    answers = Answers()
    with open_table(settings.dataset_source, format=_FORMATS.get(kind), header=has_header) as table:
        chosen = {which: _column(table, place, which) for which, place in places.items() if place}
        for which, column in chosen.items():
            setattr(answers, _WHICH[which], _values(table, column))
    return Data(answers)


_WHICH = {
    "inference_attribute": "predictions",
    "probability_attribute": "probabilities",
    "ground_truth_attribute": "labels",
}


def _column(table: Table, place: Attribute, which: str) -> str:
    index = place.index
    if index is not None and str(index) not in table.columns and index < len(table.columns):
        return table.columns[index]
    path = ".".join(str(step) for step in place.steps)
    if path not in table.columns:
        legal = ", ".join(table.columns[:50]) + (", …" if len(table.columns) > 50 else "")
        raise InvalidInput(which, f"{place.text!r} names no column of the data set", legal=legal)
    return path


def _values(table: Table, column: str) -> Any:
    found = table.sql(f"SELECT {name(column)} FROM dataset").fetchnumpy()[column]
    if isinstance(found, np.ma.MaskedArray):
        return np.ma.filled(found.astype(object), None)
    return found


def _live(settings: Settings, truth: Path, *, is_batch: bool, has_header: bool) -> Data:
    faults = Faults()
    labels = read_labels(truth, faults) if truth.is_dir() else Labels()
    source, window = Path(settings.dataset_source), _window(settings)
    lines: Iterator[Line] = (
        batch_answers(source, faults, has_header=has_header)
        if is_batch
        else captures(source, faults, window=window)
    )
    data, reader = Data(is_live=True), _Reader(settings)
    requests = 0
    for line, label in labels.of(lines):
        requests += 1
        try:
            reader.add(data, line.capture, label)
        except InvalidInput as problem:
            faults.add(line.file, line.number, str(problem))
    data.merged = {
        "requests": requests,
        "requests_without_label": labels.unlabelled,
        "labels": len(labels.by_id),
        "labels_without_request": labels.unmatched,
        "labels_repeated": labels.repeated,
        "unreadable_lines": faults.count,
    }
    if faults.named:
        data.merged["unreadable"] = faults.named
    return data


class _Reader:
    """Takes the values of each row out of requests."""

    def __init__(self, settings: Settings) -> None:
        self._inference = settings.place("inference_attribute")
        self._probability = settings.place("probability_attribute")
        self._truth = settings.place("ground_truth_attribute")
        self._reads_predictions = bool(self._inference) or self._probability is None

    def add(self, data: Data, capture: Capture, label: Payload | None) -> None:
        answer = capture.capture_data.endpoint_output
        if answer is None:
            raise InvalidInput("endpointOutput", "is missing; answers have to be captured")
        predictions = answer.values(self._inference) if self._reads_predictions else []
        probabilities = answer.values(self._probability) if self._probability else []
        rows = len(predictions or probabilities)
        if predictions and probabilities and len(probabilities) != rows:
            probabilities = _vectors(probabilities, rows)
        target = data.unlabelled
        if label is not None:
            truths = _labels(label, self._truth)
            if len(truths) != rows:
                raise InvalidInput(
                    "groundTruthData", f"has {len(truths)} labels for {rows} answers"
                )
            target = data.labelled
            target.labels += truths
        target.predictions += predictions
        target.probabilities += probabilities


def _vectors(values: list[Any], rows: int) -> list[Any]:
    """Take a list of numbers for the probabilities of one row's classes."""
    if rows == 1:
        return [values]
    raise InvalidInput("data", f"has {len(values)} probabilities for {rows} predictions")


def _labels(label: Payload, place: Attribute | None) -> list[Any]:
    whole = label.whole()
    if place is not None and isinstance(whole, dict) and place.find(whole) is not MISSING:
        return label.values(place)
    return label.values(None)


def _window(settings: Settings) -> Window | None:
    start, end = _utc(settings.start_time), _utc(settings.end_time)
    return Window(start, end) if start or end else None


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
