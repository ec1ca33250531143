"""How often a model is right that says it is so sure: scores turned into probabilities.

Isotonic regression over bins of equally many rows, fitted where labels are known. It is the part
of performance estimation without labels that learns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BINS: Final = 400
_FEWEST_ROWS: Final = 20
"""In a bin."""


class _Document(msgspec.Struct, frozen=True):
    scores: list[float]
    positives: list[int]
    rows: list[int]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Blocks of scores and how many of their rows were positive; shares never fall.

    Parameters
    ----------
    scores
        The mean score of each block, rising, shape (blocks,).
    positives, rows
        Counts, shape (blocks,); rows are positive numbers.
    """

    scores: NDArray[np.float64]
    positives: NDArray[np.int64]
    rows: NDArray[np.int64]

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of a positive row at each score, between blocks in a line."""
        return np.interp(scores, self.scores, self.positives / self.rows)

    def drawn(
        self, scores: NDArray[np.float64], generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return what the probabilities may be as well, for all that so few rows can tell."""
        negatives = self.rows - self.positives
        shares = generator.beta(self.positives + 0.5, negatives + 0.5)
        return np.interp(scores, self.scores, shares)

    def to_document(self) -> dict[str, Any]:
        """Write it as JSON-able lists."""
        return {
            "scores": self.scores.tolist(),
            "positives": self.positives.tolist(),
            "rows": self.rows.tolist(),
        }


def calibrate(scores: NDArray[np.float64], positives: NDArray[np.bool_]) -> Calibration:
    """Fit a calibration.

    Parameters
    ----------
    scores
        Finite, shape (rows,), at least one; higher means more likely positive.
    positives
        Shape (rows,).

    Examples
    --------
    >>> one = calibrate(np.repeat([0.2, 0.6], 100), np.arange(200) % 4 == 0)
    >>> one.probabilities(np.array([0.2, 0.4])).tolist()
    [0.25, 0.25]
    """
    order = np.argsort(scores, kind="stable")
    scores, hits = scores[order], positives[order].astype(np.int64)
    ends = _ends(scores)
    starts = np.concatenate(([0], ends[:-1]))
    sums = np.add.reduceat(scores, starts)
    counts = np.add.reduceat(hits, starts)
    blocks: list[tuple[float, int, int]] = []
    for total, count, rows in zip(sums, counts, ends - starts, strict=True):
        block = (float(total), int(count), int(rows))
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            block = tuple(a + b for a, b in zip(blocks.pop(), block, strict=True))  # type: ignore[assignment]
        blocks.append(block)
    totals, pooled, sizes = (np.array(column) for column in zip(*blocks, strict=True))
    return Calibration(totals / sizes, pooled, sizes)


def _ends(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cut sorted scores into bins that never part equal scores; returns where each ends."""
    count = len(scores)
    bins = max(1, min(_MOST_BINS, count // _FEWEST_ROWS))
    wanted = scores[np.linspace(0, count, bins, endpoint=False).astype(np.int64)[1:]]
    return np.unique(np.append(np.searchsorted(scores, wanted, side="right"), count))


def read_calibration(document: Any, *, field: str) -> Calibration:
    """Read what ``to_document`` wrote.

    Raises
    ------
    InvalidInput
        It is not; names ``field``.
    """
    found = build(_Document, document, field=field)
    scores = np.array(found.scores, dtype=np.float64)
    positives = np.array(found.positives, dtype=np.int64)
    rows = np.array(found.rows, dtype=np.int64)
    is_whole = len(scores) == len(positives) == len(rows) > 0
    if not is_whole or not _is_legal(scores, positives, rows):
        legal = "as many scores, rising, as counts, with 0 <= positives <= rows and rows > 0"
        raise InvalidInput(field, "is no calibration", legal=legal)
    return Calibration(scores, positives, rows)


def _is_legal(
    scores: NDArray[np.float64], positives: NDArray[np.int64], rows: NDArray[np.int64]
) -> bool:
    rises = bool(np.isfinite(scores).all() and (np.diff(scores) > 0).all())
    return rises and bool((rows > 0).all() and (positives >= 0).all() and (positives <= rows).all())
