"""How good a classifier probably is, before anybody knows the labels.

Confidence-based performance estimation: where calibrated probabilities say how likely each answer
is right, the confusion matrix to expect is their sum, and so is the ROC curve. It holds while the
relation between the model's scores and the truth stays what it was where labels were known: inputs
may move, the concept may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clary.analysis.boosting import log_odds, logistic
from clary.analysis.quality_binary import Counts, Ranking, ranking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from clary.analysis.calibration import Calibration

LEVEL: Final = 0.95
"""The share of windows whose measured metric an interval is to hold."""
_DRAWS: Final = 400
_CELLS: Final = 2000
_SEED: Final = 20260102
_DOUBT: Final = 1 / 3
"""How much of what the inputs changed about an estimate is taken for uncertain."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric without its labels: ``value`` and the interval that is to hold the measured one."""

    value: float
    lower: float
    upper: float

    def to_document(self) -> dict[str, Any]:
        """Write it as a JSON-able object."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True)
class Estimates:
    """Metrics of rows without labels, by name; those that are undefined are left out.

    Parameters
    ----------
    rows
        How many there are.
    rows_with_inputs
        Of how many the inputs were known and looked at.
    """

    rows: int
    metrics: Mapping[str, Estimate]
    rows_with_inputs: int = 0

    def to_document(self) -> dict[str, Any]:
        """Write them as a JSON-able object."""
        metrics = {name: one.to_document() for name, one in self.metrics.items()}
        return {
            "rows": self.rows,
            "rows_with_inputs": self.rows_with_inputs,
            "level": LEVEL,
            "metrics": metrics,
        }


def estimate_binary(
    scores: NDArray[np.float64],
    predictions: NDArray[np.bool_],
    calibration: Calibration,
    corrections: NDArray[np.float64] | None = None,
) -> Estimates:
    """Estimate the metrics of a binary classifier.

    Parameters
    ----------
    scores
        The model's own probability of a positive row, finite, shape (rows,), at least one.
    predictions
        Whether the model calls a row positive, shape (rows,).
    calibration
        Of the same model, fitted where labels were known.
    corrections
        What the inputs add to the calibrated log-odds, shape (rows,).
    """
    shifts = np.zeros(len(scores)) if corrections is None else corrections
    order = np.argsort(-scores, kind="stable")
    scores, predictions, shifts = scores[order], predictions[order], shifts[order]
    values = _values(scores, predictions, calibration.probabilities(scores))
    doubts: dict[str, float] = {}
    if corrections is not None:
        plain = values
        values = _values(scores, predictions, _shifted(calibration.probabilities(scores), shifts))
        doubts = {name: _DOUBT * _gap(value, plain[name]) for name, value in values.items()}
    cells = _cells(scores, predictions, shifts)
    generator = np.random.default_rng(_SEED)
    center = _drawn(cells, cells.rows * _chances(cells, calibration.probabilities(cells.scores)))
    draws = [
        _drawn(cells, generator.binomial(cells.rows, _chances(cells, chances)))
        for chances in (calibration.drawn(cells.scores, generator) for _ in range(_DRAWS))
    ]
    return Estimates(len(scores), intervals(values, center, draws, doubts=doubts))


def _values(
    scores: NDArray[np.float64], predictions: NDArray[np.bool_], expected: NDArray[np.float64]
) -> dict[str, float | str]:
    return {
        **_counts(expected, predictions).values(),
        "auc": ranking(scores, expected).auc(),
    }


def _shifted(chances: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    return logistic(log_odds(chances) + shifts)


def _chances(cells: _Cells, chances: NDArray[np.float64]) -> NDArray[np.float64]:
    return _shifted(chances, cells.shifts) if cells.shifts.any() else chances


def _gap(one: float | str, other: float | str) -> float:
    return 0.0 if isinstance(one, str) or isinstance(other, str) else abs(one - other)


def intervals(
    values: Mapping[str, float | str],
    center: Mapping[str, float | str],
    draws: list[dict[str, float | str]],
    *,
    doubts: Mapping[str, float] | None = None,
    narrower: float = 1.0,
) -> dict[str, Estimate]:
    """Put intervals around values, as wide as draws lie around their center, and doubts more.

    Metrics that are undefined, or are so in more than half of the draws, are left out.

    Parameters
    ----------
    narrower
        How much narrower they are than the draws: these may be of fewer rows.
    """
    found = {}
    for name, value in values.items():
        numbers = [one for one in (draw[name] for draw in draws) if not isinstance(one, str)]
        middle = center[name]
        if isinstance(value, str) or isinstance(middle, str) or 2 * len(numbers) < len(draws):
            continue
        ends = np.quantile(numbers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - middle
        low, high = (value + narrower * float(end) for end in ends)
        doubt = doubts.get(name, 0.0) if doubts else 0.0
        found[name] = Estimate(
            value, max(0.0, min(low, value) - doubt), min(1.0, max(high, value) + doubt)
        )
    return found


@dataclass(frozen=True, slots=True)
class _Cells:
    """Rows in cells of like scores and the same prediction, highest score first."""

    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    predictions: NDArray[np.bool_]
    shifts: NDArray[np.float64]
    last: NDArray[np.int64]
    """Where in the cells each distinct score ends."""


def _cells(
    scores: NDArray[np.float64], predictions: NDArray[np.bool_], shifts: NDArray[np.float64]
) -> _Cells:
    """Gather sorted rows; few are gathered exactly, many as finely as 2,000 cells can."""
    edges = np.flatnonzero(np.diff(scores, append=-np.inf)) + 1
    if len(edges) > _CELLS:
        chosen = np.linspace(0, len(edges) - 1, _CELLS).astype(np.int64)
        edges = edges[chosen]
    starts = np.concatenate(([0], edges[:-1]))
    rows = edges - starts
    means = np.add.reduceat(scores, starts) / rows
    positive = np.add.reduceat(predictions.astype(np.int64), starts)
    moved = np.add.reduceat(shifts, starts) / rows
    return _Cells(
        np.repeat(means, 2),
        np.column_stack((positive, rows - positive)).ravel(),
        np.tile([True, False], len(rows)),
        np.repeat(moved, 2),
        np.arange(1, 2 * len(rows), 2),
    )


def _drawn(cells: _Cells, positives: NDArray[Any]) -> dict[str, float | str]:
    counts = Counts(
        float(positives[cells.predictions].sum()),
        float((cells.rows - positives)[cells.predictions].sum()),
        float((cells.rows - positives)[~cells.predictions].sum()),
        float(positives[~cells.predictions].sum()),
    )
    true = np.cumsum(positives)[cells.last].astype(np.float64)
    every = np.cumsum(cells.rows)[cells.last]
    return {**counts.values(), "auc": Ranking(true, every - true).auc()}


def _counts(expected: NDArray[np.float64], predictions: NDArray[np.bool_]) -> Counts:
    hits = float(expected[predictions].sum())
    predicted = int(np.count_nonzero(predictions))
    missed = float(expected[~predictions].sum())
    return Counts(hits, predicted - hits, len(expected) - predicted - missed, missed)
