"""What features are when they take no part: a few rows that stand for a dataset (k-prototypes).

After Huang, "Extensions to the k-Means Algorithm for Clustering Large Data Sets with Categorical
Values" (1998): numbers count by their squared distance in standard deviations, other values by
whether they differ; a center has the mean of each number and the most frequent other value.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from clary.analysis.shapley import Floats, Rows

_ROUNDS = 50
_MOST_ROWS = 20_000
_LARGEST = 1e100


def numbers(rows: Rows) -> list[bool]:
    """Say which columns hold numbers, or nothing, in every row."""
    return [all(one is None or _is_number(one) for one in column) for column in rows.T]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def as_numbers(rows: Rows) -> Floats:
    """Turn columns of numbers into floats; what is missing becomes ``nan``."""
    return np.array([[np.nan if one is None else one for one in row] for row in rows], np.float64)


def representatives(rows: Rows, count: int, *, seed: int = 0) -> Rows:
    """Choose at most ``count`` centers of rows, shape (rows, features), of any type.

    Examples
    --------
    >>> rows = np.array([[1.0, "a"], [3.0, "a"], [3.0, "b"], [5.0, "a"]], dtype=object)
    >>> representatives(rows, 1).tolist()
    [[3.0, 'a']]
    """
    generator = np.random.default_rng(seed)
    if len(rows) > _MOST_ROWS:
        rows = rows[np.sort(generator.choice(len(rows), _MOST_ROWS, replace=False))]
    count = min(count, len(rows))
    if count <= 1:
        return np.array([_center(rows)], dtype=object)[:count]
    distance = _Distance(rows)
    members = np.zeros(len(rows), int)
    centers = [rows[generator.integers(len(rows))]]
    while len(centers) < count:  # k-means++: far ones are likely
        nearest = np.min([distance.to(one) for one in centers], 0)
        if not nearest.sum():
            break
        centers.append(rows[generator.choice(len(rows), p=nearest / nearest.sum())])
    for turn in range(_ROUNDS):
        found = np.argmin([distance.to(one) for one in centers], 0)
        if turn and (found == members).all():
            break
        members = found
        centers = [_center(rows[members == one]) for one in np.unique(members)]
    return np.array(centers, dtype=object)


class _Distance:
    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._numeric = numbers(rows)
        self._scaled: dict[int, tuple[Floats, float]] = {}
        for place, is_numeric in enumerate(self._numeric):
            if is_numeric:
                column = _bounded(as_numbers(rows[:, [place]])[:, 0])
                known = column[~np.isnan(column)]
                deviation = float(known.std()) if len(known) else 0.0
                filled = np.nan_to_num(column, nan=float(known.mean()) if len(known) else 0.0)
                self._scaled[place] = (filled / (deviation or 1.0), deviation or 1.0)

    def to(self, center: Any) -> Floats:
        total = np.zeros(len(self._rows))
        for place, value in enumerate(center):
            if place in self._scaled:
                column, deviation = self._scaled[place]
                at = _bounded(np.array([np.nan if value is None else value], np.float64))[0]
                total += (column - (column.mean() if np.isnan(at) else at / deviation)) ** 2
            else:
                total += np.array([one != value for one in self._rows[:, place]], float)
        return total


def _bounded(column: Floats) -> Floats:
    """Take what is no finite number as missing, and keep squares finite."""
    known = np.where(np.isfinite(column), column, np.nan)
    return np.asarray(np.clip(known, -_LARGEST, _LARGEST), np.float64)


def _center(rows: Rows) -> list[Any]:
    center: list[Any] = []
    for given in rows.T:
        known = [one for one in given if one is not None]
        if not known:
            center.append(None)
        elif all(map(_is_number, known)):
            column = _bounded(np.array(known, np.float64))
            finite = column[~np.isnan(column)]
            center.append(float(finite.mean()) if len(finite) else None)
        else:
            center.append(Counter(known).most_common(1)[0][0])
    return center
