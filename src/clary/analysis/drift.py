"""Which columns have another distribution than before, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import numpy as np

from clary.analysis import distances, significance
from clary.analysis.constraints import Metric
from clary.analysis.samples import Categories, Numbers
from clary.analysis.significance import chi_squared_p, kolmogorov_smirnov_p, shares_p
from clary.kernel.codec import build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.analysis.samples import Floats, Sample

METRICS: Final = get_args(Metric)
"""What may be measured of a column; ``ColumnDrift.metrics`` holds those that apply to it."""

Test = Literal["kolmogorov_smirnov", "chi_squared", "category_shares"]


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far a column's distribution is from the baseline's.

    Parameters
    ----------
    name
        The column.
    metrics
        Of ``METRICS``; ``wasserstein`` in the column's unit, ``normalized_wasserstein`` in the
        baseline's standard deviations.
    test
        What the p-value is of.
    p_value
        The chance of such a difference where nothing has changed. What is not known of a stored
        distribution counts in its favour.
    adjusted_p_value
        The same for a column among several, by Benjamini and Hochberg.
    is_significant
        Whether that is below the level asked for.
    """

    name: str
    metrics: Mapping[str, float]
    test: Test
    p_value: float
    adjusted_p_value: float = 1.0
    is_significant: bool = False

    def to_document(self) -> dict[str, Any]:
        """Write it as a member of a ``clary`` block."""
        return {
            "feature_name": self.name,
            "test": self.test,
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "is_significant": self.is_significant,
            **self.metrics,
        }


class _Said(msgspec.Struct, frozen=True):
    feature_name: str
    test: Test
    p_value: float
    adjusted_p_value: float = 1.0
    is_significant: bool = False


def read(document: Any) -> ColumnDrift:
    """Read what ``ColumnDrift.to_document`` wrote.

    Raises
    ------
    InvalidInput
        It is none; names the member.
    """
    said = build(_Said, document, field="drift")
    given = {name: document[name] for name in METRICS if document.get(name) is not None}
    metrics = build(dict[str, float], given, field="drift")
    return ColumnDrift(
        said.feature_name,
        metrics,
        said.test,
        said.p_value,
        said.adjusted_p_value,
        said.is_significant,
    )


def drift(
    baseline: Mapping[str, Sample], current: Mapping[str, Sample], *, level: float = 0.01
) -> tuple[ColumnDrift, ...]:
    """Compare the columns that both have as the same sort, in the baseline's order.

    Where nothing has changed, ``is_significant`` is true of any column at all with a chance of
    ``level``.
    """
    found = [
        one
        for name, sample in baseline.items()
        if (one := column_drift(name, sample, current.get(name))) is not None
    ]
    return adjusted(found, level=level)


def adjusted(found: Sequence[ColumnDrift], *, level: float) -> tuple[ColumnDrift, ...]:
    """Judge columns that were tested together."""
    p_values = significance.adjusted([one.p_value for one in found])
    return tuple(
        replace(one, adjusted_p_value=p, is_significant=p < level)
        for one, p in zip(found, p_values, strict=True)
    )


def column_drift(name: str, baseline: Sample, current: Sample | None) -> ColumnDrift | None:
    """Compare one column; None where the two are not of one sort, or either has no rows."""
    if current is None or not baseline.rows or not current.rows:
        return None
    match baseline, current:
        case Numbers(), Numbers():
            return _numbers(name, baseline, current)
        case Categories(), Categories():
            return _categories(name, baseline, current)
    return None


def _numbers(name: str, a: Numbers, b: Numbers) -> ColumnDrift:
    points, gaps = distances.cdf_gaps(a, b)
    greatest = float(np.abs(gaps).max())
    moved = distances.area(points, gaps)
    spread = _spread(a)
    metrics = {"kolmogorov_smirnov": greatest, "wasserstein": moved}
    if spread:
        metrics["normalized_wasserstein"] = moved / spread
    metrics |= _histograms(*distances.binned(a, b))
    sure = max(0.0, greatest - a.rank_error - b.rank_error)
    p = kolmogorov_smirnov_p(sure, a.rows, b.rows)
    return ColumnDrift(name, metrics, "kolmogorov_smirnov", p)


def _spread(one: Numbers) -> float:
    is_finite = np.isfinite(one.values)
    values, counts = one.values[is_finite], one.counts[is_finite]
    if not values.size:
        return 0.0
    scale = float(np.abs(values).max()) or 1.0
    middle = np.average(values / scale, weights=counts)
    variance = np.average((values / scale - middle) ** 2, weights=counts)
    return float(np.sqrt(variance) * scale)


def _histograms(a: Floats, b: Floats) -> dict[str, float]:
    return {
        "population_stability_index": distances.population_stability_index(a, b),
        "jensen_shannon": distances.jensen_shannon(a, b),
    }


def _categories(name: str, a: Categories, b: Categories) -> ColumnDrift:
    counted = distances.aligned(a, b)
    metrics = {"l_infinity": distances.l_infinity(a, b), **_histograms(*counted)}
    if a.error or b.error:
        return ColumnDrift(name, metrics, "category_shares", _shares(a, b))
    statistic, freedom = distances.chi_squared(*counted)
    metrics["chi_squared"] = statistic
    return ColumnDrift(name, metrics, "chi_squared", chi_squared_p(statistic, freedom))


def _shares(a: Categories, b: Categories) -> float:
    """Test the frequent categories one by one, where the rare ones are not counted.

    Of the counts that a category may have, those that are closest to an equal share are tested;
    the smallest p-value is multiplied by the number of categories that there may be.
    """
    n, m = a.rows, b.rows
    names = sorted(set(a.counts) | set(b.counts), key=str)
    (low_a, high_a), (low_b, high_b) = (distances.bounds(one, names) for one in (a, b))
    is_less = high_a / n < low_b / m
    is_more = low_a / n > high_b / m
    tested = is_less | is_more
    if not tested.any():
        return 1.0
    p = shares_p(
        np.where(is_less, high_a, low_a)[tested], np.where(is_less, low_b, high_b)[tested], n, m
    )
    return min(1.0, float(p.min()) * (len(names) + a.others + b.others))
