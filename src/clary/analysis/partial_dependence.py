"""Partial dependence: what a model predicts on average when one feature has a given value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.analysis.shapley import Predict, Rows

RESOLUTION = 15
_MOST_CATEGORIES = 100


@dataclass(frozen=True, slots=True)
class Dependence:
    """One feature's curve.

    Parameters
    ----------
    values
        The feature's values: the middles of equally wide bins of its range, or its categories.
    distribution
        The share of rows in each bin.
    predictions
        By output, the mean prediction of all rows with that value.
    """

    feature: str
    is_numerical: bool
    values: tuple[Any, ...]
    distribution: tuple[float, ...]
    predictions: tuple[tuple[float, ...], ...]

    def document(self, labels: Sequence[str]) -> dict[str, Any]:
        """Write an entry of ``explanations.pdp`` in analysis.json."""
        return {
            "feature_name": self.feature,
            "data_type": "numerical" if self.is_numerical else "categorical",
            "feature_values": list(self.values),
            "data_distribution": list(self.distribution),
            "model_predictions": [list(one) for one in self.predictions],
            "label_headers": list(labels),
        }


def partial_dependence(
    predict: Predict, rows: Rows, place: int, feature: str, *, resolution: int = RESOLUTION
) -> Dependence:
    """Take a feature's curve over ``rows``, shape (rows, features).

    Raises
    ------
    InvalidInput
        There is no row, the feature has no value or over 100 categories, or the resolution is
        not 1 to 1000.

    Examples
    --------
    >>> rows = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> found = partial_dependence(lambda x: x[:, :1], rows, 0, "a", resolution=2)
    >>> found.values, found.distribution, found.predictions
    ((0.5, 1.5), (0.5, 0.5), ((0.5, 1.5),))
    """
    if not 1 <= resolution <= 1000:
        raise InvalidInput("grid_resolution", str(resolution), legal="1 to 1000")
    known = [one for one in rows[:, place] if one is not None and one == one]  # noqa: PLR0124 - not a NaN
    if not known:
        raise InvalidInput("pdp.features", f"{feature!r} has no value in the dataset")
    is_numerical = all(
        isinstance(one, (int, float, np.number)) and not isinstance(one, bool) for one in known
    )
    grid: tuple[Any, ...]
    if is_numerical:
        grid, counts = _bins(np.asarray(known, np.float64), resolution)
    else:
        named, counts = np.unique(np.asarray(known, str), return_counts=True)
        grid = tuple(map(str, named))
        if len(grid) > _MOST_CATEGORIES:
            legal = f"at most {_MOST_CATEGORIES} categories"
            raise InvalidInput("pdp.features", f"{feature!r} has {len(grid)}", legal=legal)
    means = []
    for value in grid:
        changed = rows.copy()
        changed[:, place] = value
        means.append(predict(changed).mean(0))
    shares = tuple(float(one) for one in counts / counts.sum())
    curves = tuple(tuple(map(float, one)) for one in np.array(means).T)
    return Dependence(feature, is_numerical, grid, shares, curves)


def _bins(known: Any, resolution: int) -> tuple[tuple[float, ...], Any]:
    known = known[np.isfinite(known)]
    if not len(known):
        raise InvalidInput("pdp.features", "the feature has no finite value")
    low, high = float(known.min()), float(known.max())
    if low == high:
        return (low,), np.array([len(known)])
    counts, edges = np.histogram(known, resolution, (low, high))
    return tuple(float(one) for one in (edges[:-1] + edges[1:]) / 2), counts
