# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``outliers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Outliers(Chain):
    """Transforms of this group."""

    def limit(
        self,
        *columns: str,
        lower: float,
        upper: float,
        fix: Literal["clip", "remove", "invalidate"] = "clip",
        output: str = "",
    ) -> Self:
        """Outliers are below ``lower`` or above ``upper``."""
        return self._then(
            "outliers.min_max",
            {"columns": columns, "fix": fix, "output": output, "lower": lower, "upper": upper},
        )

    def limit_quantiles(
        self,
        *columns: str,
        fix: Literal["clip", "remove", "invalidate"] = "clip",
        output: str = "",
        lower: float = 0.01,
        upper: float = 0.99,
    ) -> Self:
        """Outliers are below the lower quantile or above the upper one."""
        return self._then(
            "outliers.quantile",
            {"columns": columns, "fix": fix, "output": output, "lower": lower, "upper": upper},
        )

    def replace_rare(
        self,
        *columns: str,
        count: int = 0,
        fraction: float = 0.0,
        replacement: str = "Other",
        output: str = "",
    ) -> Self:
        """Replace categories of fewer rows than ``count``, or a smaller share of them, by one text.

        Parameters
        ----------
        columns
            The columns, replaced where they stand. Missing values stay; new categories are rare.
        count, fraction
            The least number of rows, and the least share of the rows that have a category, to be kept.
        replacement
            What stands for the rare ones.
        output
            The name of a new column for what is made of one column.
        """
        return self._then(
            "outliers.rare",
            {
                "columns": columns,
                "count": count,
                "fraction": fraction,
                "replacement": replacement,
                "output": output,
            },
        )

    def limit_robust(
        self,
        *columns: str,
        fix: Literal["clip", "remove", "invalidate"] = "clip",
        output: str = "",
        deviations: float = 4.0,
    ) -> Self:
        """Outliers are further from the median than so many deviations, told by the quartiles.

        The deviation is the distance of the quartiles by 1.349: what it is of normal numbers.
        """
        return self._then(
            "outliers.robust",
            {"columns": columns, "fix": fix, "output": output, "deviations": deviations},
        )

    def limit_deviations(
        self,
        *columns: str,
        fix: Literal["clip", "remove", "invalidate"] = "clip",
        output: str = "",
        deviations: float = 4.0,
    ) -> Self:
        """Outliers are further from the mean than so many standard deviations."""
        return self._then(
            "outliers.standard_deviation",
            {"columns": columns, "fix": fix, "output": output, "deviations": deviations},
        )
