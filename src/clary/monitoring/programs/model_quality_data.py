"""What a job of model quality reads: a data set with labels, or captures and labels to merge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from clary.analysis.attributes import MISSING, attribute
from clary.analysis.batch_answers import batch_answers
from clary.analysis.captures import Faults, Window, captures
from clary.analysis.ground_truth import Labels, read_labels
from clary.analysis.outcomes import Outcomes
from clary.analysis.quality import Problem  # noqa: TC001 - msgspec reads it
from clary.analysis.tables import name, open_table
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import settings
from clary.monitoring.programs.settings import DatasetFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clary.analysis.attributes import Attribute
    from clary.analysis.captures import Capture, Line
    from clary.analysis.payloads import Payload
    from clary.analysis.tables import Table

GROUND_TRUTH = "/opt/ml/processing/input/groundtruth"


class Settings(settings.Settings, frozen=True, kw_only=True):
    """The environment of a job of model quality, as the SDK and schedules write it.

    Parameters
    ----------
    inference_attribute, probability_attribute, ground_truth_attribute
        Where in a row the answer, its probability and the label stand.
    probability_threshold_attribute
        A row is positive whose probability is above it.
    ground_truth_source
        The folder of labels to merge with what was captured.
    """

    problem_type: Problem
    inference_attribute: str = ""
    probability_attribute: str = ""
    ground_truth_attribute: str = ""
    probability_threshold_attribute: float = 0.5
    ground_truth_source: str = GROUND_TRUTH

    @property
    def window(self) -> Window | None:
        """The span of time whose answers are measured; None for all."""
        start, end = _moment(self.start_time), _moment(self.end_time)
        return Window(start, end) if start or end else None

    def place(self, which: str) -> Attribute | None:
        """Read one of the attributes; None where it is not given."""
        text: str = getattr(self, which)
        return attribute(text, field=which) if text else None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; empty values as if they were not there.

    Raises
    ------
    InvalidInput
        A variable is missing or has no legal value.
    """
    known = {one.name for one in msgspec.structs.fields(Settings)}
    given = {name: value for name, value in environment.items() if name in known and value}
    return build(Settings, given, field="environment")


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("environment", f"{text!r} is no time", legal="ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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


def read(given: Settings, ml: Path) -> Data:
    """Read what is to be measured.

    Raises
    ------
    InvalidInput
        Settings are not legal, or a data set cannot be read; lines of captures that cannot are
        counted and named instead.
    """
    truth = settings.placed(given.ground_truth_source, ml)
    source = settings.placed(given.dataset_source, ml)
    shape = given.format
    if (shape and shape.format == "capture") or truth.is_dir():
        return _live(given, source, truth)
    return _dataset(given, source)


def _dataset(given: Settings, source: Path) -> Data:
    places = {which: given.place(which) for which in _WHICH}
    if places["ground_truth_attribute"] is None:
        raise InvalidInput("ground_truth_attribute", "is missing; it names the column of labels")
    shape = given.format or DatasetFormat("csv")
    answers = Answers()
    with open_table(source, format=shape.format, header=shape.header) as table:
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


def _live(given: Settings, source: Path, truth: Path) -> Data:
    faults, shape = Faults(), given.format
    labels = read_labels(truth, faults) if truth.is_dir() else Labels()
    lines: Iterator[Line] = (
        captures(source, faults, window=given.window)
        if shape is None or shape.format == "capture"
        else batch_answers(source, faults, has_header=shape.header)
    )
    data, reader = Data(is_live=True), _Reader(given)
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

    def __init__(self, given: Settings) -> None:
        self._inference = given.place("inference_attribute")
        self._probability = given.place("probability_attribute")
        self._truth = given.place("ground_truth_attribute")
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
