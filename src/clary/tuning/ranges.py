"""What a hyperparameter may be: whole numbers, real numbers on a scale, or one of some words.

A study searches an interval, plain or logarithmic; what the search draws there is turned into the
text that the training job is given, and back.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scale = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]
SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_LARGEST = 2**53
_DECADES = 3.0
"""Auto searches a positive range that spans so many powers of ten, or more, by its logarithm."""


@dataclass(frozen=True, slots=True)
class Integers:
    """Whole numbers from ``low`` to ``high``, both included."""

    name: str
    low: int
    high: int
    scale: Scale = "Linear"

    def text(self, drawn: float) -> str:
        """Write a number that the search has drawn."""
        return str(int(drawn))

    def drawn(self, text: str) -> int | None:
        """Read a value as the search knows it; None when it lies outside."""
        value = int(text) if _WHOLE.fullmatch(text) else None
        return value if value is not None and self.low <= value <= self.high else None


@dataclass(frozen=True, slots=True)
class Reals:
    """Real numbers from ``low`` to ``high``.

    The reverse logarithmic scale, for ranges within [0, 1), looks closest at what is near 1: it
    searches 1 - x by its logarithm.
    """

    name: str
    low: float
    high: float
    scale: Scale = "Linear"

    @property
    def interval(self) -> tuple[float, float]:
        """What the search draws from."""
        if self.scale == "ReverseLogarithmic":
            return 1.0 - self.high, 1.0 - self.low
        return self.low, self.high

    def text(self, drawn: float) -> str:
        """Write a number that the search has drawn from the interval.

        Examples
        --------
        >>> Reals("momentum", 0.5, 0.75, "ReverseLogarithmic").text(0.25)
        '0.75'
        """
        value = 1.0 - drawn if self.scale == "ReverseLogarithmic" else drawn
        return repr(min(max(float(value), self.low), self.high))

    def drawn(self, text: str) -> float | None:
        """Read a value as the search knows it; None when it lies outside."""
        value = _number(text)
        if value is None or not self.low <= value <= self.high:
            return None
        return 1.0 - value if self.scale == "ReverseLogarithmic" else value


@dataclass(frozen=True, slots=True)
class Choices:
    """One of some words."""

    name: str
    values: tuple[str, ...]

    def text(self, drawn: str) -> str:
        """Write a word that the search has drawn."""
        return drawn

    def drawn(self, text: str) -> str | None:
        """Read a value as the search knows it; None when it is none of the words."""
        return text if text in self.values else None


Range = Integers | Reals | Choices


def integers(name: str, low: str, high: str, scaling: str, *, field: str) -> Integers:
    """Read an IntegerParameterRange.

    Raises
    ------
    InvalidInput
        A bound is no whole number, the range is upside down, or the scale does not fit it; names
        the member below ``field``.
    """
    bounds = [_whole(low, f"{field}.MinValue"), _whole(high, f"{field}.MaxValue")]
    if scaling == "ReverseLogarithmic":
        legal = "Auto, Linear, Logarithmic"
        raise InvalidInput(f"{field}.ScalingType", f"{scaling} of whole numbers", legal=legal)
    scale = _scale(bounds[0], bounds[1], scaling, field)
    return Integers(name, bounds[0], bounds[1], scale)


def reals(name: str, low: str, high: str, scaling: str, *, field: str) -> Reals:
    """Read a ContinuousParameterRange. Raises InvalidInput as ``integers`` does."""
    bounds = [_real(low, f"{field}.MinValue"), _real(high, f"{field}.MaxValue")]
    scale = _scale(bounds[0], bounds[1], scaling, field)
    return Reals(name, bounds[0], bounds[1], scale)


def choices(name: str, values: Sequence[str], *, field: str) -> Choices:
    """Read a CategoricalParameterRange. Raises InvalidInput when a value is given twice."""
    for value in values:
        if values.count(value) > 1:
            raise InvalidInput(f"{field}.Values", f"{value!r} is given twice")
    return Choices(name, tuple(values))


def combinations(ranges: Sequence[Choices]) -> int:
    """Count the points of a grid."""
    return math.prod(len(one.values) for one in ranges)


def combination(ranges: Sequence[Choices], place: int) -> dict[str, str]:
    """Return one point of a grid; the last range turns fastest.

    Examples
    --------
    >>> grid = [Choices("a", ("x", "y")), Choices("b", ("1", "2", "3"))]
    >>> combination(grid, 4)
    {'a': 'y', 'b': '2'}
    """
    found: dict[str, str] = {}
    for one in reversed(ranges):
        place, at = divmod(place, len(one.values))
        found[one.name] = one.values[at]
    return dict(reversed(found.items()))


def drawn(ranges: Sequence[Range], values: Mapping[str, str]) -> dict[str, float | str] | None:
    """Read a whole set of values as the search knows them; None when one lies outside."""
    found: dict[str, float | str] = {}
    for one in ranges:
        value = one.drawn(values[one.name]) if one.name in values else None
        if value is None:
            return None
        found[one.name] = value
    return found


def _scale(low: float, high: float, scaling: str, field: str) -> Scale:
    if low > high:
        raise InvalidInput(
            f"{field}.MinValue", f"{low} is above MaxValue {high}", legal="MinValue <= MaxValue"
        )
    if scaling == "Logarithmic":
        if low <= 0:
            legal = "above 0 for the Logarithmic scale"
            raise InvalidInput(f"{field}.MinValue", str(low), legal=legal)
        return "Logarithmic"
    if scaling == "ReverseLogarithmic":
        if low < 0 or high >= 1:
            legal = "0 <= MinValue <= MaxValue < 1 for the ReverseLogarithmic scale"
            raise InvalidInput(field, f"the range from {low} to {high}", legal=legal)
        return "ReverseLogarithmic"
    wide = low > 0 and math.log10(high) - math.log10(low) >= _DECADES
    return "Logarithmic" if scaling == "Auto" and wide else "Linear"


def _whole(text: str, field: str) -> int:
    if not _WHOLE.fullmatch(text) or abs(int(text)) > _LARGEST:
        raise InvalidInput(field, f"{text[:40]!r}", legal=f"a whole number, at most ±{_LARGEST}")
    return int(text)


def _real(text: str, field: str) -> float:
    value = _number(text)
    if value is None or abs(value) > _LARGEST**5:
        raise InvalidInput(field, f"{text[:40]!r}", legal=f"a number, at most ±{_LARGEST**5:.0e}")
    return value


def _number(text: str) -> float | None:
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None
