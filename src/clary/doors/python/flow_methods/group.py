# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``group``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self


class Group(Chain):
    """Transforms of this group."""

    def aggregate(self, by: Sequence[str], aggregates: Mapping[str, Sequence[str]]) -> Self:
        """Gather rows that have the same values, and aggregate the others' columns.

        Parameters
        ----------
        by
            What rows have in common; none: all rows are one. The result is sorted by it.
        aggregates
            Functions by column: ``{"price": ["mean", "max"]}`` gives ``price_mean`` and ``price_max``;
            ``{"*": ["count"]}`` gives ``count``, of rows. They are count, count_distinct, sum, mean,
            min, max, median, std and var.
        """
        return self._then("group.aggregate", {"by": by, "aggregates": aggregates})

    def pivot(self, by: Sequence[str], column: str, value: str, *, function: str = "sum") -> Self:
        """Make a row for what rows have in common, and a column for each category of another column.

        Parameters
        ----------
        by
            What rows have in common; the result is sorted by it.
        column
            The categories, learned from all rows, in order; ``column_category`` are the names, with
            ``_1``, ``_2``, … where one is taken, whatever the case.
        value, function
            What is aggregated for each, and how; missing where a row has none of a category.
        """
        return self._then(
            "group.pivot", {"by": by, "column": column, "value": value, "function": function}
        )
