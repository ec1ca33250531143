"""The two scripts that users bring: one reads records, one runs when the analysis has ended."""

from __future__ import annotations

import inspect
import logging
import runpy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from clary.analysis.captures import Capture, Line
    from clary.analysis.payloads import Payload

PREPROCESSOR, POSTPROCESSOR = "preprocess_handler", "postprocess_handler"
_log = logging.getLogger("preprocessing")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a request, as a preprocessor sees it."""

    data: str
    encoding: str
    observed_content_type: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """Which request it was, as a preprocessor sees it."""

    event_id: str
    inference_id: str
    inference_time: str
    custom_attribute: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InferenceRecord:
    """A captured request, as a preprocessor sees it; a side that was not captured is None."""

    endpoint_input: Side | None
    endpoint_output: Side | None
    event_metadata: Metadata
    event_version: str = "0"


def preprocessed(lines: Iterable[Line], handler: Callable[..., Any]) -> Iterator[Mapping[str, Any]]:
    """Give every captured request to a preprocessor and yield the rows that it makes of it.

    It returns a row, a list of rows, or nothing; names are the columns, in their sorted order.

    Raises
    ------
    InvalidInput
        It fails, or returns something else; names the line of the capture.
    """
    wants_log = len(inspect.signature(handler).parameters) > 1
    for line in lines:
        record = _record(line.capture)
        place = f"{line.file.name}, line {line.number}"
        made = _called(handler, (record, _log) if wants_log else (record,), place)
        for row in made if isinstance(made, list | tuple) else [made or {}]:
            if not isinstance(row, dict):
                said = f"returned {type(row).__name__} for {place}"
                raise InvalidInput(PREPROCESSOR, said, legal="a dict, a list of dicts, None")
            if row:
                yield {str(name): row[name] for name in sorted(row, key=str)}


def _record(capture: Capture) -> InferenceRecord:
    event = capture.event_metadata
    return InferenceRecord(
        _side(capture.capture_data.endpoint_input),
        _side(capture.capture_data.endpoint_output),
        Metadata(event.event_id, event.inference_id, event.inference_time, event.custom_attributes),
    )


def _side(payload: Payload | None) -> Side | None:
    if payload is None:
        return None
    return Side(payload.data, payload.encoding, payload.observed_content_type)


def _called(handler: Callable[..., Any], given: tuple[Any, ...], place: str) -> Any:
    try:
        return handler(*given)
    except (Exception, SystemExit) as error:
        said = f"failed at {place}: {type(error).__name__}: {error}"
        raise InvalidInput(handler.__name__, said) from error


def load(file: Path, name: str) -> Callable[..., Any]:
    """Run a script and take a function of it.

    Raises
    ------
    InvalidInput
        There is no such file or function, or the script fails.
    """
    if not file.is_file():
        raise InvalidInput(name, f"{file.name} is not there")
    try:
        found = runpy.run_path(str(file)).get(name)
    except (Exception, SystemExit) as error:
        said = f"{file.name} failed: {type(error).__name__}: {error}"
        raise InvalidInput(name, said) from error
    if not callable(found):
        raise InvalidInput(name, f"{file.name} defines no function of this name")
    return found  # type: ignore[no-any-return] # a user's function; its signature is inspected


def postprocess(file: Path) -> None:
    """Run a user's script when the analysis has ended. Raises InvalidInput when it fails."""
    _called(load(file, POSTPROCESSOR), (), file.name)
