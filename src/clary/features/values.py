"""Values of features: read from text and from Python, checked, and written as text."""

from __future__ import annotations

import math
import operator
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.features.model import Feature, Value

    Read = Callable[[object], Value]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_S, _LAST_S = -62_135_596_800.0, 253_402_300_799.0
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_ODD_NUMBERS = frozenset({"nan", "inf", "infinity"})
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})",
    re.ASCII,
)
_SHOWN = 64
_MOST_EXACT = 2.0**53
_INT64 = "a whole number from -9223372036854775808 to 9223372036854775807"
_FLOAT = "a number"
_MOMENTS = "yyyy-MM-dd'T'HH:mm:ssZ, a fraction of a second allowed (2026-01-31T12:00:00.000Z)"
_SECONDS = "seconds since 1970, of the years 1 to 9999"


class Illegal(ValueError):
    """A value is not what its feature takes."""

    def __init__(self, legal: str) -> None:
        super().__init__(legal)
        self.legal = legal


def event_time_us(value: object) -> int:
    """Read an event time: ISO-8601 text with its offset, or seconds since 1970.

    Returns
    -------
    int
        Microseconds since 1970, UTC; what is finer is cut off text and rounded in seconds.

    Raises
    ------
    ValueError
        It is neither.

    Examples
    --------
    >>> event_time_us("1970-01-01T00:00:01.5Z"), event_time_us("1970-01-01T01:00:00+01:00")
    (1500000, 0)
    >>> event_time_us(1.5)
    1500000
    """
    if isinstance(value, str):
        if _MOMENT.fullmatch(value) is None:
            raise Illegal(_MOMENTS)
        try:
            return (datetime.fromisoformat(value) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            raise Illegal(_MOMENTS) from None
    if isinstance(value, float) and _FIRST_S <= value <= _LAST_S:
        return round(value * 1e6)
    raise Illegal(_SECONDS)


def as_text(value: Value) -> str:
    """Write a value that is no collection as the public API has it.

    Examples
    --------
    >>> as_text(7), as_text(0.5), as_text(math.inf), as_text("7")
    ('7', '0.5', 'Infinity', '7')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value)


def reader(feature: Feature, kinds: Mapping[str, Read]) -> Read:
    """Choose how the values of a feature are read: ``TEXTS`` or ``VALUES`` of its kind."""
    one = kinds[feature.kind]
    match feature.collection:
        case "List":
            return lambda value: _listed(value, one)
        case "Set":
            return lambda value: sorted(set(_listed(value, one)))
        case "Vector":
            return lambda value: _vector(value, one, feature.dimension)
    return one


def _listed(value: object, one: Read) -> list[float]:
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise Illegal("a list")
    return [one(part) for part in value]  # type: ignore[misc]


def _vector(value: object, one: Read, dimension: int | None) -> list[float]:
    found = _listed(value, one)
    if len(found) != dimension:
        raise Illegal(f"a vector of {dimension} numbers")
    return found


def _text_integral(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return _in_range(int(value))
    raise Illegal(_INT64)


def _integral(value: object) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _MOST_EXACT:
        return int(value)  # of a pandas column of whole numbers where some are missing
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise Illegal(_INT64)
    return _in_range(operator.index(value))


def _in_range(number: int) -> int:
    if -(2**63) <= number < 2**63:
        return number
    raise Illegal(_INT64)


def _text_fractional(value: object) -> float:
    if isinstance(value, str) and (
        _NUMBER.fullmatch(value) or value.lstrip("+-").lower() in _ODD_NUMBERS
    ):
        return float(value)
    raise Illegal(_FLOAT)


def _fractional(value: object) -> float:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) / timedelta(seconds=1)
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise Illegal(_FLOAT)
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError):
        raise Illegal(_FLOAT) from None


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Illegal("text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Illegal("text without lone surrogates") from None
    return value


def moment_text(value: object) -> str:
    """Read an event time kept as text: text, or a datetime with its time zone."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Illegal(f"{_MOMENTS}, or a datetime with its time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return _string(value)


VALUES: Mapping[str, Read] = {
    "Integral": _integral,
    "Fractional": _fractional,
    "String": _string,
}
TEXTS: Mapping[str, Read] = {
    "Integral": _text_integral,
    "Fractional": _text_fractional,
    "String": _string,
}


def size_of(value: Value) -> int:
    """Count the bytes of a value: 8 for a number, those of the UTF-8 of text."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, list):
        return sum(map(size_of, value))
    return 0 if value is None else 8


def shown(value: object) -> str:
    """Show a value of any size."""
    text = repr(value[:_SHOWN] if isinstance(value, str | list) else value)
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}…"
