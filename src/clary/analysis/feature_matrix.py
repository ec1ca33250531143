"""Columns of any type as numbers, the same way later as at first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from clary.analysis.outcomes import numbers, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MOST_CATEGORIES: Final = 64
_FEWEST_ROWS: Final = 10
"""A category of fewer stands for none."""
_NUMERIC: Final = 0.9


class Encoder(msgspec.Struct, frozen=True):
    """How columns become numbers.

    Parameters
    ----------
    names
        Of the columns, in order.
    categories
        For each column None where it holds numbers; else the number of each category. Others are
        missing.
    """

    names: tuple[str, ...]
    categories: tuple[dict[str, float] | None, ...]

    def matrix(self, columns: Mapping[str, Sequence[Any]], rows: int) -> NDArray[np.float64]:
        """Return the columns as numbers, shape (rows, columns); NaN is missing."""
        found = np.empty((rows, len(self.names)))
        for place, (name, known) in enumerate(zip(self.names, self.categories, strict=True)):
            column = columns[name]
            found[:, place] = numbers(column if known is None else _coded(column, known))
        return found


def fit_encoder(columns: Mapping[str, Sequence[Any]], target: NDArray[np.float64]) -> Encoder:
    """Learn how columns become numbers.

    A column of which nine in ten present values are numbers stays as it is; of another the 64 most
    frequent categories become the mean of the target in their rows.

    Parameters
    ----------
    columns
        By name, each with a value a row.
    target
        Shape (rows,).
    """
    categories = tuple(_categories(column, target) for column in columns.values())
    return Encoder(tuple(columns), categories)


def _categories(column: Sequence[Any], target: NDArray[np.float64]) -> dict[str, float] | None:
    found = numbers(column)
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return None
    names = texts(column)
    present = sum(name is not None for name in names)
    if np.count_nonzero(~np.isnan(found)) >= _NUMERIC * present:
        return None
    counts = Counter(name for name in names if name is not None)
    frequent = {
        name: place
        for place, (name, count) in enumerate(counts.most_common(_MOST_CATEGORIES))
        if count >= _FEWEST_ROWS
    }
    codes = np.array([frequent.get(name or "", -1) for name in names])
    chosen = codes >= 0
    sums = np.bincount(codes[chosen], target[chosen], len(frequent))
    sizes = np.bincount(codes[chosen], minlength=len(frequent))
    return {name: float(sums[place] / sizes[place]) for name, place in frequent.items()}


def _coded(column: Sequence[Any], known: Mapping[str, float]) -> list[float]:
    return [known.get(name or "", float("nan")) for name in texts(column)]
