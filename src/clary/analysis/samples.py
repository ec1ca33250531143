"""Distributions as the distances read them: of numbers, and of categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from clary.analysis.kll import SHRINKING, K

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from clary.analysis.kll import Kll
    from clary.analysis.profiles import ColumnProfile, Profile

    Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A distribution of numbers.

    Parameters
    ----------
    values
        Ascending and distinct; no NaN. Infinities are legal.
    counts
        How many rows have each, positive, the same shape.
    rank_error
        How far any share of rows below a value may be off; 0 when all rows are told.
    sketch
        The sketch of its finite values, where there is one and it has any.
    """

    values: Floats
    counts: Floats
    rank_error: float = 0.0
    sketch: Kll | None = None
    below: Floats = field(init=False)
    """The share of rows at or below each value."""

    def __post_init__(self) -> None:
        total = np.cumsum(self.counts)
        object.__setattr__(self, "below", total / total[-1] if total.size else total)

    @property
    def rows(self) -> float:
        """How many rows it is of."""
        return float(self.counts.sum())


def of_values(values: ArrayLike) -> Numbers:
    """Take a distribution from all its values, in any order; NaN counts as missing.

    Examples
    --------
    >>> of_values([2, 1, 2]).counts.tolist()
    [1.0, 2.0]
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    ordered = ordered[: int(np.searchsorted(ordered, np.nan))]
    if not ordered.size:
        return Numbers(ordered, ordered)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(starts, append=ordered.size).astype(np.float64)
    return Numbers(ordered[starts], counts)


def of_weights(values: ArrayLike, weights: ArrayLike) -> Numbers:
    """Take a distribution from values, in any order and repeated, and what each weighs."""
    known = np.asarray(values, dtype=np.float64)
    weighs = np.asarray(weights, dtype=np.float64)
    is_told = ~np.isnan(known) & (weighs > 0)
    distinct, places = np.unique(known[is_told], return_inverse=True)
    counts = np.bincount(places, weights=weighs[is_told], minlength=distinct.size)
    return Numbers(distinct, counts.astype(np.float64))


def of_sketch(sketch: Kll, *, below: float = 0.0, above: float = 0.0) -> Numbers:
    """Take a distribution from a KLL sketch of its finite values, and the rows of infinite ones.

    Deequ's own reading of its sketches forgets repeated items; this one adds them up.
    """
    values, weights = sketch.items()
    ends = np.array([below, above])
    whole = of_weights(np.concatenate((values, [-np.inf, np.inf])), np.concatenate((weights, ends)))
    return Numbers(whole.values, whole.counts, _rank_error(sketch), _told(sketch))


def _told(sketch: Kll) -> Kll | None:
    return sketch if sketch.count else None


def _rank_error(sketch: Kll) -> float:
    """Estimate how far a share of rows may be off in a sketch (two standard deviations).

    A compaction of level h moves a rank by 2**h or not at all, half of the time each.
    """
    sizes = [len(level) for level in sketch.levels]
    variance, promoted = 0.0, 0.0
    for height in range(len(sizes) - 2, -1, -1):
        promoted = 2 * promoted + sizes[height + 1]
        variance += 2 * promoted / _capacity(sketch, height) * 4**height / 2
    return 2 * math.sqrt(variance) / sketch.count if variance else 0.0


def _capacity(sketch: Kll, height: int) -> float:
    """Say how many items a level is compacted at; Deequ's shrink upwards, ours downwards."""
    from_largest = height if sketch.mode == "deequ" else len(sketch.levels) - 1 - height
    return max(4.0, K * SHRINKING**from_largest)


@dataclass(frozen=True, slots=True)
class Categories:
    """A distribution of categories.

    Parameters
    ----------
    counts
        How many rows have each category.
    others
        How many rows have a category that is not told apart.
    error
        By how much any category's count may be greater than told; 0 when all are exact.
    """

    counts: Mapping[Any, float]
    others: float = 0.0
    error: float = 0.0

    @property
    def rows(self) -> float:
        """How many rows it is of."""
        return float(sum(self.counts.values()) + self.others)


Sample: TypeAlias = Numbers | Categories


def of_column(column: ColumnProfile, like: Sample | None = None) -> Sample | None:
    """Take the distribution of a column from its profile; None where it has no values.

    Parameters
    ----------
    like
        What it will be compared with. Of numbers, the numbers of a column are taken that holds
        texts, too; of categories, numbers are categories.
    """
    if not column.present:
        return None
    if isinstance(like, Categories) or (like is None and not column.is_numeric):
        often = column.frequencies
        known = often.by_text()
        return Categories(known, max(0, column.present - sum(known.values())), often.error)
    return _numbers(column)


def _numbers(column: ColumnProfile) -> Numbers | None:
    often, moments = column.frequencies, column.numbers
    if column.is_numeric and often.is_exact and often.is_numeric:
        told = of_weights(often.values, often.counts)
        return Numbers(told.values, told.counts, sketch=_told(column.sketch))
    below, above = moments.negative_infinities, moments.positive_infinities
    if not moments.count + below + above:
        return None
    return of_sketch(column.sketch, below=below, above=above)


def of_profile(profile: Profile, like: Mapping[str, Sample] | None = None) -> dict[str, Sample]:
    """Take the distributions of a table's columns that have values, see ``of_column``."""
    others = like or {}
    found = {column.name: of_column(column, others.get(column.name)) for column in profile.columns}
    return {name: sample for name, sample in found.items() if sample is not None}
