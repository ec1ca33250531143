"""How far apart two distributions are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from clary.analysis.samples import Categories, Floats, Numbers

_ROBUST = 1.8
"""What Deequ's robust distance allows for chance, in units of √((n+m)/(nm))."""
_DECILES = np.arange(1, 10) / 10
_FEW = 5.0


def cdf_gaps(a: Numbers, b: Numbers) -> tuple[Floats, Floats]:
    """Compare two distribution functions at every value of either.

    Returns
    -------
    tuple
        The values, ascending, and by how much the share of rows at or below each is greater in
        ``a``. A value of both may be there twice.

    Raises
    ------
    InvalidInput
        Either has no rows.
    """
    _check(a.rows, b.rows)
    lower = np.searchsorted(b.values, a.values)
    is_in_both = b.values[np.minimum(lower, b.values.size - 1)] == a.values
    upper = np.cumsum(np.bincount(lower, minlength=b.values.size + 1)[:-1])
    at_a, at_b = np.arange(lower.size) + lower, np.arange(upper.size) + upper
    points = np.empty(lower.size + upper.size)
    points[at_a], points[at_b] = a.values, b.values
    gaps = np.empty(points.size)
    gaps[at_a] = a.below - np.concatenate(([0.0], b.below))[lower + is_in_both]
    gaps[at_b] = np.concatenate(([0.0], a.below))[upper] - b.below
    return points, gaps


def _share_below(one: Numbers, points: Floats) -> Floats:
    shares = np.concatenate(([0.0], one.below))
    return shares[np.searchsorted(one.values, points, side="right")]


def _check(a: float, b: float) -> None:
    if not a or not b:
        raise InvalidInput("", "a distribution of no rows has no distance", legal="at least 1 row")


def kolmogorov_smirnov(a: Numbers, b: Numbers) -> float:
    """Greatest difference of the two distribution functions, in [0, 1].

    Deequ calls it the simple distance. As ``scipy.stats.ks_2samp``.
    """
    return float(np.abs(cdf_gaps(a, b)[1]).max())


def wasserstein(a: Numbers, b: Numbers) -> float:
    """Area between the two distribution functions, in the unit of the values.

    Over the finite values; as ``scipy.stats.wasserstein_distance``.
    """
    return area(*cdf_gaps(a, b))


def area(points: Floats, gaps: Floats) -> float:
    """Area between two distribution functions, given where they are compared."""
    is_finite = np.isfinite(points)
    finite = points[is_finite]
    return float(np.dot(np.abs(gaps[is_finite][:-1]), np.diff(finite)))


def robust(simple: float, n: float, m: float) -> float:
    """Take from a greatest difference what chance explains with n and m rows; at least 0.

    Examples
    --------
    >>> round(robust(0.5, 200, 200), 2)
    0.32
    """
    return max(0.0, simple - _ROBUST * math.sqrt((n + m) / (n * m)))


def l_infinity(a: Categories, b: Categories) -> float:
    """Greatest difference of a category's share, in [0, 1]; the least possible, where not exact."""
    _check(a.rows, b.rows)
    names = sorted(set(a.counts) | set(b.counts), key=str)
    (low_a, high_a), (low_b, high_b) = (bounds(one, names) for one in (a, b))
    n, m = a.rows, b.rows
    return float(np.max(np.maximum(low_a / n - high_b / m, low_b / m - high_a / n), initial=0.0))


def bounds(one: Categories, names: Sequence[Any]) -> tuple[Floats, Floats]:
    """Say how many rows have each category, at the least and at the most."""
    low = np.asarray([one.counts.get(name, 0.0) for name in names], dtype=np.float64)
    return low, low + one.error


def deequ_kolmogorov_smirnov(
    a: Sequence[ArrayLike], b: Sequence[ArrayLike]
) -> tuple[float, float, float]:
    """Compare two KLL sketches as Deequ 2.0 does, which forgets how often an item is repeated.

    Of several equal items the one in the highest level counts, once. A column of few values, such
    as 0 and 1, therefore never drifts.

    Returns
    -------
    tuple
        The greatest difference, and the numbers of rows that Deequ takes the sketches for.
    """
    ranks = [_deequ_ranks(one) for one in (a, b)]
    (values_a, ranks_a), (values_b, ranks_b) = ranks
    _check(values_a.size, values_b.size)
    n, m = float(ranks_a[-1]), float(ranks_b[-1])
    points = np.union1d(values_a, values_b)
    at_a = np.concatenate(([0.0], ranks_a))[np.searchsorted(values_a, points, side="right")]
    at_b = np.concatenate(([0.0], ranks_b))[np.searchsorted(values_b, points, side="right")]
    return float(np.abs(at_a / n - at_b / m).max()), n, m


def _deequ_ranks(levels: Sequence[ArrayLike]) -> tuple[Floats, Floats]:
    weights: dict[float, float] = {}
    for height, items in enumerate(levels):
        weights |= dict.fromkeys(np.asarray(items, dtype=np.float64).tolist(), float(2**height))
    values = np.asarray(sorted(weights), dtype=np.float64)
    return values, np.cumsum([weights[value] for value in values.tolist()])


def aligned(a: Categories, b: Categories) -> tuple[Floats, Floats]:
    """Count the same categories in both, in the order of their names; the last are the others.

    Where counts are not exact, what is frequent on one side only is among the others.
    """
    both = set(a.counts) & set(b.counts) if a.error or b.error else set(a.counts) | set(b.counts)
    names = sorted(both, key=str)
    found = []
    for one in (a, b):
        known, _ = bounds(one, names)
        found.append(np.append(known, one.rows - known.sum()))
    return found[0], found[1]


def binned(expected: Numbers, actual: Numbers) -> tuple[Floats, Floats]:
    """Count both in the same bins: tenths of what is expected, at most.

    A value that fills a tenth or more has a bin of its own, so that columns of few values are
    compared value by value.
    """
    _check(expected.rows, actual.rows)
    edges = bin_edges(expected)
    found = []
    for one in (expected, actual):
        below = _share_below(one, edges)
        found.append(np.diff(below, prepend=0.0, append=1.0) * one.rows)
    return found[0], found[1]


def bin_edges(expected: Numbers) -> Floats:
    """Give the greatest value of each bin of ``binned`` but the last, which has none."""
    places = np.searchsorted(expected.below, _DECILES - 1e-12)
    tenths = expected.values[np.minimum(places, expected.values.size - 1)]
    heavy = expected.values[expected.counts >= expected.rows / 10]
    with np.errstate(over="ignore"):  # what is next below the least number is -inf
        edges: Floats = np.unique(np.concatenate((tenths, heavy, np.nextafter(heavy, -np.inf))))
    return edges


def shares(a: Floats, b: Floats, *, floor: float = 0.0) -> tuple[Floats, Floats]:
    """Turn counts of the same bins into shares, at least ``floor`` each."""
    if a.shape != b.shape:
        raise InvalidInput("", f"{a.size} bins cannot be compared with {b.size}")
    _check(float(a.sum()), float(b.sum()))
    return np.maximum(a / a.sum(), floor), np.maximum(b / b.sum(), floor)


def population_stability_index(expected: Floats, actual: Floats, *, floor: float = 1e-4) -> float:
    """Drift between two histograms over the same bins; 0 means identical.

    PSI = Σ (aᵢ - eᵢ) · ln(aᵢ / eᵢ), with shares aᵢ, eᵢ clipped to ``floor``.

    Parameters
    ----------
    expected, actual
        Non-negative counts, shape (bins,), same bins; need not share a total.
    floor
        Smallest share a bin may have, dimensionless, in (0, 1/bins).

    Raises
    ------
    InvalidInput
        Bins differ, or either side holds no rows.
    """
    e, a = shares(expected, actual, floor=floor)
    return float(np.sum((a - e) * np.log(a / e)))


def jensen_shannon(a: Floats, b: Floats) -> float:
    """Jensen-Shannon distance of two histograms over the same bins, base 2, in [0, 1].

    The root of the divergence; as ``scipy.spatial.distance.jensenshannon(…, base=2)``.
    """
    p, q = shares(a, b)
    middle = (p + q) / 2
    return math.sqrt(max(0.0, (_information(p, middle) + _information(q, middle)) / 2))


def _information(p: Floats, q: Floats) -> float:
    there = p > 0
    return float(np.sum(p[there] * np.log2(p[there] / q[there])))


def chi_squared(a: Floats, b: Floats) -> tuple[float, int]:
    """Pearson's statistic that two histograms over the same bins are of one distribution.

    Bins in which fewer than 5 rows are expected on either side are taken together first.

    Returns
    -------
    tuple
        The statistic and its degrees of freedom; (0, 0) when one bin is left.
    """
    shares(a, b)
    n, m = a.sum(), b.sum()
    table = np.vstack((a, b))
    expected = table.sum(axis=0) * min(n, m) / (n + m)
    few = expected < _FEW
    table = np.column_stack((table[:, ~few], table[:, few].sum(axis=1)))
    table = _merged(table, min(n, m) / (n + m))
    both = table.sum(axis=0)
    should = np.outer((n, m), both) / (n + m)
    return float(np.sum((table - should) ** 2 / should)), both.size - 1


def _merged(table: Floats, share: float) -> Floats:
    """Take the last bin, of what was taken together, to the smallest if it is too small itself."""
    if table[:, -1].sum() * share >= _FEW:
        return table
    rest, last = table[:, :-1], table[:, -1]
    if not rest.size:
        return table
    rest = rest.copy()
    rest[:, int(np.argmin(rest.sum(axis=0)))] += last
    return rest
