"""How the numbers of a table go together: rank correlations, and whether they changed.

Columns that each look as before may no longer belong together. Spearman's correlation is of ranks
alone, so it does not move when a column does by itself. Ties and missing values take a rank by
lot: that weakens correlations of such columns, on both sides alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from clary.analysis.arrow_arrays import numbers_of
from clary.analysis.significance import adjusted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_ROWS: Final = 10_000
LEAST_ROWS: Final = 200
MOST_COLUMNS: Final = 32
_LOOKED_AT: Final = 200
"""Of more columns the first are looked at."""
_MOST_SAID: Final = 100


class Correlations(msgspec.Struct, frozen=True, array_like=True):
    """Spearman's correlation of each pair of columns.

    Parameters
    ----------
    rows
        Of how many they are.
    names
        The columns.
    coefficients, variances
        Of the pairs (0, 1), (0, 2), …, (1, 2), …: the correlation, and the variance of its
        influence function, which over ``rows`` is that of the correlation.
    """

    rows: int
    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    variances: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse parts that do not match, as a damaged document may have them; ValueError."""
        pairs = math.comb(len(self.names), 2)
        if len(self.names) > MOST_COLUMNS or self.rows < 1:
            raise ValueError(f"correlations of {len(self.names)} columns, {self.rows} rows")
        if not pairs == len(self.coefficients) == len(self.variances):
            raise ValueError("the pairs of correlations do not match")

    def renamed(self, names: Mapping[str, str]) -> Correlations:
        """Give columns other names."""
        renamed = tuple(names.get(one, one) for one in self.names)
        return msgspec.structs.replace(self, names=renamed)

    def pairs(self, among: Collection[str]) -> dict[frozenset[str], tuple[float, float]]:
        """Give coefficient and variance of each pair of some columns."""
        told = zip(self.coefficients, self.variances, strict=True)
        every = zip(combinations(self.names, 2), told, strict=True)
        return {frozenset(pair): one for pair, one in every if set(pair) <= set(among)}


@dataclass(frozen=True, slots=True)
class Change:
    """How a pair's correlation changed; ``adjusted_p_value`` is over all pairs."""

    columns: tuple[str, str]
    before: float
    now: float
    p_value: float
    adjusted_p_value: float

    def to_document(self) -> dict[str, Any]:
        """Write it as plain JSON values."""
        return {
            "features": list(self.columns),
            "baseline": self.before,
            "current": self.now,
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """What was compared, and the pairs that changed, those that changed most first."""

    pairs: int
    significant: tuple[Change, ...]

    def to_document(self) -> dict[str, Any]:
        """Write it as plain JSON values, the hundred largest changes."""
        some = self.significant[:_MOST_SAID]
        count = len(self.significant)
        changed = [one.to_document() for one in some]
        return {"pairs": self.pairs, "significant": count, "changed": changed}


def changes(
    before: Correlations, now: Correlations, among: Collection[str], *, level: float
) -> Changes:
    """Compare the pairs that both sides have.

    Parameters
    ----------
    among
        The columns that are looked at.
    level
        The chance that any pair is reported where nothing has changed (Benjamini and Hochberg).
    """
    first, second = before.pairs(among), now.pairs(among)
    both = [pair for pair in first if pair in second]
    chances = [_chance(first[pair], second[pair], before.rows, now.rows) for pair in both]
    found = [
        Change((min(pair), max(pair)), first[pair][0], second[pair][0], chance, corrected)
        for pair, chance, corrected in zip(both, chances, adjusted(chances), strict=True)
        if corrected <= level
    ]
    found.sort(key=lambda one: -abs(one.now - one.before))
    return Changes(len(both), tuple(found))


def _chance(
    before: tuple[float, float], now: tuple[float, float], rows: int, rows_now: int
) -> float:
    """Tell the chance of so large a difference; no error is taken to be below that of a rank."""
    spread = max(before[1], 1 / rows) / rows + max(now[1], 1 / rows_now) / rows_now
    return math.erfc(abs(now[0] - before[0]) / math.sqrt(2 * spread))


class RowSample:
    """Up to 10,000 rows of the numeric columns of a table, drawn evenly while batches come in."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)[:_LOOKED_AT]
        self._columns: dict[int, Floats] = {at: np.empty(0) for at in range(len(self._names))}
        self._drawn = np.empty(0)
        self._random = np.random.default_rng(0)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take what is drawn of a batch: the rows with the smallest random numbers of all."""
        drawn = np.concatenate((self._drawn, self._random.random(batch.num_rows)))
        chosen = np.arange(len(drawn))
        if len(drawn) > MOST_ROWS:
            chosen = np.sort(np.argpartition(drawn, MOST_ROWS)[:MOST_ROWS])
        is_old = chosen < len(self._drawn)
        old, new = chosen[is_old], chosen[~is_old] - len(self._drawn)
        taken = pa.Array.from_buffers(pa.int64(), len(new), [None, pa.py_buffer(new)])
        for at in tuple(self._columns):
            numbers = _floats(batch.column(at), taken)
            if numbers is None:
                del self._columns[at]
            else:
                self._columns[at] = np.concatenate((self._columns[at][old], numbers))
        self._drawn = drawn[chosen]

    def correlations(self) -> Correlations | None:
        """Measure them; None of fewer than 200 rows or 2 columns of numbers."""
        held = [at for at, one in self._columns.items() if not np.isnan(one).all()][:MOST_COLUMNS]
        if len(self._drawn) < LEAST_ROWS or len(held) < 2:
            return None
        columns = [self._columns[at] for at in held]
        return measure([self._names[at] for at in held], columns)


def measure(names: Sequence[str], columns: Sequence[Floats]) -> Correlations:
    """Measure columns of one length, each with a value at least; NaN is missing."""
    generator = np.random.default_rng(1)
    orders = [_order(column, generator) for column in columns]
    rows = len(columns[0])
    steps = (np.arange(rows) + 0.5) / rows - 0.5
    ranks = [np.empty(rows) for _ in columns]
    for rank, order in zip(ranks, orders, strict=True):
        rank[order] = steps
    told = [_pair(ranks[i], ranks[j], orders[i], orders[j]) for i, j in _places(len(columns))]
    coefficients, variances = zip(*told, strict=True) if told else ((), ())
    return Correlations(rows, tuple(names), coefficients, variances)


def _places(count: int) -> combinations[tuple[int, int]]:
    return combinations(range(count), 2)


def _order(column: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    """Order the rows of a column; equal values by lot, missing ones as if drawn from the others."""
    is_missing = np.isnan(column)
    filled = column.copy()
    filled[is_missing] = generator.choice(column[~is_missing], int(is_missing.sum()))
    order: NDArray[np.int64] = np.lexsort((generator.random(len(column)), filled))
    return order


def _pair(
    first: Floats, second: Floats, order: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[float, float]:
    """Tell the correlation of centred ranks, and the variance of its influence function.

    A row counts by its own product, and by its part in the ranks of the rows above it.
    """
    product = first * second
    influence = 12 * (product + _above(second, order) + _above(first, other))
    return 12 * float(product.mean()), float(influence.var())


def _above(ranks: Floats, order: NDArray[np.int64]) -> Floats:
    """Sum ranks over the rows from each one on in an order, divided by the number of rows."""
    found = np.empty(len(ranks))
    found[order] = np.cumsum(ranks[order][::-1])[::-1] / len(ranks)
    return found


def _floats(array: pa.Array, places: pa.Array) -> Floats | None:
    """Read some of a column's numbers, texts of numbers too; None where one of them is none."""
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return None
    try:
        some = (array.cast(pa.string()) if kind == pa.string_view() else array).take(places)
        plain = some.cast(kind.value_type) if pa.types.is_dictionary(kind) else some
        numbers = plain.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    found: Floats = numbers_of(numbers.fill_null(math.nan))
    return found
