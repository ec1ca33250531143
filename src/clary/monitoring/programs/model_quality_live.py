"""Captured answers, and the labels that have come for them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from clary.analysis.attributes import MISSING
from clary.analysis.captures import Faults
from clary.analysis.ground_truth import Labels, read_labels
from clary.analysis.payloads import Payload
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import scripts
from clary.monitoring.programs.live_rows import lines
from clary.monitoring.programs.model_quality_data import Answers, Data, most_rows
from clary.monitoring.programs.settings import placed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clary.analysis.attributes import Attribute
    from clary.analysis.captures import Line
    from clary.monitoring.programs.model_quality_settings import Settings


def read_live(given: Settings, ml: Path, names: tuple[str, ...]) -> Data:
    """Read what was captured, and the labels that have come for it.

    Parameters
    ----------
    names
        The inputs that estimates look at, in the order of their cells.

    Raises
    ------
    InvalidInput
        Settings are not legal, or fit none of the requests. Single lines that cannot be read are
        counted and named instead.
    """
    faults, labels = Faults(), Labels()
    if given.ground_truth_source:
        labels = read_labels(placed(given.ground_truth_source, ml), faults)
    reader = _Reader(given, ml, names)
    data = Data(reader.empty(), unlabelled=reader.empty())
    for line, label in labels.of(lines(given, ml, faults)):
        try:
            reader.add(data, line, label)
        except InvalidInput as problem:
            faults.add(line.file, line.number, str(problem))
            reader.refused = reader.refused or f"{line.file}, line {line.number}: {problem}"
    if not data.rows and reader.refused:
        raise InvalidInput(
            "captures", f"none of {labels.requests} can be read; the first: {reader.refused}"
        )
    data.merged = labels.notes(faults)
    return data


class _Reader:
    """Takes the values of each row out of requests; ``refused`` says what the first lacked."""

    def __init__(self, given: Settings, ml: Path, names: tuple[str, ...]) -> None:
        self._inference = given.place("inference_attribute")
        self._probability = given.place("probability_attribute")
        self._truth = given.place("ground_truth_attribute")
        self._reads_predictions = bool(self._inference) or self._probability is None
        self._names = names
        self.refused = ""
        self._sample = _Sample(most_rows(len(names)))
        self._handler: Callable[..., Any] | None = None
        if given.record_preprocessor_script:
            script = placed(given.record_preprocessor_script, ml)
            self._handler = scripts.load(script, scripts.PREPROCESSOR)

    def empty(self) -> Answers:
        """Make the columns that it fills."""
        predictions: list[Any] | None = [] if self._reads_predictions else None
        inputs: dict[str, Any] = {name: [] for name in self._names}
        return Answers(predictions, [] if self._probability else None, inputs=inputs)

    def add(self, data: Data, line: Line, label: Payload | None) -> None:
        answer = self._answer(line)
        if answer is None:
            return
        predictions = answer.values(self._inference) if self._reads_predictions else []
        probabilities = answer.values(self._probability) if self._probability else []
        rows = len(predictions or probabilities)
        if predictions and probabilities and len(probabilities) != rows:
            probabilities = _vectors(probabilities, rows)
        if label is None:
            inputs = self._inputs(line, rows)
            for row in range(rows):
                values = (predictions[row : row + 1], probabilities[row : row + 1], inputs[row])
                self._sample.add(data.unlabelled, self._names, *values)
            return
        truths = _labels(label, self._truth)
        if len(truths) != rows:
            raise InvalidInput("groundTruthData", f"has {len(truths)} labels for {rows} answers")
        data.labelled.labels += truths
        if self._reads_predictions:
            data.labelled.predictions += predictions
        if self._probability:
            data.labelled.probabilities += probabilities

    def _answer(self, line: Line) -> Payload | None:
        if self._handler is None:
            answer = line.capture.capture_data.endpoint_output
            if answer is None:
                raise InvalidInput("endpointOutput", "is missing; answers have to be captured")
            return answer
        rows = list(scripts.preprocessed([line], self._handler))
        return Payload(msgspec.json.encode(rows).decode(), "JSON") if rows else None

    def _inputs(self, line: Line, rows: int) -> list[list[Any]]:
        """Return the cells of each row that estimates look at; missing where they are not there."""
        missing: list[list[Any]] = [[None] * len(self._names)] * rows
        given = line.capture.capture_data.endpoint_input
        if given is None or not self._names:
            return missing
        found = [_cells(row, self._names) for row in given.rows()]
        return found if len(found) == rows else missing


def _cells(row: Any, names: tuple[str, ...]) -> list[Any]:
    if isinstance(row, dict):
        return [row.get(name) for name in names]
    cells = row if isinstance(row, list) else [row]
    return cells if len(cells) == len(names) else [None] * len(names)


class _Sample:
    """Keeps so many rows without labels, each as likely as the next, however many there are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen = 0
        self._random = Random(7)  # noqa: S311 - a sample, no secret

    def add(
        self,
        answers: Answers,
        names: tuple[str, ...],
        prediction: list[Any],
        probability: list[Any],
        inputs: list[Any],
    ) -> None:
        self._seen += 1
        place = self._seen - 1
        if place >= self._most:
            place = self._random.randrange(self._seen)
            if place >= self._most:
                return
        end = place + 1
        if prediction:
            answers.predictions[place:end] = prediction
        if probability:
            answers.probabilities[place:end] = probability
        for name, value in zip(names, inputs, strict=True):
            answers.inputs[name][place:end] = [value]


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
