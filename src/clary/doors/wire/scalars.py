"""Scalars as text, in headers, queries, forms and XML; timestamps in their three formats."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_RANGES = {"integer": (-(1 << 31), (1 << 31) - 1), "long": (-(1 << 63), (1 << 63) - 1)}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,9})?")


class Mismatch(Exception):
    """A value that is not of its member's type.

    ``path`` names the place from the inside outwards; containers add to it as it passes.
    ``in_document`` says that it is in the body, not in the path, query or headers.
    """

    in_document = False

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def __str__(self) -> str:
        """Say the problem and the place."""
        place = ".".join(reversed(self.path))
        return f"{self.problem} at '{place}'" if place else self.problem


def show(value: Any) -> str:
    """Cut a value to what a message can carry."""
    text = str(value)
    return text if len(text) <= 256 else f"{text[:256]}…"


def check_range(kind: str, value: int) -> int:
    """Return an integer that fits its type. Raises Mismatch."""
    low, high = _RANGES[kind]
    if not low <= value <= high:
        bits = 32 if kind == "integer" else 64
        raise Mismatch(f"Value {show(value)} is no {bits}-bit {kind}")
    return value


def read_time(value: Any) -> datetime:
    """Read seconds since 1970, ISO 8601 or an HTTP date as UTC. Raises Mismatch."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str) and len(value) <= 64:
            return _read_time_text(value.strip())
    except (ValueError, OverflowError, OSError):
        pass
    raise Mismatch(
        f"Value '{show(value)}' is no timestamp (seconds since 1970, ISO 8601, or an HTTP date)"
    )


def _read_time_text(text: str) -> datetime:
    if _NUMBER.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    moment = datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _whole(kind: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text.strip()):
            raise Mismatch(f"Value '{show(text)}' is no {kind}")
        return check_range(kind, int(text))

    return read


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Mismatch(f"Value '{show(text)}' is no number") from None


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise Mismatch(f"Value '{show(text)}' is neither true nor false")
    return word == "true"


def read_blob(text: Any) -> bytes:
    """Decode base64. Raises Mismatch."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Mismatch(f"Value '{show(text)}' is not base64") from None


TEXT_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _whole("integer"),
    "long": _whole("long"),
    "float": _real,
    "double": _real,
    "boolean": _boolean,
    "blob": read_blob,
    "timestamp": read_time,
}
"""How a scalar of each type is read from text; they raise Mismatch."""


def write_time(value: Any, form: str) -> str | int | float:
    """Write a moment as ``unixTimestamp``, ``rfc822`` or ``iso8601``, to the millisecond.

    Takes what documents hold: a datetime, seconds since 1970, or ISO 8601 text.
    """
    moment = value if isinstance(value, datetime) else read_time(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if form == "unixTimestamp":
        seconds = round(moment.timestamp(), 3)
        return int(seconds) if seconds.is_integer() else seconds
    moment = moment.astimezone(UTC)
    if form == "rfc822":
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    fraction = f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def write_real(value: float) -> float | str:
    """Write a number; what JSON has no number for, as its word."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def write_blob(value: Any) -> str:
    """Encode bytes (or text, as UTF-8) as base64."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def text_writer(kind: str, time_form: str) -> Callable[[Any], str]:
    """Return how a scalar of a type is written as text."""
    match kind:
        case "boolean":
            return lambda value: "true" if value else "false"
        case "blob":
            return write_blob
        case "timestamp":
            return lambda value: str(write_time(value, time_form))
        case "float" | "double":
            return lambda value: str(write_real(value))
    return str
