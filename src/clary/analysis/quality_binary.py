"""How well a classifier tells two classes apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clary.analysis.quality import Quality, Values, measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONSTANT: Final = "_best_constant_classifier"
ORDER: Final = (
    "confusion_matrix",
    *("recall", "precision", "accuracy"),
    *(f"{name}{CONSTANT}" for name in ("recall", "precision", "accuracy")),
    *("true_positive_rate", "true_negative_rate", "false_positive_rate", "false_negative_rate"),
    *("receiver_operating_characteristic_curve", "precision_recall_curve", "auc"),
    *("f0_5", "f1", "f2"),
    *(f"{name}{CONSTANT}" for name in ("f0_5", "f1", "f2")),
)
_BETAS: Final = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
_MOST_POINTS: Final = 500
_NO_ROWS: Final = "there are no rows"


@dataclass(frozen=True, slots=True)
class Counts:
    """The confusion matrix of two classes; expected counts need not be whole."""

    true_positives: float
    false_positives: float
    true_negatives: float
    false_negatives: float

    @property
    def rows(self) -> float:
        """All of them."""
        return (
            self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
        )

    def values(self) -> dict[str, float | str]:
        """Compute the metrics of a confusion matrix."""
        positives = self.true_positives + self.false_negatives
        negatives = self.true_negatives + self.false_positives
        predicted = self.true_positives + self.false_positives
        hits = self.true_positives + self.true_negatives
        no_positives, no_negatives = "no label is positive", "no label is negative"
        recall = _ratio(self.true_positives, positives, no_positives)
        return {
            "recall": recall,
            "precision": _ratio(self.true_positives, predicted, "no prediction is positive"),
            "accuracy": _ratio(hits, self.rows, _NO_ROWS),
            "true_positive_rate": recall,
            "true_negative_rate": _ratio(self.true_negatives, negatives, no_negatives),
            "false_positive_rate": _ratio(self.false_positives, negatives, no_negatives),
            "false_negative_rate": _ratio(self.false_negatives, positives, no_positives),
            **{name: self._f(beta) for name, beta in _BETAS.items()},
        }

    def constant(self) -> dict[str, float | str]:
        """Compute what a classifier reaches that calls every row positive.

        It is the only constant answer for which precision and recall are defined.
        """
        positives = self.true_positives + self.false_negatives
        always = Counts(positives, self.rows - positives, 0, 0).values()
        names = ("recall", "precision", "accuracy", *_BETAS)
        return {f"{name}{CONSTANT}": always[name] for name in names}

    def _f(self, beta: float) -> float | str:
        weighted = (1 + beta**2) * self.true_positives
        whole = weighted + beta**2 * self.false_negatives + self.false_positives
        return _ratio(weighted, whole, "no label and no prediction is positive")


def _ratio(part: float, whole: float, problem: str) -> float | str:
    return part / whole if whole else problem


@dataclass(frozen=True, slots=True)
class Ranking:
    """Counts of positives and negatives at and above each distinct score, highest first.

    Parameters
    ----------
    true_positives, false_positives
        Shape (distinct scores,), never falling.
    """

    true_positives: NDArray[np.float64]
    false_positives: NDArray[np.float64]

    def auc(self) -> float | str:
        """Compute the area under the ROC curve, ties counting half."""
        if not len(self.true_positives):
            return _NO_ROWS
        positives, negatives = self.true_positives[-1], self.false_positives[-1]
        if not positives or not negatives:
            return f"no label is {'negative' if positives else 'positive'}"
        rises = np.diff(self.false_positives, prepend=0.0)
        before = np.concatenate(([0.0], self.true_positives[:-1]))
        area = np.sum(rises * (self.true_positives + before)) / 2
        return float(area / (positives * negatives))

    def curves(self) -> dict[str, dict[str, Any]]:
        """Draw both curves through at most 500 scores.

        The first runs from (0, 0) to (1, 1); the second begins at recall 0 with the precision of
        the highest score.
        """
        count = len(self.true_positives)
        if not count:
            return {}
        chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))
        true, false = self.true_positives[chosen], self.false_positives[chosen]
        recalls = true / max(self.true_positives[-1], 1)
        fallout = false / max(self.false_positives[-1], 1)
        precisions = true / (true + false)
        return {
            "receiver_operating_characteristic_curve": {
                "false_positive_rates": [0.0, *fallout.tolist(), 1.0],
                "true_positive_rates": [0.0, *recalls.tolist(), 1.0],
            },
            "precision_recall_curve": {
                "precisions": [float(precisions[0]), *precisions.tolist()],
                "recalls": [0.0, *recalls.tolist()],
            },
        }


def ranking(scores: NDArray[np.float64], positives: NDArray[np.float64]) -> Ranking:
    """Count along scores that fall.

    Parameters
    ----------
    scores
        Sorted, highest first, shape (rows,).
    positives
        1 for a positive row, 0 for a negative one, or a probability; shape (rows,).
    """
    last = np.flatnonzero(np.diff(scores, append=-np.inf))
    true = np.cumsum(positives)[last] if len(last) else np.zeros(0)
    return Ranking(true, last + 1.0 - true)


def binary(
    labels: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    scores: NDArray[np.float64] | None = None,
    *,
    evaluated_at: str = "",
) -> Quality:
    """Measure a binary classifier.

    Parameters
    ----------
    labels, predictions
        Whether a row is positive, and whether the model says so; shape (rows,).
    scores
        The model's probability of a positive row, finite; without it there are no curves and no
        ``auc``.
    """
    if scores is not None:
        order = np.argsort(-scores, kind="stable")
        labels, predictions, scores = labels[order], predictions[order], scores[order]

    def compute(mask: NDArray[np.bool_] | None) -> Values:
        if mask is None:
            return _values(labels, predictions, scores)
        return _values(labels[mask], predictions[mask], None if scores is None else scores[mask])

    counts = _counts(labels, predictions)
    others: dict[str, dict[str, Any]] = {
        "confusion_matrix": {
            "0": {"0": int(counts.true_negatives), "1": int(counts.false_positives)},
            "1": {"0": int(counts.false_negatives), "1": int(counts.true_positives)},
        }
    }
    if scores is not None:
        others |= ranking(scores, labels.astype(np.float64)).curves()
    rows = len(labels)
    members = measured(rows, compute, others, ORDER)
    return Quality("binary_classification", members, rows, evaluated_at)


def _values(
    labels: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    scores: NDArray[np.float64] | None,
) -> Values:
    counts = _counts(labels, predictions)
    found = {**counts.values(), **counts.constant()}
    if scores is not None:
        found["auc"] = ranking(scores, labels.astype(np.float64)).auc()
    return found


def _counts(labels: NDArray[np.bool_], predictions: NDArray[np.bool_]) -> Counts:
    both = int(np.count_nonzero(labels & predictions))
    positives, predicted = int(np.count_nonzero(labels)), int(np.count_nonzero(predictions))
    neither = len(labels) - positives - predicted + both
    return Counts(both, predicted - both, neither, positives - both)
