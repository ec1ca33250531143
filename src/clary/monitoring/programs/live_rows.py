"""The features of captured requests as rows, for attribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clary.analysis.attributes import attribute
from clary.analysis.captures import captures
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clary.analysis.captures import Faults
    from clary.analysis.payloads import Payload
    from clary.analysis.shapley import Rows
    from clary.monitoring.programs.bias_live import Settings
    from clary.monitoring.programs.clarify_config import AnalysisConfig

_MOST_CELLS = 50_000_000


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
    place = (
        attribute(given.features_attribute, field="environment")
        if given.features_attribute
        else None
    )
    label = config.label if isinstance(config.label, str) else ""
    names = [one for one in config.headers or () if one != label]
    found: list[list[Any]] = []
    source = settings.placed(given.dataset_source, ml)
    for line in captures(source, faults, window=given.window):
        asked = line.capture.capture_data.endpoint_input
        if asked is None:
            faults.add(
                line.file, line.number, "endpointInput is missing; requests have to be captured"
            )
            continue
        try:
            rows = _rows(asked, place, names)
        except InvalidInput as problem:
            faults.add(line.file, line.number, str(problem))
            continue
        if not names and rows:
            names = [f"column_{number}" for number in range(len(rows[0]))]
        found += rows
        if len(found) * max(1, len(names)) > _MOST_CELLS:
            raise InvalidInput("dataset_source", "has more requests than can be explained at once")
    table = np.empty((len(found), len(names)), dtype=object)
    for number, row in enumerate(found):
        table[number] = row
    return table, names


def _rows(asked: Payload, place: Any, names: Sequence[str]) -> list[list[Any]]:
    given = asked.rows()
    if place is not None:
        values = asked.values(place)
        given = values if values and isinstance(values[0], list) else [values]
    rows = [_row(one, names) for one in given]
    width = len(names) or (len(rows[0]) if rows else 0)
    if any(len(one) != width for one in rows):
        raise InvalidInput("captureData", f"has rows of other than {width} features")
    return rows


def _row(row: Any, names: Sequence[str]) -> list[Any]:
    if isinstance(row, dict):
        return [_value(row.get(one)) for one in names or row]
    return [_value(one) for one in (row if isinstance(row, list) else [row])]


def _value(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
