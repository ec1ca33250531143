# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``numeric``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Numeric(Chain):
    """Transforms of this group."""

    def max_abs_scale(self, *columns: str, output: str = "") -> Self:
        """Divide by the largest absolute number."""
        return self._then("numeric.max_abs", {"columns": columns, "output": output})

    def min_max_scale(
        self, *columns: str, output: str = "", minimum: float = 0.0, maximum: float = 1.0
    ) -> Self:
        """Map the range of a column to ``minimum`` … ``maximum``; a constant goes to the middle."""
        return self._then(
            "numeric.min_max",
            {"columns": columns, "output": output, "minimum": minimum, "maximum": maximum},
        )

    def robust_scale(
        self,
        *columns: str,
        output: str = "",
        center: bool = True,
        scale: bool = True,
        lower: float = 0.25,
        upper: float = 0.75,
    ) -> Self:
        """Divide by the distance of two quantiles where ``scale``, from the median if ``center``."""
        return self._then(
            "numeric.robust",
            {
                "columns": columns,
                "output": output,
                "center": center,
                "scale": scale,
                "lower": lower,
                "upper": upper,
            },
        )

    def standard_scale(
        self, *columns: str, output: str = "", center: bool = True, scale: bool = True
    ) -> Self:
        """Divide by the standard deviation where ``scale``, from the mean if ``center``.

        The deviation is of n - 1, as Spark has it; scikit-learn's is of n.
        """
        return self._then(
            "numeric.standard",
            {"columns": columns, "output": output, "center": center, "scale": scale},
        )
