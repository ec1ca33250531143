"""How good a classifier of many classes probably is, before anybody knows the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from clary.analysis.calibration import calibrate, read_calibration
from clary.analysis.estimates import Estimates, intervals
from clary.analysis.quality_multiclass import values
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_CLASSES: Final = 100
_DRAWS: Final = 200
_MOST_ROWS: Final = 5000
"""Of more, intervals are drawn for so many and made as narrow as the others make them."""
_SEED: Final = 20260104


class Classes(msgspec.Struct, frozen=True):
    """How often each class was right that was said to be so likely.

    Parameters
    ----------
    names
        Of the classes, in the order of the model's probabilities.
    calibrations
        One a class, of its probability against all others.
    """

    names: tuple[str, ...]
    calibrations: tuple[dict[str, Any], ...]

    def chances(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrate probabilities of shape (rows, classes); each row of the result sums to 1."""
        found = np.column_stack(
            [
                read_calibration(one, field="calibration").probabilities(column)
                for one, column in zip(self.calibrations, vectors.T, strict=True)
            ]
        )
        total = found.sum(axis=1, keepdims=True)
        even = np.full_like(found, 1 / len(self.names))
        np.divide(found, total, out=even, where=total > 0)
        return even


def fit_classes(
    names: Sequence[str], vectors: NDArray[np.float64], labels: Sequence[str]
) -> Classes:
    """Learn how likely each class is.

    Parameters
    ----------
    names
        Of the classes, at most 100.
    vectors
        The model's probabilities, shape (rows, classes), at least one row.
    labels
        The true class of each row.
    """
    truth = np.array(labels)
    fitted = [
        calibrate(column, truth == name).to_document()
        for name, column in zip(names, vectors.T, strict=True)
    ]
    return Classes(tuple(names), tuple(fitted))


def estimate_multiclass(
    known: Classes, vectors: NDArray[np.float64], predictions: NDArray[np.intp]
) -> Estimates:
    """Estimate the metrics of a classifier of many classes.

    Parameters
    ----------
    vectors
        The model's probabilities, shape (rows, classes), at least one row.
    predictions
        The place of the class that it names, shape (rows,).

    Raises
    ------
    InvalidInput
        There are other classes than those that are known.
    """
    size = len(known.names)
    if vectors.shape[1] != size:
        raise InvalidInput("probabilities", f"are of {vectors.shape[1]} classes, not {size}")
    chances = known.chances(vectors)
    generator = np.random.default_rng(_SEED)
    chosen = generator.permutation(len(vectors))[:_MOST_ROWS]
    cumulated = np.cumsum(chances[chosen], axis=1)
    draws = []
    for _ in range(_DRAWS):
        where = generator.random((len(chosen), 1))
        truth = np.minimum((cumulated < where).sum(axis=1), size - 1)
        cells = truth * size + predictions[chosen]
        matrix = np.bincount(cells, minlength=size * size).reshape(size, size)
        draws.append(values(matrix.astype(np.float64)))
    center = values(_expected(chances[chosen], predictions[chosen]))
    narrower = float(np.sqrt(len(chosen) / len(vectors)))
    whole = values(_expected(chances, predictions))
    return Estimates(len(vectors), intervals(whole, center, draws, narrower=narrower))


def _expected(chances: NDArray[np.float64], predictions: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sum the confusion matrix to expect: actual classes down, predicted ones across."""
    size = chances.shape[1]
    matrix = np.zeros((size, size))
    for place in range(size):
        matrix[:, place] = chances[predictions == place].sum(axis=0)
    return matrix
