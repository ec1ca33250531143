"""Answers of batch transforms, whose ids stand in the rows: as if requests had been captured."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

import msgspec

from clary.analysis.captures import Capture, Event, Line, Sides, files, lines
from clary.analysis.payloads import Payload
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clary.analysis.captures import Faults

ID: Final = "SageMakerInferenceId"
TIME: Final = "SageMakerInferenceTime"


def batch_answers(source: Path, faults: Faults, *, has_header: bool = False) -> Iterator[Line]:
    """Read outputs of a batch transform that generated ids.

    A row is a JSON document with the members ``SageMakerInferenceId`` and
    ``SageMakerInferenceTime``, or CSV whose last two cells are these.

    Parameters
    ----------
    source
        A file of rows, or a folder of such.
    faults
        Counts the rows that cannot be read or have no id.
    has_header
        Whether the first line of a CSV file names its columns.
    """
    for file in files(source):
        names: list[str] | None = None
        for number, text in lines(file, faults):
            try:
                cells = _cells(text)
                if has_header and names is None and isinstance(cells, list):
                    names = cells
                    continue
                capture = _captured(dict(zip(names, cells, strict=True)) if names else cells)
            except (InvalidInput, ValueError, csv.Error) as error:
                faults.add(file, number, str(error))
            else:
                yield Line(capture, file, number)


def _cells(text: bytes) -> Any:
    if text.startswith(b"{"):
        return msgspec.json.decode(text)
    return next(csv.reader([text.decode()], strict=True))


def _captured(row: Any) -> Capture:
    if isinstance(row, dict):
        event = Event("", str(row.get(ID, "")), str(row.get(TIME, "")))
        rest = {name: value for name, value in row.items() if name not in (ID, TIME)}
        answer = Payload(msgspec.json.encode(rest).decode(), "JSON")
    elif len(row) > 2:
        *cells, identity, moment = row
        event = Event("", identity, moment)
        answer = Payload(msgspec.json.encode([cells]).decode(), "JSON")
    else:
        raise InvalidInput("row", f"has {len(row)} cells, too few for an answer, an id and a time")
    if not event.inference_id:
        raise InvalidInput("row", f"has no {ID}")
    return Capture(event, Sides(endpoint_output=answer))
