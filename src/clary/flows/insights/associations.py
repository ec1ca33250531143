"""How columns go together: correlations, and columns that say the same as others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.stats import rankdata

from clary.flows.insights.learning import sklearn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from clary.flows.insights.sampled import Sampled

    Floats = NDArray[np.float64]

MOST = 60
_CATEGORIES = 100
_FOLDS = 3


class Matrix(Struct, frozen=True):
    """A number for each two columns; NaN where it is not defined."""

    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


class Multicollinearity(Struct, frozen=True):
    """What the other columns already say.

    Parameters
    ----------
    inflation
        Variance inflation factors: 1 where nothing is shared, over 5 much, infinite all.
    components
        The share of variance of each principal component, the largest first.
    coefficients
        Of a lasso on the target, over columns in standard deviations; none without a target, or of
        fewer than three rows.
    """

    inflation: tuple[tuple[str, float], ...]
    components: tuple[float, ...]
    coefficients: tuple[tuple[str, float], ...] = ()


def correlation(
    table: Sampled, numeric: Sequence[str], categorical: Sequence[str], *, by_rank: bool = False
) -> Matrix:
    """Measure how columns go together: -1 to 1 between numbers, else 0 to 1.

    Two columns of numbers: Pearson's coefficient, or Spearman's ``by_rank``. Two of categories:
    Cramér's V with Bergsma's correction of its bias. One of each: the correlation ratio. Rows in
    which one of the two is missing do not count.
    """
    names = [*numeric, *categorical][:MOST]
    columns = {one: table.numbers(one) for one in names}
    of_categories = set(categorical)
    values = np.full((len(names), len(names)), np.nan)
    for at, left in enumerate(names):
        for other, right in enumerate(names[: at + 1]):
            told = _pair(
                columns[left],
                columns[right],
                [one in of_categories for one in (left, right)],
                by_rank,
            )
            values[at, other] = values[other, at] = told
    return Matrix(tuple(names), tuple(tuple(map(float, row)) for row in values))


def _pair(left: Floats, right: Floats, of_categories: list[bool], by_rank: bool) -> float:  # noqa: FBT001 private
    both = np.isfinite(left) & np.isfinite(right)
    left, right = left[both], right[both]
    if all(of_categories):
        return cramers_v(left, right)
    if any(of_categories):
        groups, numbers = (left, right) if of_categories[0] else (right, left)
        return correlation_ratio(groups, numbers)
    return pearson(rankdata(left), rankdata(right)) if by_rank else pearson(left, right)


def pearson(left: Floats, right: Floats) -> float:
    """Give Pearson's coefficient; NaN where one does not vary, or of fewer than three rows."""
    if len(left) < 3:
        return float("nan")
    left, right = left / (np.abs(left).max() or 1.0), right / (np.abs(right).max() or 1.0)
    left, right = left - left.mean(), right - right.mean()
    spread = float(np.sqrt((left @ left) * (right @ right)))
    return float(np.clip(left @ right / spread, -1, 1)) if spread > 0 else float("nan")


def cramers_v(left: Floats, right: Floats) -> float:
    """Give Cramér's V of two columns of categories, corrected for bias (Bergsma, 2013)."""
    rows, columns = np.unique(left, return_inverse=True), np.unique(right, return_inverse=True)
    high, wide = min(len(rows[0]), _CATEGORIES), min(len(columns[0]), _CATEGORIES)
    count = len(left)
    if min(high, wide) < 2 or count < 2:
        return float("nan")
    places = np.minimum(rows[1], high - 1) * wide + np.minimum(columns[1], wide - 1)
    table = np.bincount(places, minlength=high * wide).reshape(high, wide).astype(float)
    expected = table.sum(1)[:, None] * table.sum(0)[None, :] / count
    phi = float(((table - expected) ** 2 / expected).sum()) / count
    corrected = max(0.0, phi - (high - 1) * (wide - 1) / (count - 1))
    least = min(high - (high - 1) ** 2 / (count - 1), wide - (wide - 1) ** 2 / (count - 1)) - 1
    return min(1.0, float(np.sqrt(corrected / least))) if least > 0 else float("nan")


def correlation_ratio(groups: Floats, numbers: Floats) -> float:
    """Give the root of the share of the numbers' variance that lies between groups."""
    if len(numbers) < 3:
        return float("nan")
    numbers = numbers / (np.abs(numbers).max() or 1.0)
    _, places = np.unique(groups, return_inverse=True)
    counts = np.bincount(places)
    means = np.bincount(places, numbers) / counts
    apart = numbers - numbers.mean()
    whole = float(apart @ apart)
    between = float(counts @ (means - numbers.mean()) ** 2)
    return min(1.0, float(np.sqrt(between / whole))) if whole > 0 else float("nan")


def multicollinearity(
    table: Sampled, numeric: Sequence[str], target: str = "", *, seed: int = 0
) -> Multicollinearity:
    """Measure what columns of numbers share. Missing values count as the column's mean."""
    names = [one for one in numeric if one != target][:MOST]
    matrix = _standardized(table, names)
    varies = matrix.std(0) > 0
    inflation = np.full(len(names), np.nan)
    if varies.any():
        inflation[varies] = _inflation(matrix[:, varies])
    shares = np.sort(np.linalg.eigvalsh(matrix.T @ matrix))[::-1].clip(0) if names else np.empty(0)
    shares = shares / (shares.sum() or 1.0)
    weights: tuple[tuple[str, float], ...] = ()
    if target and names and len(matrix) >= _FOLDS:
        wanted = _standardized(table, [target])[:, 0]
        lasso = sklearn("linear_model").LassoCV(cv=_FOLDS, random_state=seed).fit(matrix, wanted)
        weights = tuple(zip(names, map(float, lasso.coef_), strict=True))
    return Multicollinearity(
        tuple(zip(names, map(float, inflation), strict=True)), tuple(map(float, shares)), weights
    )


def _inflation(matrix: Floats) -> Floats:
    """Regress each column on the others: 1 / (1 - R²)."""
    found = np.empty(matrix.shape[1])
    for at in range(matrix.shape[1]):
        others = np.delete(matrix, at, 1)
        weights = np.linalg.lstsq(others, matrix[:, at], rcond=None)[0]
        left = matrix[:, at] - others @ weights
        share = float(left @ left) / float(matrix[:, at] @ matrix[:, at])
        found[at] = 1 / share if share > 1e-12 else np.inf
    return found


def _standardized(table: Sampled, names: Sequence[str]) -> Floats:
    columns = []
    for one in names:
        values = table.numbers(one)
        values = np.where(np.isfinite(values), values, np.nan)
        scale = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
        values = values / (scale or 1.0)
        values = np.nan_to_num(values - (np.nanmean(values) if scale else 0.0))
        columns.append(values / (values.std() or 1.0))
    return np.column_stack(columns) if columns else np.empty((table.sample.num_rows, 0))
