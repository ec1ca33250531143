# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``balance``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class Balance(Chain):
    """Transforms of this group."""

    def oversample(self, column: str, *, ratio: float = 1.0, seed: int = 0) -> Self:
        """Repeat random rows of the smaller classes."""
        return self._then("balance.oversample", {"column": column, "ratio": ratio, "seed": seed})

    def smote(
        self,
        column: str,
        *,
        ratio: float = 1.0,
        seed: int = 0,
        neighbours: int = 5,
        categories: Sequence[str] = (),
    ) -> Self:
        """Make rows between a random row of a smaller class and one of its neighbours.

        Numbers are taken between the two at random, whole ones rounded; categories are what most of
        the neighbours have; everything else is the first row's. Neighbours are near by Euclid's
        distance over the numbers as they stand, missing ones as 0, and are looked for among 1,000 rows
        of the class. Source: Chawla et al. 2002, SMOTE and SMOTE-NC.

        Parameters
        ----------
        neighbours
            How many of the nearest there are to choose from.
        categories
            Columns of categories. Two rows that differ in one are as far apart as the median of the
            deviations of the numbers of their class.
        """
        return self._then(
            "balance.smote",
            {
                "column": column,
                "ratio": ratio,
                "seed": seed,
                "neighbours": neighbours,
                "categories": categories,
            },
        )

    def undersample(self, column: str, *, ratio: float = 1.0, seed: int = 0) -> Self:
        """Drop random rows of the larger classes."""
        return self._then("balance.undersample", {"column": column, "ratio": ratio, "seed": seed})
