"""The flip test: whether the sensitive get the predictions of their neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from clary.analysis.bias_columns import name
from clary.analysis.bias_intervals import SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

NEIGHBORS = 5
_FEW = 9
"""With so many rows or fewer there is one neighbour."""
_MOST_PAIRS = 100_000_000
_MOST_ROWS = 200_000
_SAMPLE = (20_000, 2_000)
_CHUNK_PAIRS = 4_000_000
_NORMAL = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Flips:
    """What the test found.

    Parameters
    ----------
    value
        The share of those who are sensitive that only their own prediction accepts, less the share
        that only their neighbours' would.
    interval
        Its 95 % interval.
    sampled_rows
        How many rows were compared, where all were too many; else 0.
    """

    value: float
    interval: tuple[float, float]
    sampled_rows: int = 0


def flip_test(
    connection: DuckDBPyConnection,
    table: str,
    features: Sequence[str],
    sensitive: str,
    predicted: str,
) -> Flips:
    """Compare the sensitive with their nearest neighbours among the others.

    Euclidean distance over the features as they are; 5 neighbours, and all that are as near as
    the fifth; 1 where the others are fewer than 10. Where there are too many pairs, 2,000
    sensitive rows are compared with 20,000 others, drawn by chance from a fixed seed.

    Parameters
    ----------
    features
        Columns of numbers without NULLs.
    sensitive, predicted
        SQL conditions.
    """
    counts = dict(
        connection.execute(
            f"SELECT ({sensitive}), count(*) FROM {table} WHERE ({sensitive}) IS NOT NULL "
            f"AND ({predicted}) IS NOT NULL GROUP BY 1"
        ).fetchall()
    )
    others, own = counts.get(False, 0), counts.get(True, 0)
    sampled = others * own > _MOST_PAIRS or max(others, own) > _MOST_ROWS
    limits = _SAMPLE if sampled else (others, own)
    sides = []
    for is_sensitive, limit in zip((False, True), limits, strict=True):
        cells = (f"{name(one)}::DOUBLE AS f{place}" for place, one in enumerate(features))
        rows = f"SELECT {', '.join(cells)}, ({predicted})::DOUBLE AS p FROM {table} "
        rows += f"WHERE ({sensitive}) = {is_sensitive} AND ({predicted}) IS NOT NULL"
        if sampled:
            rows = (
                f"SELECT * FROM ({rows}) USING SAMPLE reservoir({limit} ROWS) REPEATABLE ({SEED})"
            )
        fetched = connection.execute(rows).fetchnumpy()
        sides.append(np.column_stack([np.asarray(one) for one in fetched.values()]))
    flips = _flips(sides[0], sides[1])
    value = float(flips.mean())
    half = _NORMAL * float(flips.std()) / math.sqrt(len(flips))
    total = len(sides[0]) + len(sides[1]) if sampled else 0
    return Flips(value, (value - half, value + half), total)


def _flips(others: Numbers, own: Numbers) -> Numbers:
    """Return 1 where only the own prediction accepts, -1 where only the neighbours' do."""
    nearest = min(NEIGHBORS if len(others) > _FEW else 1, len(others))
    step = max(1, _CHUNK_PAIRS // len(others))
    found = []
    for start in range(0, len(own), step):
        rows = own[start : start + step]
        apart = cdist(rows[:, :-1], others[:, :-1], "sqeuclidean")
        reach = np.partition(apart, nearest - 1, axis=1)[:, nearest - 1 : nearest]
        near = apart <= reach
        accepted = (near @ others[:, -1]) * 2 > near.sum(axis=1)
        found.append(rows[:, -1] - accepted)
    return np.concatenate(found)
