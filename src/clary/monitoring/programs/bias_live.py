"""Captured requests, their answers and their labels as one table for the metrics of bias."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from clary.analysis.attributes import attribute
from clary.analysis.batch_answers import batch_answers
from clary.analysis.captures import Faults, Window, captures
from clary.analysis.ground_truth import Labels, read_labels
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from clary.analysis.captures import Capture, Line
    from clary.analysis.payloads import Payload
    from clary.monitoring.programs.clarify_config import AnalysisConfig

PREDICTION = "predicted_label"


class Settings(settings.Settings, frozen=True, kw_only=True):
    """The environment of a job of bias on live data, as schedules write it.

    Parameters
    ----------
    features_attribute, inference_attribute, probability_attribute
        Where in a request its features stand, and in an answer its label or its score.
    probability_threshold_attribute
        A score above it is positive; None: as the analysis configuration says.
    ground_truth_source
        The folder of labels.
    """

    features_attribute: str = ""
    inference_attribute: str = ""
    probability_attribute: str = ""
    probability_threshold_attribute: float | None = None
    ground_truth_source: str = ""

    @property
    def window(self) -> Window | None:
        """The span of time that is looked at; None for all."""
        start, end = _moment(self.start_time), _moment(self.end_time)
        return Window(start, end) if start or end else None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; empty values as if they were not there. Raises InvalidInput."""
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
class Merged:
    """What was written.

    Parameters
    ----------
    columns
        The features' names, the label's and the prediction's.
    rows
        How many rows.
    notes
        How requests and labels found each other, for the ``clary`` block.
    """

    columns: Sequence[str] = ()
    rows: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


def merge(given: Settings, config: AnalysisConfig, ml: Path, target: Path) -> Merged:
    """Write the rows whose labels are known as CSV: features, label, prediction.

    Lines that cannot be read are counted and named in the notes.

    Raises
    ------
    InvalidInput
        Settings are not legal.
    """
    faults, merged = Faults(), Merged()
    labels = Labels()
    if given.ground_truth_source:
        labels = read_labels(settings.placed(given.ground_truth_source, ml), faults)
    reader = _Reader(given, config)
    requests = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for line, label in labels.of(_lines(given, ml, faults)):
            requests += 1
            if label is None:
                continue
            try:
                rows = reader.rows(line.capture, label)
            except InvalidInput as problem:
                faults.add(line.file, line.number, str(problem))
                continue
            writer.writerows(rows)
            merged.rows += len(rows)
    merged.columns = [*reader.names, reader.label, PREDICTION]
    merged.notes = {
        "requests": requests,
        "requests_without_label": labels.unlabelled,
        "labels_without_request": labels.unmatched,
        "unreadable_lines": faults.count,
    }
    if faults.named:
        merged.notes["unreadable"] = faults.named
    return merged


def _lines(given: Settings, ml: Path, faults: Faults) -> Iterator[Line]:
    source, shape = settings.placed(given.dataset_source, ml), given.format
    if shape is None or shape.format == "capture":
        return captures(source, faults, window=given.window)
    return batch_answers(source, faults, has_header=shape.header)


class _Reader:
    """Takes the rows out of requests."""

    def __init__(self, given: Settings, config: AnalysisConfig) -> None:
        headers, label = list(config.headers or ()), config.label
        if isinstance(label, int) or (str(label).isdigit() and label not in headers):
            place = int(label or 0)
            label = headers[place] if place < len(headers) else None
        self.label = str(label) if label is not None else "label"
        self.names = [one for one in headers if one != self.label]
        places = (given.features_attribute, given.inference_attribute, given.probability_attribute)
        self._features, inference, probability = (
            attribute(one, field="environment") if one else None for one in places
        )
        self._answer = inference or probability

    def rows(self, capture: Capture, label: Payload) -> list[list[Any]]:
        """Return features, label and prediction of each row of a request."""
        sides = capture.capture_data
        if sides.endpoint_output is None:
            raise InvalidInput("endpointOutput", "is missing; answers have to be captured")
        asked = self._asked(sides.endpoint_input or sides.endpoint_output)
        answers = sides.endpoint_output.values(self._answer)
        truths = label.values(None)
        if not len(asked) == len(answers) == len(truths):
            problem = f"{len(asked)} rows, {len(answers)} answers and {len(truths)} labels"
            raise InvalidInput("captureData", f"has {problem}")
        return [
            [*row, _scalar(truth), _scalar(answer)]
            for row, truth, answer in zip(asked, truths, answers, strict=True)
        ]

    def _asked(self, payload: Payload) -> list[list[Any]]:
        rows = payload.rows()
        if self._features is not None:
            found = payload.values(self._features)
            rows = found if found and isinstance(found[0], list) else [found]
        return [self._row(one) for one in rows]

    def _row(self, row: Any) -> list[Any]:
        if isinstance(row, dict):
            self.names = self.names or list(row)
            missing = [one for one in self.names if one not in row]
            if missing:
                raise InvalidInput("captureData", f"has no member {missing[0]!r}")
            return [row[one] for one in self.names]
        cells = row if isinstance(row, list) else [row]
        self.names = self.names or [f"column_{place}" for place in range(len(cells))]
        if len(cells) != len(self.names):
            problem = f"has {len(cells)} features, and the headers name {len(self.names)}"
            raise InvalidInput("captureData", problem)
        return cells


def _scalar(value: Any) -> Any:
    """Take one value: of scores of several classes, the place of the highest."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, list):
        try:
            scores = [float(one) for one in value]
        except (TypeError, ValueError):
            raise InvalidInput("data", f"{value!r:.200} are no scores of classes") from None
        if not scores:
            raise InvalidInput("data", "has an empty list where a label or a score should be")
        return scores.index(max(scores))
    if isinstance(value, dict):
        raise InvalidInput("data", f"{value!r:.200} is no label; an attribute has to name one")
    return value
