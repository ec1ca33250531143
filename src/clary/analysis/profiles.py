"""What is kept of a table: one mergeable state a column.

An hour is the merge of its minutes, a table the merge of its partitions; a stored profile stands
for the rows it was made of (``stored_profiles`` writes and reads it). ``Profile``,
``ColumnProfile``, ``TypeCounts``, ``merge`` and ``merge_all`` are final.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from clary.analysis.distinct import Distinct
from clary.analysis.frequencies import Frequencies
from clary.analysis.kll import Kll
from clary.analysis.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from clary.analysis.correlations import Correlations

_MERGED_AT_ONCE = 64


class TypeCounts(msgspec.Struct, frozen=True, array_like=True):
    """How many values of a column are of which type, each judged by itself."""

    integral: int = 0
    fractional: int = 0
    boolean: int = 0
    string: int = 0

    @property
    def total(self) -> int:
        """How many values there are."""
        return self.integral + self.fractional + self.boolean + self.string

    @property
    def kind(self) -> str:
        """The column's type: Integral, Fractional, String, or Unknown where there are no values.

        Numbers are Fractional as soon as one is; anything else makes the column String.
        """
        if not self.total:
            return "Unknown"
        if self.string or self.boolean:
            return "String"
        return "Fractional" if self.fractional else "Integral"

    def merge(self, other: TypeCounts) -> TypeCounts:
        """Join with the types of other values of the column."""
        return TypeCounts(
            self.integral + other.integral,
            self.fractional + other.fractional,
            self.boolean + other.boolean,
            self.string + other.string,
        )


@dataclass(frozen=True, eq=False, slots=True)
class ColumnProfile:
    """What is known of the values of one column.

    Parameters
    ----------
    missing
        How many rows have no value: null, NaN, an empty CSV field, or no such column.
    types
        The types of the values.
    numbers
        The moments of those that are numbers, whatever the column's type.
    sketch
        The distribution of the finite ones.
    distinct
        The set of all values.
    frequencies
        How often each value occurs.
    """

    name: str
    missing: int = 0
    types: TypeCounts = field(default_factory=TypeCounts)
    numbers: Moments = field(default_factory=Moments)
    sketch: Kll = field(default_factory=Kll)
    distinct: Distinct = field(default_factory=Distinct)
    frequencies: Frequencies = field(default_factory=Frequencies)

    @property
    def present(self) -> int:
        """How many rows have a value."""
        return self.types.total

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.present + self.missing

    @property
    def completeness(self) -> float:
        """The share of rows that have a value; 1 of no rows."""
        return self.present / self.rows if self.rows else 1.0

    @property
    def kind(self) -> str:
        """Integral, Fractional, String or Unknown, see ``TypeCounts.kind``."""
        return self.types.kind

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number."""
        return self.kind in ("Integral", "Fractional")

    def ranks(self, points: ArrayLike, *, is_inclusive: bool = True) -> NDArray[np.int64]:
        """Count the finite numbers at or below (else: below) each of some points.

        Exact while at most 512 different values are known, else from the sketch; from the sketch
        alone where it is to be Deequ's.
        """
        often = self.frequencies
        if not (often.is_exact and often.is_numeric) or self.sketch.mode == "deequ":
            return self.sketch.ranks(points, is_inclusive=is_inclusive)
        is_finite = np.isfinite(often.values)
        order = np.argsort(often.values[is_finite])
        values, counts = often.values[is_finite][order], often.counts[is_finite][order]
        side: Literal["right", "left"] = "right" if is_inclusive else "left"
        ranks: NDArray[np.int64] = np.concatenate(([0], np.cumsum(counts)))[
            np.searchsorted(values, points, side)
        ]
        return ranks

    def merge(self, others: Iterable[ColumnProfile]) -> ColumnProfile:
        """Join with profiles of other rows of the column.

        Associative and commutative: exactly in counts, types, range and distinct values, up to
        rounding in mean and spread, up to their stated errors in sketch and frequencies.
        """
        every = list(others)
        types, numbers = self.types, self.numbers
        for one in every:
            types, numbers = types.merge(one.types), numbers.merge(one.numbers)
        return ColumnProfile(
            self.name,
            self.missing + sum(one.missing for one in every),
            types,
            numbers,
            self.sketch.merge(one.sketch for one in every),
            self.distinct.merge(one.distinct for one in every),
            self.frequencies.merge(one.frequencies for one in every),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Profile:
    """What is known of a table.

    Parameters
    ----------
    rows
        How many it has.
    columns
        In the table's order.
    correlations
        How its numbers go together; None where they are few, or the profile was merged.
    """

    rows: int = 0
    columns: tuple[ColumnProfile, ...] = ()
    correlations: Correlations | None = None

    @property
    def by_name(self) -> dict[str, ColumnProfile]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}


def merge(*profiles: Profile) -> Profile:
    """Join profiles of different rows of one table, see ``merge_all``."""
    return merge_all(profiles)


def merge_all(profiles: Iterable[Profile]) -> Profile:
    """Join any number of profiles in bounded memory.

    A column that some of them lack counts as missing in their rows.
    """
    rest = iter(profiles)
    merged = Profile()
    while some := list(islice(rest, _MERGED_AT_ONCE)):
        merged = _joined([merged, *some] if merged.rows or merged.columns else some)
    return merged


def _joined(profiles: Sequence[Profile]) -> Profile:
    if len(profiles) == 1:
        return profiles[0]
    by_name: dict[str, list[ColumnProfile]] = {}
    for profile in profiles:
        for column in profile.columns:
            by_name.setdefault(column.name, []).append(column)
    rows = sum(profile.rows for profile in profiles)
    return Profile(rows, tuple(_column(columns, rows) for columns in by_name.values()))


def _column(columns: Sequence[ColumnProfile], rows: int) -> ColumnProfile:
    first, *others = columns
    lacking = rows - sum(column.rows for column in columns)
    if lacking > 0:
        others.append(ColumnProfile(first.name, lacking))
    return first.merge(others)
