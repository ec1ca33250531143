"""How far chance alone may move a metric of bias: intervals from counts drawn again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clary.analysis.bias_cube import Cube

LEVEL = 0.95
DRAWS = 500
SEED = 20_240_229
_MOST_NUMBERS = 20_000_000


def redraw(cube: Cube, *, draws: int = DRAWS, seed: int = SEED) -> Cube:
    """Draw tables of the same size from the one that was counted: the bootstrap of its rows.

    Rows of a cell are alike, so that the counts of a drawn table are multinomial: this costs the
    same for a thousand rows as for ten million.

    Parameters
    ----------
    draws
        How many; fewer, but at least 100, where groups are so many that they would not fit.
    """
    cells = cube.counts.ravel()
    rows = int(cells.sum())
    fitting = max(100, min(draws, _MOST_NUMBERS // max(1, cells.size)))
    drawn = np.random.default_rng(seed).multinomial(rows, cells / max(1, rows), size=fitting)
    return replace(cube, counts=drawn.reshape(fitting, *cube.counts.shape).astype(np.float64))


def interval(
    values: NDArray[np.float64], level: float = LEVEL, *, distance: float | None = None
) -> tuple[float, float] | None:
    """Return the middle share of values; None where fewer than two are defined.

    Parameters
    ----------
    distance
        The metric's own value, where it is a distance: drawn tables are farther from even than
        the one they are drawn from, so that their interval is mirrored at it, and cut off at 0.

    Examples
    --------
    >>> interval(np.arange(1000.0), 0.9)
    (49.0, 949.0)
    >>> interval(np.arange(1000.0), 0.9, distance=400.0)
    (0.0, 751.0)
    """
    defined = values[~np.isnan(values)]
    if len(defined) < 2:
        return None
    tail = (1.0 - level) / 2.0
    low, high = map(float, np.quantile(defined, (tail, 1.0 - tail), method="inverted_cdf"))
    if distance is None or not np.isfinite((distance, low, high)).all():
        return low, high
    return max(0.0, 2.0 * distance - high), max(0.0, 2.0 * distance - low)
