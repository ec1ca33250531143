"""How wrong a regression probably is, before anybody knows the labels.

Direct loss estimation: trees learn from a baseline how large the error is for which inputs, and
tell it of new inputs. It sees inputs move to where the model was always worse; it cannot see that
the truth itself has changed.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from clary.analysis.boosting import Trees, boost
from clary.analysis.estimates import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HELD_OUT: Final = 0.3
_WIDE: Final = 1.96
"""Standard deviations of an interval that holds 95 in 100."""


class Loss(msgspec.Struct, frozen=True):
    """One loss as a function of the inputs.

    Parameters
    ----------
    mean
        Of the loss over the baseline; trees add to it.
    trees
        What the inputs say.
    deviation
        Of a row's loss from what is told of it, on rows that were held out.
    held_out
        How many these were.
    """

    mean: float
    trees: Trees
    deviation: float
    held_out: int

    def estimate(self, rows: NDArray[np.float64], known: NDArray[np.bool_]) -> Estimate:
        """Estimate the mean loss of rows; of those that are not ``known`` it is the baseline's."""
        said = np.where(known, self.trees.values(rows), 0.0)
        value = max(0.0, self.mean + float(np.mean(said)))
        half = _WIDE * self.deviation * sqrt(1 / len(rows) + 1 / self.held_out)
        return Estimate(value, max(0.0, value - half), value + half)


class Losses(msgspec.Struct, frozen=True):
    """The losses that a regression is measured by."""

    absolute: Loss
    squared: Loss


def fit_losses(
    rows: NDArray[np.float64], errors: NDArray[np.float64], generator: np.random.Generator
) -> Losses:
    """Learn how large errors are.

    Parameters
    ----------
    rows
        Inputs and answers as numbers, shape (rows, columns), at least two rows.
    errors
        Answer less label, shape (rows,).
    """
    return Losses(_fit(rows, np.abs(errors), generator), _fit(rows, errors**2, generator))


def _fit(
    rows: NDArray[np.float64], losses: NDArray[np.float64], generator: np.random.Generator
) -> Loss:
    chosen = generator.permutation(len(losses))
    held, fitted = np.split(chosen, [max(1, int(len(chosen) * _HELD_OUT))])
    mean = float(losses[fitted].mean())
    start = np.full(len(fitted), mean)
    trees = boost(rows[fitted], losses[fitted], loss="squared", generator=generator, start=start)
    left = losses[held] - mean - trees.values(rows[held])
    return Loss(mean + float(left.mean()), trees, float(left.std()), len(held))


def estimate_losses(
    rows: NDArray[np.float64], losses: Losses, known: NDArray[np.bool_]
) -> dict[str, Estimate]:
    """Estimate mae, mse and rmse; ``r2`` needs the labels' variance, of which inputs say nothing.

    Parameters
    ----------
    rows
        Inputs and answers as numbers, shape (rows, columns), at least one row.
    known
        Which of them have inputs, shape (rows,).
    """
    squared = losses.squared.estimate(rows, known)
    roots = (sqrt(one) for one in (squared.value, squared.lower, squared.upper))
    return {"mae": losses.absolute.estimate(rows, known), "mse": squared, "rmse": Estimate(*roots)}
