"""Requests that an endpoint or a batch transform answered: their settings and their features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clary.analysis.attributes import attribute
from clary.analysis.batch_answers import batch_answers
from clary.analysis.captures import captures
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from clary.analysis.captures import Capture, Faults, Line
    from clary.analysis.shapley import Rows
    from clary.monitoring.programs.clarify_config import AnalysisConfig

_MOST_CELLS = 50_000_000


class Settings(settings.Settings, frozen=True, kw_only=True):
    """The environment of a Clarify job on live data, as schedules write it.

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


class Features:
    """Takes the features out of requests.

    Parameters
    ----------
    names
        Of the features; where there are none, the first request gives them.
    """

    def __init__(self, given: Settings, names: Sequence[str]) -> None:
        self.names = list(names)
        text = given.features_attribute
        self._place = attribute(text, field="features_attribute") if text else None
        self._is_capture = given.is_capture

    def rows(self, capture: Capture) -> list[list[Any]]:
        """Return the features of each row of a request; of batches they stand in the answer.

        A row that is an object lacks the value of a member that is not there.

        Raises
        ------
        InvalidInput
            The request was not captured, or has other features.
        """
        sides = capture.capture_data
        payload = sides.endpoint_input or (None if self._is_capture else sides.endpoint_output)
        if payload is None:
            raise InvalidInput("endpointInput", "is missing; requests have to be captured")
        rows = payload.rows()
        if self._place is not None:
            found = payload.values(self._place)
            rows = found if found and isinstance(found[0], list) else [found]
        return [self._row(one) for one in rows]

    def _row(self, row: Any) -> list[Any]:
        if isinstance(row, dict):
            self.names = self.names or list(row)
            if not any(one in row for one in self.names):
                legal = ", ".join(self.names[:20])
                raise InvalidInput("captureData", "has none of the features", legal=legal)
            return [row.get(one) for one in self.names]
        cells = row if isinstance(row, list) else [row]
        self.names = self.names or [f"column_{place}" for place in range(len(cells))]
        if len(cells) != len(self.names):
            problem = f"has {len(cells)} features, and the headers name {len(self.names)}"
            raise InvalidInput("captureData", problem)
        return cells


def label_of(config: AnalysisConfig) -> str | None:
    """Name the column of labels, which the configuration may give by its place."""
    headers, label = config.headers or (), config.label
    if isinstance(label, int) or (str(label).isdigit() and label not in headers):
        place = int(label or 0)
        return headers[place] if place < len(headers) else None
    return label


def lines(given: settings.Settings, ml: Path, faults: Faults) -> Iterator[Line]:
    """Read the requests of the window; those that cannot be read are counted in ``faults``.

    Raises
    ------
    InvalidInput
        The format has no requests.
    """
    source, shape = settings.placed(given.dataset_source, ml), given.format
    if shape is None or shape.format == "capture":
        return captures(source, faults, window=given.window)
    if shape.format in ("parquet", "delta"):
        problem = f"{shape.format} has no ids to merge labels by"
        raise InvalidInput("dataset_format", problem, legal="csv, json")
    return batch_answers(source, faults, has_header=shape.header)


def features_of(
    given: Settings, config: AnalysisConfig, ml: Path, faults: Faults
) -> tuple[Rows, Sequence[str]]:
    """Read what was asked of a model in the window, and name its columns.

    Requests that cannot be read are counted in ``faults``.

    Raises
    ------
    InvalidInput
        Settings are not legal, or there is more than can be held.
    """
    label = label_of(config)
    features = Features(given, [one for one in config.headers or () if one != label])
    found: list[list[Any]] = []
    for line in lines(given, ml, faults):
        try:
            rows = features.rows(line.capture)
        except InvalidInput as problem:
            faults.add(line.file, line.number, str(problem))
            continue
        found += [[_value(cell) for cell in row] for row in rows]
        if len(found) * max(1, len(features.names)) > _MOST_CELLS:
            raise InvalidInput("dataset_source", "has more requests than can be explained at once")
    table = np.empty((len(found), len(features.names)), dtype=object)
    for number, row in enumerate(found):
        table[number] = row
    return table, features.names


def _value(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
