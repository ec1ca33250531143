"""Flows as files: ours, with what was learned beside them, and those of Data Wrangler."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from clary.flows import documents, fitted
from clary.flows.fitted import NOTHING
from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import ModuleType

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow

_WRANGLER = ".flow"
_FITTED = ".fitted.json"
_LARGEST_FITTED = 256 << 20


def beside(path: Path) -> Path:
    """Say where what a flow has learned lies: ``x.fitted.json`` beside ``x.flow.json``."""
    name = path.name.removesuffix(".json").removesuffix(_WRANGLER)
    return path.with_name(f"{name}{_FITTED}")


def read(path: str | os.PathLike[str]) -> tuple[Flow, Fitted]:
    """Read a flow and what it has learned. Raises InvalidInput, which names the file."""
    place = Path(path)
    with _named(place):
        flow, learned = _read(place)
        later = beside(place)
        return flow, _read_fitted(later) if later.is_file() else learned


def learned(path: str | os.PathLike[str]) -> Fitted:
    """Read what a flow has learned, from its file or from that of a flow. Raises InvalidInput."""
    place = Path(path)
    if not is_fitted(place):
        return read(place)[1]
    with _named(place):
        return _read_fitted(place)


def is_fitted(path: Path) -> bool:
    """Say whether a file is called as what a flow has learned, not as a flow."""
    return path.name.endswith(_FITTED)


def write(path: str | os.PathLike[str], flow: Flow, learned: Fitted) -> Path:
    """Write a flow and, where it has learned anything, that beside it; returns where it is.

    A ``.flow`` that is there keeps what only Data Wrangler knows of it.
    """
    place = Path(path)
    text = documents.write(flow)
    if place.suffix == _WRANGLER:
        before = from_json(place.read_bytes(), field=str(place)) if place.is_file() else None
        text = _wrangler().write(flow, learned, document=before)
    _put(place.resolve(), text)
    if learned.nodes:
        write_fitted(place, learned)
    else:
        beside(place).unlink(missing_ok=True)
    return place


def write_fitted(path: Path, learned: Fitted) -> Path:
    """Write what a flow has learned beside it; returns where."""
    place = beside(path)
    _put(place, fitted.write(learned))
    return place


def _put(place: Path, text: str) -> None:
    """Write a file, whole or not at all; a link at its place is replaced, not followed."""
    part = place.with_name(f".{place.name[:40]}.{uuid4().hex}.part")
    try:
        part.write_text(text, "utf-8")
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _named(place: Path) -> Iterator[None]:
    """Name a file that is read in every InvalidInput."""
    if not place.is_file():
        raise InvalidInput("path", f"there is no flow at {place}")
    try:
        yield
    except UnicodeDecodeError as error:
        raise InvalidInput(str(place), f"is no UTF-8: {error}") from None
    except InvalidInput as error:
        raise InvalidInput(str(place), error.message, hint=error.hint) from None


def _read_fitted(place: Path) -> Fitted:
    if place.stat().st_size > _LARGEST_FITTED:
        raise InvalidInput(place.name, f"is larger than {_LARGEST_FITTED} bytes")
    return fitted.read(place.read_bytes())


def _read(place: Path) -> tuple[Flow, Fitted]:
    if place.stat().st_size > documents.LARGEST:
        raise InvalidInput("flow", f"is larger than {documents.LARGEST} bytes")
    text = place.read_text("utf-8")
    if place.suffix != _WRANGLER:
        return documents.read(text), NOTHING
    found = _wrangler().read(text)
    return found.flow, found.fitted


def _wrangler() -> ModuleType:
    return import_module("clary.flows.wrangler.documents")  # few flows need it, and NumPy with it


def last(flow: Flow) -> str:
    """Give the last node that transforms rows, or the last of all."""
    if not flow.nodes:
        raise InvalidInput("flow", "has no node")
    names = [
        one.id for one in flow.nodes if not one.operator.startswith(("analysis.", "destination"))
    ]
    return names[-1] if names else flow.nodes[-1].id
