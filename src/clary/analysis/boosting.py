"""Small boosted trees: what a few columns say about a number, as arrays that fit in a document.

Trees are symmetric: all nodes of a level ask the same question, so a row's leaf is the bits of its
answers. They are here for corrections and losses of a model that is monitored, where a few dozen
of them do; models proper are trained elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
import numpy as np

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

Loss: TypeAlias = Literal["squared", "logistic"]

DEPTH: Final = 4
MOST_TREES: Final = 128
_MOST_COLUMNS: Final = 32
"""Of more columns those are looked at that say most by themselves."""
_BINS: Final = 32
_RATE: Final = 0.15
_PENALTY: Final = 5.0
_HELD_OUT: Final = 0.25
_PATIENCE: Final = 8
_MOST_ROWS: Final = 50_000


class Trees(msgspec.Struct, frozen=True):
    """Fitted trees, as lists of numbers.

    Parameters
    ----------
    edges
        For each column the values that part its bins, rising.
    columns, cuts
        For each tree and level the column that is asked and the last bin of the answer no.
    leaves
        For each tree the value of each of its 2 ** depth leaves.
    """

    edges: tuple[tuple[float, ...], ...]
    columns: tuple[tuple[int, ...], ...]
    cuts: tuple[tuple[int, ...], ...]
    leaves: tuple[tuple[float, ...], ...]

    def values(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the trees' values, shape (rows,), of rows of shape (rows, columns); NaN is missing.

        Raises
        ------
        InvalidInput
            The rows have another number of columns.
        """
        if rows.shape[1] != len(self.edges):
            problem = f"have {rows.shape[1]} columns, not {len(self.edges)}"
            raise InvalidInput("features", problem)
        binned = _binned(rows, self.edges)
        total = np.zeros(len(rows))
        for columns, cuts, leaves in zip(self.columns, self.cuts, self.leaves, strict=True):
            total += np.array(leaves)[_leaf(binned, columns, cuts)]
        return total

    def check(self) -> None:
        """Refuse arrays that do not fit together, which a document may hold.

        Raises
        ------
        InvalidInput
            They do not.
        """
        parts = zip(self.columns, self.cuts, self.leaves, strict=False)
        is_whole = len(self.columns) == len(self.cuts) == len(self.leaves) <= MOST_TREES
        width = len(self.edges)
        if not is_whole or not all(
            len(columns) == len(cuts) <= DEPTH
            and len(leaves) == 2 ** len(columns)
            and all(0 <= column < width for column in columns)
            for columns, cuts, leaves in parts
        ):
            raise InvalidInput("trees", "do not fit together")


def boost(
    rows: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    loss: Loss,
    generator: np.random.Generator,
    start: NDArray[np.float64] | None = None,
) -> Trees:
    """Fit trees until a quarter of the rows, held out, gains nothing more from another.

    Parameters
    ----------
    rows
        Shape (rows, columns); NaN is missing.
    target
        What is to be told: numbers, or 0 and 1 for the logistic loss; shape (rows,).
    start
        What is known before, as a number or as log-odds; shape (rows,). Trees add to it.

    Returns
    -------
    Trees
        Perhaps none, where the columns say nothing that ``start`` does not.
    """
    before = np.zeros(len(target)) if start is None else start
    chosen = generator.permutation(len(target))[:_MOST_ROWS]
    held, fitted = np.split(chosen, [int(len(chosen) * _HELD_OUT)])
    edges = _edges(rows[fitted])
    binned = _binned(rows, edges)
    sums = before.copy()
    first = _slopes(target[fitted], sums[fitted], loss)
    places = np.zeros(len(fitted), dtype=np.int64)
    alone = [_best(places, column, *first, 1)[0] for column in binned[fitted].T]
    among = sorted(np.argsort(alone, kind="stable")[-_MOST_COLUMNS:].tolist())
    best, best_count = _loss(target[held], sums[held], loss), 0
    trees: list[_Tree] = []
    while len(trees) < min(MOST_TREES, best_count + _PATIENCE) and len(held):
        tree = _grow(binned[fitted], *_slopes(target[fitted], sums[fitted], loss), among)
        sums += tree.leaves[_leaf(binned, tree.columns, tree.cuts)]
        trees.append(tree)
        reached = _loss(target[held], sums[held], loss)
        if reached < best:
            best, best_count = reached, len(trees)
    kept = trees[:best_count]
    return Trees(
        edges,
        tuple(tree.columns for tree in kept),
        tuple(tree.cuts for tree in kept),
        tuple(tuple(tree.leaves.tolist()) for tree in kept),
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    columns: tuple[int, ...]
    cuts: tuple[int, ...]
    leaves: NDArray[np.float64]


def _edges(rows: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Choose edges that part each column's rows into bins of about the same size."""
    found = []
    for column in rows.T:
        values = column[np.isfinite(column)]
        shares = np.linspace(0, 1, _BINS + 1)[1:-1]
        cut = np.unique(np.quantile(values, shares)) if len(values) else np.zeros(0)
        found.append(tuple(cut.tolist()))
    return tuple(found)


def _binned(rows: NDArray[np.float64], edges: tuple[tuple[float, ...], ...]) -> NDArray[np.int64]:
    """Find each value's bin, numbered from 1; 0 is for what is missing."""
    columns = [
        np.where(np.isnan(column), 0, np.searchsorted(np.array(cut), column, side="right") + 1)
        for column, cut in zip(rows.T, edges, strict=True)
    ]
    return np.column_stack(columns) if columns else np.zeros((len(rows), 0), dtype=np.int64)


def _leaf(
    binned: NDArray[np.int64], columns: tuple[int, ...], cuts: tuple[int, ...]
) -> NDArray[np.int64]:
    place = np.zeros(len(binned), dtype=np.int64)
    for column, cut in zip(columns, cuts, strict=True):
        place = 2 * place + (binned[:, column] > cut)
    return place


def _grow(
    binned: NDArray[np.int64],
    slopes: NDArray[np.float64],
    weights: NDArray[np.float64],
    among: list[int],
) -> _Tree:
    place = np.zeros(len(binned), dtype=np.int64)
    columns: list[int] = []
    cuts: list[int] = []
    for level in range(DEPTH if among else 0):
        gains = [_best(place, binned[:, column], slopes, weights, 2**level) for column in among]
        chosen = int(np.argmax([gain for gain, _ in gains]))
        columns.append(among[chosen])
        cuts.append(gains[chosen][1])
        place = 2 * place + (binned[:, columns[-1]] > cuts[-1])
    size = 2 ** len(columns)
    sums = np.bincount(place, slopes, size)
    whole = np.bincount(place, weights, size)
    return _Tree(tuple(columns), tuple(cuts), _RATE * sums / (whole + _PENALTY))


def _best(
    place: NDArray[np.int64],
    bins: NDArray[np.int64],
    slopes: NDArray[np.float64],
    weights: NDArray[np.float64],
    leaves: int,
) -> tuple[float, int]:
    """Find the cut of a column that gains most over all leaves of a level."""
    width = _BINS + 1
    cell = place * width + bins
    low = np.bincount(cell, slopes, leaves * width).reshape(leaves, width).cumsum(axis=1)
    mass = np.bincount(cell, weights, leaves * width).reshape(leaves, width).cumsum(axis=1)
    high, rest = low[:, -1:] - low, mass[:, -1:] - mass
    gains = (low**2 / (mass + _PENALTY) + high**2 / (rest + _PENALTY)).sum(axis=0)
    cut = int(np.argmax(gains[:-1]))
    return float(gains[cut]), cut


def _slopes(
    target: NDArray[np.float64], sums: NDArray[np.float64], loss: Loss
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if loss == "squared":
        return target - sums, np.ones(len(target))
    chance = logistic(sums)
    return target - chance, chance * (1 - chance)


def _loss(target: NDArray[np.float64], sums: NDArray[np.float64], loss: Loss) -> float:
    if loss == "squared":
        return float(np.sum((target - sums) ** 2))
    return float(np.sum(np.logaddexp(0, sums) - target * sums))


def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn log-odds into probabilities."""
    return 0.5 * (1 + np.tanh(log_odds / 2))


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn probabilities into log-odds, none beyond those of one in a million."""
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))
