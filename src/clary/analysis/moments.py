"""Count, mean, spread and range of numbers, mergeable without loss (Welford, Chan)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """What is known exactly of the numbers of a column.

    ``mean``, ``squares``, ``total``, ``minimum`` and ``maximum`` are of the finite ones; of none
    they are 0, 0, 0, inf and -inf.

    Parameters
    ----------
    count
        How many are finite.
    squares
        The sum of squared differences from the mean.
    total
        The sum.
    negative_infinities, positive_infinities
        How many are infinite.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    negative_infinities: int = 0
    positive_infinities: int = 0

    @property
    def standard_deviation(self) -> float:
        """The population's (ddof 0); NaN of no numbers."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan

    def merge(self, other: Moments) -> Moments:
        """Join with the moments of other numbers of the column."""
        count = self.count + other.count
        mean, squares = self.mean, self.squares
        if other.count:
            apart = other.mean - self.mean
            mean += apart * other.count / count
            squares += other.squares + apart * apart * self.count * other.count / count
        return Moments(
            count,
            mean,
            squares,
            self.total + other.total,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.negative_infinities + other.negative_infinities,
            self.positive_infinities + other.positive_infinities,
        )


def of(numbers: NDArray[np.float64]) -> Moments:
    """Measure numbers, none of them NaN."""
    finite = numbers[np.isfinite(numbers)]
    infinite = len(numbers) - len(finite)
    negative = int(np.count_nonzero(numbers == -np.inf)) if infinite else 0
    if not len(finite):
        return Moments(negative_infinities=negative, positive_infinities=infinite - negative)
    with np.errstate(over="ignore", invalid="ignore"):  # sums over 1e308 are infinite, and say so
        total = float(finite.sum())
        mean = total / len(finite)
        squares = float(np.square(finite - mean).sum())
    return Moments(
        len(finite),
        mean,
        squares,
        total,
        float(finite.min()),
        float(finite.max()),
        negative,
        infinite - negative,
    )
