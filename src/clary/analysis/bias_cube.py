"""Everything that most bias metrics need of a table: how often each outcome has come up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

MOST_CELLS = 1_000_000
MOST_CATEGORIES = 1_000


@dataclass(frozen=True, slots=True)
class Cube:
    """Counts of rows by facet, label, prediction and group.

    Parameters
    ----------
    counts
        Shape (…, 2, 2, 2, groups): not sensitive or sensitive, negative or positive label,
        negative or positive prediction. Without predictions all rows are at negative ones.
    has_predictions, has_groups
        Whether the table has them.
    """

    counts: NDArray[np.float64]
    has_predictions: bool = False
    has_groups: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """The cube before somebody is sensitive: counts by category of the facet.

    Parameters
    ----------
    categories
        The facet's values, sorted; of a condition, those of False and True.
    counts
        Shape (categories, 2, 2, groups).
    left_out
        Rows without a facet, label or prediction, which count nowhere.
    """

    categories: Sequence[Any]
    counts: NDArray[np.float64]
    left_out: int
    has_predictions: bool
    has_groups: bool

    def cube(self, sensitive: Sequence[Any]) -> Cube:
        """Set categories against all the others."""
        of = np.array([one in sensitive for one in self.categories], dtype=bool)
        sides = (self.counts[~of].sum(axis=0), self.counts[of].sum(axis=0))
        return Cube(np.stack(sides), self.has_predictions, self.has_groups)


def tally(
    connection: DuckDBPyConnection,
    table: str,
    facet: str,
    label: str,
    *,
    prediction: str = "",
    group: str = "",
) -> Tally:
    """Count the rows of a table, in one pass.

    Parameters
    ----------
    table
        SQL that stands for it after FROM.
    facet
        SQL of the facet's category.
    label, prediction
        SQL conditions that hold of positive ones; no prediction: none are looked at.
    group
        SQL of the group; NULL is a group of its own.

    Raises
    ------
    LimitExceeded
        The facet has more than 1,000 categories, or there are too many groups.
    """
    wanted = f"{facet}, {label}, {prediction or 'FALSE'}, {group or 'NULL'}"
    rows = connection.execute(
        f"SELECT {wanted}, count(*) FROM {table} GROUP BY 1, 2, 3, 4 LIMIT {MOST_CELLS + 1}"
    ).fetchall()
    if len(rows) > MOST_CELLS:
        raise LimitExceeded(f"facet and groups have more than {MOST_CELLS} combinations")
    kept = [row for row in rows if None not in row[:3]]
    categories = _places(row[0] for row in kept)
    groups = _places(row[3] for row in kept)
    if len(categories) > MOST_CATEGORIES:
        raise LimitExceeded(
            f"the facet has {len(categories)} categories, of which at most {MOST_CATEGORIES} "
            "are compared with the rest each; name the sensitive ones",
        )
    counts = np.zeros((len(categories), 2, 2, max(1, len(groups))))
    for category, positive, predicted, grouped, count in kept:
        counts[categories[category], int(positive), int(predicted), groups[grouped]] = count
    left_out = sum(row[4] for row in rows) - int(counts.sum())
    return Tally(list(categories), counts, left_out, bool(prediction), bool(group))


def _places(values: Any) -> Mapping[Any, int]:
    """Give distinct values places by their order; texts behind numbers, nothing at the end."""
    ordered = sorted(set(values), key=lambda one: (one is None, isinstance(one, str), one or 0))
    return {one: place for place, one in enumerate(ordered)}
