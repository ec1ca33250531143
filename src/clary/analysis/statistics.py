"""The document statistics.json: read in every dialect, written as Model Monitor writes it.

``Statistics``, its members, ``read``, ``write`` and ``statistics`` are final.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from clary.analysis import kll
from clary.kernel import codec

if TYPE_CHECKING:
    from clary.analysis.kll import Kll
    from clary.analysis.profiles import ColumnProfile, Profile

BUCKETS = 10
LOW_CARDINALITY = 120
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_NESTED = frozenset((dict, list))
_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class Common(msgspec.Struct, frozen=True):
    """How many rows have a value, and how many none."""

    num_present: int
    num_missing: int


class Bucket(msgspec.Struct, frozen=True):
    """A range of numbers, closed below, open above (the last one closed), and how many are in."""

    lower_bound: float
    upper_bound: float
    count: float


class SketchParameters(msgspec.Struct, frozen=True):
    """How the sketch was made."""

    c: float
    k: float


class Sketch(msgspec.Struct, frozen=True):
    """A KLL sketch: an item of ``data[h]`` stands for 2**h values."""

    parameters: SketchParameters
    data: tuple[tuple[float, ...], ...]


class KllDistribution(msgspec.Struct, frozen=True):
    """How numbers are distributed."""

    buckets: tuple[Bucket, ...]
    sketch: Sketch | None = None


class NumericalDistribution(msgspec.Struct, frozen=True):
    """How numbers are distributed."""

    kll: KllDistribution


class NumericalStatistics(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a column of numbers; without values only how many there are."""

    common: Common
    mean: float | None = None
    sum: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    distribution: NumericalDistribution | None = None


class Category(msgspec.Struct, frozen=True):
    """A value, and how often it occurs."""

    value: str
    count: int


class Categories(msgspec.Struct, frozen=True):
    """How often each value occurs."""

    buckets: tuple[Category, ...]


class CategoricalDistribution(msgspec.Struct, frozen=True):
    """How values are distributed."""

    categorical: Categories


class StringStatistics(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a column of texts; the distribution of at most 120 different ones."""

    common: Common
    distinct_count: float | None = None
    distribution: CategoricalDistribution | None = None


class Feature(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a column.

    Parameters
    ----------
    clary
        What the public format has no place for; other readers ignore it.
    """

    name: str
    inferred_type: str
    numerical_statistics: NumericalStatistics | None = None
    string_statistics: StringStatistics | None = None
    clary: dict[str, Any] | None = None

    @property
    def common(self) -> Common:
        """How many rows have a value; none of none where the document does not say."""
        found = self.numerical_statistics or self.string_statistics
        return found.common if found else Common(0, 0)

    def sketch(self) -> Kll | None:
        """Give the sketch of the numbers, if there is one."""
        numbers = self.numerical_statistics
        if not numbers or not numbers.distribution or not numbers.distribution.kll.sketch:
            return None
        return kll.read(numbers.distribution.kll.sketch.data)

    def categories(self) -> dict[str, int] | None:
        """Give the counts by value of a text column, if they are there."""
        texts = self.string_statistics
        if not texts or not texts.distribution:
            return None
        return {one.value: one.count for one in texts.distribution.categorical.buckets}


class Dataset(msgspec.Struct, frozen=True):
    """The table."""

    item_count: int


class Statistics(msgspec.Struct, frozen=True):
    """The document.

    Parameters
    ----------
    clary
        What ``baselines`` keeps in it for clary's own checks; other readers ignore it.
    """

    version: float
    dataset: Dataset
    features: tuple[Feature, ...]
    clary: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET

    @property
    def by_name(self) -> dict[str, Feature]:
        """The columns by their names."""
        return {feature.name: feature for feature in self.features}


def read(data: bytes | str) -> Statistics:
    """Read a document in any dialect: names in snake_case or camelCase.

    Raises
    ------
    InvalidInput
        It is no such document; names the place in it.
    """
    document = codec.from_json(data, field="statistics")
    return codec.build(Statistics, _snake(document), field="statistics")


def write(document: Statistics) -> bytes:
    """Write a document, as Model Monitor orders it."""
    return msgspec.json.format(msgspec.json.encode(_sayable(msgspec.to_builtins(document))))


def statistics(profile: Profile) -> Statistics:
    """Say what is known of a table in the public format."""
    return Statistics(0.0, Dataset(profile.rows), tuple(map(_feature, profile.columns)))


def _feature(column: ColumnProfile) -> Feature:
    if column.is_numeric:
        return Feature(column.name, column.kind, _numerical(column), None, _beyond(column))
    return Feature(column.name, column.kind, None, _string(column), _beyond(column))


def _numerical(column: ColumnProfile) -> NumericalStatistics:
    common, numbers = Common(column.present, column.missing), column.numbers
    if not numbers.count:
        return NumericalStatistics(common)
    sketch = Sketch(
        SketchParameters(kll.SHRINKING, float(kll.K)),
        tuple(tuple(level.tolist()) for level in column.sketch.levels),
    )
    return NumericalStatistics(
        common,
        numbers.mean,
        numbers.total,
        numbers.standard_deviation,
        numbers.minimum,
        numbers.maximum,
        NumericalDistribution(KllDistribution(_buckets(column), sketch)),
    )


def _buckets(column: ColumnProfile) -> tuple[Bucket, ...]:
    least, most = column.numbers.minimum, column.numbers.maximum
    edges = [least + (most - least) * at / BUCKETS for at in range(BUCKETS + 1)]
    if not math.isfinite(most - least):
        edges = [least * (1 - at / BUCKETS) + most * (at / BUCKETS) for at in range(BUCKETS + 1)]
    edges[-1] = most  # rounding may leave the last edge below it
    below = column.ranks(edges, is_inclusive=False)
    below[-1] = column.ranks(edges[-1:])[0]
    counts = np.diff(below).tolist()
    return tuple(Bucket(edges[at], edges[at + 1], float(count)) for at, count in enumerate(counts))


def _string(column: ColumnProfile) -> StringStatistics:
    common = Common(column.present, column.missing)
    found, distribution = column.frequencies, None
    if found.is_exact and len(found.counts) <= LOW_CARDINALITY:
        buckets = tuple(Category(value, count) for value, count in found.by_text().items())
        distribution = CategoricalDistribution(Categories(buckets))
    return StringStatistics(common, float(column.distinct.count), distribution)


def _beyond(column: ColumnProfile) -> dict[str, Any]:
    numbers, types = column.numbers, column.types
    said: dict[str, Any] = {
        "distinct_count": column.distinct.count,
        "types": {
            "Integral": types.integral,
            "Fractional": types.fractional,
            "Boolean": types.boolean,
            "String": types.string,
        },
    }
    if column.is_numeric and numbers.count:
        said["quantiles"] = dict(
            zip(map(str, _SHARES), column.sketch.quantiles(_SHARES).tolist(), strict=True)
        )
    if numbers.negative_infinities or numbers.positive_infinities:
        said["infinities"] = [numbers.negative_infinities, numbers.positive_infinities]
    return said


def _snake(value: Any) -> Any:
    """Rename members from camelCase, and read the words Java writes for what is no number."""
    if isinstance(value, dict):
        return {
            _HUMP.sub(lambda hump: "_" + hump[1].lower(), key): _snake(one)
            for key, one in value.items()
        }
    if isinstance(value, list) and not _NESTED.isdisjoint(map(type, value)):
        return list(map(_snake, value))
    return value


def _sayable(value: Any) -> Any:
    """Write numbers that JSON lacks as the words that Java uses."""
    if isinstance(value, dict):
        return {key: _sayable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        is_plain = set(map(type, value)) <= {float} and all(map(math.isfinite, value))
        return value if is_plain else list(map(_sayable, value))
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value
