"""What is told of each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from clary.flows.insights.sampled import is_number, texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clary.analysis.profiles import ColumnProfile
    from clary.flows.insights.sampled import Sampled

Kind = Literal["numeric", "categorical", "text", "boolean", "time", "nested", "empty"]
_BINS = 20
_TOP = 10
_PATTERNS = 5
_MOST_CATEGORIES = 100
_CATEGORY_SHARE = 0.2
_SPREADS = 1.5


class Histogram(Struct, frozen=True):
    """How many numbers of the sample lie between each two edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Numbers(Struct, frozen=True):
    """What is told of numbers.

    ``outliers`` is the share beyond 1.5 interquartile ranges from the quartiles, in the sample.
    """

    mean: float
    deviation: float
    minimum: float
    maximum: float
    quartiles: tuple[float, float, float]
    outliers: float
    skewness: float
    infinite: int
    histogram: Histogram | None


class Column(Struct, frozen=True):
    """A column.

    Parameters
    ----------
    type
        As it is stored.
    kind
        As it is meant: ``categorical`` are texts of at most 100 different values, or of so many
        that each fifth row has another at most.
    missing
        The share of rows without a value.
    valid
        The share of values that are of the type most of them are.
    main_type
        That type: Integral, Fractional, Boolean or String.
    distinct
        About how many different values.
    top
        The most frequent values, with how many rows each.
    patterns
        The most frequent forms of texts in the sample: ``9`` for digits, ``a`` for letters.
    """

    name: str
    type: str
    kind: Kind
    missing: float
    valid: float
    main_type: str
    distinct: int
    top: tuple[tuple[str, int], ...]
    numbers: Numbers | None = None
    patterns: tuple[tuple[str, float], ...] = ()


def describe(table: Sampled) -> tuple[Column, ...]:
    """Describe every column, in order."""
    return tuple(_column(table, one) for one in table.profile.columns)


def _column(table: Sampled, profile: ColumnProfile) -> Column:
    stored = table.type(profile.name)
    kind = _kind(stored, profile)
    counted = {
        "Integral": profile.types.integral,
        "Fractional": profile.types.fractional,
        "Boolean": profile.types.boolean,
        "String": profile.types.string,
    }
    if counted["Fractional"]:
        counted["Fractional"] += counted.pop("Integral")
    main = max(counted, key=lambda one: counted[one])
    order = np.argsort(-profile.frequencies.counts, kind="stable")[:_TOP]
    shown = profile.frequencies.texts()
    return Column(
        profile.name,
        str(stored),
        kind,
        1 - profile.completeness,
        counted[main] / profile.present if profile.present else 1.0,
        main if profile.present else "Unknown",
        round(profile.distinct.count),
        tuple((str(shown[at]), int(profile.frequencies.counts[at])) for at in order),
        _numbers(table, profile) if kind == "numeric" else None,
        _patterns(table, profile.name) if kind in ("text", "categorical") else (),
    )


def _kind(stored: pa.DataType, profile: ColumnProfile) -> Kind:
    if not profile.present:
        return "empty"
    by_type: dict[Kind, bool] = {
        "boolean": pa.types.is_boolean(stored),
        "time": pa.types.is_temporal(stored),
        "nested": pa.types.is_nested(stored),
        "numeric": is_number(stored),
    }
    found = next((kind for kind, is_so in by_type.items() if is_so), None)
    if found is not None:
        return found
    different = profile.distinct.count
    few = different <= _MOST_CATEGORIES and different < profile.present
    if few or different <= _CATEGORY_SHARE * profile.present:
        return "categorical"
    return "text"


def _numbers(table: Sampled, profile: ColumnProfile) -> Numbers:
    moments, sketch = profile.numbers, profile.sketch
    infinite = moments.negative_infinities + moments.positive_infinities
    if not moments.count:
        nan = float("nan")
        return Numbers(nan, nan, nan, nan, (nan, nan, nan), 0.0, nan, infinite, None)
    first, middle, last = map(float, sketch.quantiles([0.25, 0.5, 0.75]))
    values = table.numbers(profile.name)
    values = values[np.isfinite(values)]
    reach = _SPREADS * (last - first)
    is_out = (values < first - reach) | (values > last + reach)
    return Numbers(
        moments.mean,
        moments.standard_deviation,
        moments.minimum,
        moments.maximum,
        (first, middle, last),
        float(is_out.mean()) if values.size else 0.0,
        skewness(values),
        infinite,
        histogram(values),
    )


def skewness(values: NDArray[np.float64]) -> float:
    """Measure skewness: the third standardized moment; 0 of what does not vary."""
    if not values.size:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        apart = values - values.mean()
        spread = float(np.sqrt(np.mean(apart**2)))
        told = float(np.mean((apart / spread) ** 3)) if spread else 0.0
    return told if np.isfinite(told) else 0.0


def histogram(values: NDArray[np.float64], bins: int = _BINS) -> Histogram | None:
    """Count values in bins of one width; None of no values."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not values.size or not np.isfinite(high - low):
        return None
    counts, edges = np.histogram(values, bins, span(low, high, bins))
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def span(low: float, high: float, bins: int) -> tuple[float, float]:
    """Give the range of a histogram: bins of numbers that do not vary are 1 wide together.

    Large numbers are further apart than that; then a bin is wider than what is between two.
    """
    if high == low:
        low, high = low - 0.5, high + 0.5
    least = 4 * bins * float(np.spacing(max(abs(low), abs(high))))
    return low, max(high, low + least)


def _patterns(table: Sampled, column: str) -> tuple[tuple[str, float], ...]:
    values = texts(table.sample.column(column)).drop_null()
    values = pc.utf8_slice_codeunits(values, 0, 100)
    for pattern, letter in ((r"\p{L}+", "a"), (r"\p{Nd}+", "9"), (r"\s+", " ")):
        values = pc.replace_substring_regex(values, pattern, letter)
    counted = {one["values"]: one["counts"] for one in pc.value_counts(values).to_pylist()}
    often = sorted(counted, key=lambda one: (-counted[one], one))[:_PATTERNS]
    return tuple((one, counted[one] / len(values)) for one in often)
