"""How well a classifier tells many classes apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from clary.analysis.quality import Quality, Values, measured
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONSTANT: Final = "_best_constant_classifier"
MOST_CLASSES: Final = 1000
_BETAS: Final = {"weighted_f0_5": 0.5, "weighted_f1": 1.0, "weighted_f2": 2.0}
_NAMES: Final = ("accuracy", "weighted_recall", "weighted_precision", *_BETAS)
ORDER: Final = ("confusion_matrix", *_NAMES, *(f"{name}{CONSTANT}" for name in _NAMES))


def multiclass(
    labels: NDArray[np.intp],
    predictions: NDArray[np.intp],
    classes: Sequence[str],
    *,
    evaluated_at: str = "",
) -> Quality:
    """Measure a classifier of many classes.

    Parameters
    ----------
    labels, predictions
        Places in ``classes``, shape (rows,).
    classes
        Their names, at most 1,000.

    Raises
    ------
    InvalidInput
        There are more classes.
    """
    size = len(classes)
    if size > MOST_CLASSES:
        raise InvalidInput(
            "problem_type",
            f"labels and predictions have {size} distinct values, too many for classes",
            legal=f"at most {MOST_CLASSES} classes, or problem type Regression",
        )
    cells = labels * size + predictions

    def matrix(mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        chosen = cells if mask is None else cells[mask]
        return np.bincount(chosen, minlength=size * size).reshape(size, size).astype(np.float64)

    def compute(mask: NDArray[np.bool_] | None) -> Values:
        found = matrix(mask)
        return {**values(found), **constant(found)}

    whole = matrix(None).astype(int).tolist()
    others = {
        "confusion_matrix": {
            actual: dict(zip(classes, row, strict=True))
            for actual, row in zip(classes, whole, strict=True)
        }
    }
    rows = len(labels)
    members = measured(rows, compute, others, ORDER)
    return Quality("multiclass_classification", members, rows, evaluated_at)


def values(matrix: NDArray[np.float64]) -> dict[str, float | str]:
    """Compute the metrics of a confusion matrix: actual classes down, predicted ones across.

    Each class weighs as much as it has labels; a class that was never predicted has precision 0.
    """
    total = matrix.sum()
    if not total:
        return dict.fromkeys(_NAMES, "there are no rows")
    hits, actual, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    recalls = _ratios(hits, actual)
    weights = actual / total
    found: dict[str, float | str] = {
        "accuracy": float(hits.sum() / total),
        "weighted_recall": float(weights @ recalls),
        "weighted_precision": float(weights @ _ratios(hits, predicted)),
    }
    for name, beta in _BETAS.items():
        whole = beta**2 * actual + predicted
        found[name] = float(weights @ _ratios((1 + beta**2) * hits, whole))
    return found


def constant(matrix: NDArray[np.float64]) -> dict[str, float | str]:
    """Compute what a classifier reaches that always names the class with the most labels."""
    always = np.zeros_like(matrix)
    actual = matrix.sum(axis=1)
    if len(actual):
        always[:, int(np.argmax(actual))] = actual
    return {f"{name}{CONSTANT}": value for name, value in values(always).items()}


def _ratios(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)
