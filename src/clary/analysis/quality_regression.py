"""How far a regression's answers lie from the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from clary.analysis.quality import Quality, Values, measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER: Final = ("mae", "mse", "rmse", "r2")
THEIRS: Final = "r2_over_predictions"
"""In the ``clary`` block: ``r2`` as Model Monitor has it, which divides by the variance of the
predictions where everybody else divides by that of the labels."""


def regression(
    labels: NDArray[np.float64], predictions: NDArray[np.float64], *, evaluated_at: str = ""
) -> Quality:
    """Measure a regression.

    Parameters
    ----------
    labels, predictions
        Finite numbers, shape (rows,).

    Examples
    --------
    >>> one = regression(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    >>> round(one.metrics["mse"].value, 4), round(one.metrics["r2"].value, 4)
    (0.3333, 0.7857)
    """
    rows = len(labels)

    def compute(mask: NDArray[np.bool_] | None) -> Values:
        if mask is None:
            return _values(labels, predictions)
        return _values(labels[mask], predictions[mask])

    members = measured(rows, compute, {}, ORDER)
    extra = {THEIRS: _share(labels, predictions, predictions)}
    return Quality("regression", members, rows, evaluated_at, extra)


def _values(labels: NDArray[np.float64], predictions: NDArray[np.float64]) -> Values:
    if not len(labels):
        return dict.fromkeys(ORDER, "there are no rows")
    errors = predictions - labels
    mse = float(np.mean(errors**2))
    share = _share(labels, predictions, labels)
    return {
        "mae": float(np.mean(np.abs(errors))),
        "mse": mse,
        "rmse": float(np.sqrt(mse)),
        "r2": "all labels are equal" if share is None else share,
    }


def _share(
    labels: NDArray[np.float64], predictions: NDArray[np.float64], of: NDArray[np.float64]
) -> float | None:
    """Compute 1 - mse / variance; None where there is no variance."""
    variance = float(np.var(of)) if len(of) else 0.0
    return 1.0 - float(np.mean((predictions - labels) ** 2)) / variance if variance else None
