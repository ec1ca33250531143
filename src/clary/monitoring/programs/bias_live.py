"""Captured requests, their answers and their labels as one table for the metrics of bias."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.analysis.attributes import attribute
from clary.analysis.captures import Faults
from clary.analysis.ground_truth import Labels, read_labels
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs.live_rows import Features, label_of, lines
from clary.monitoring.programs.settings import placed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clary.analysis.captures import Capture
    from clary.analysis.payloads import Payload
    from clary.monitoring.programs.clarify_config import AnalysisConfig
    from clary.monitoring.programs.live_rows import Settings

PREDICTION = "predicted_label"


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
        labels = read_labels(placed(given.ground_truth_source, ml), faults)
    reader = _Reader(given, config)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for line, label in labels.of(lines(given, ml, faults)):
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
    merged.notes = labels.notes(faults)
    return merged


class _Reader:
    """Takes the rows out of requests."""

    def __init__(self, given: Settings, config: AnalysisConfig) -> None:
        self.label = label_of(config) or "label"
        self._features = Features(given, [one for one in config.headers or () if one != self.label])
        places = ("inference_attribute", "probability_attribute")
        texts = {one: getattr(given, one) for one in places}
        found = [attribute(text, field=one) for one, text in texts.items() if text]
        self._answer = found[0] if found else None

    @property
    def names(self) -> Sequence[str]:
        """The features' names, as far as they are known."""
        return self._features.names

    def rows(self, capture: Capture, label: Payload) -> list[list[Any]]:
        """Return features, label and prediction of each row of a request."""
        sides = capture.capture_data
        if sides.endpoint_output is None:
            raise InvalidInput("endpointOutput", "is missing; answers have to be captured")
        asked = self._features.rows(capture)
        answers = sides.endpoint_output.values(self._answer)
        truths = label.values(None)
        if not len(asked) == len(answers) == len(truths):
            problem = f"{len(asked)} rows, {len(answers)} answers and {len(truths)} labels"
            raise InvalidInput("captureData", f"has {problem}")
        return [
            [*row, _scalar(truth), _scalar(answer)]
            for row, truth, answer in zip(asked, truths, answers, strict=True)
        ]


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
