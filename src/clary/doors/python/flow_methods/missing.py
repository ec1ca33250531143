# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``missing``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Missing(Chain):
    """Transforms of this group."""

    def drop_missing(self, *columns: str, how: Literal["any", "all"] = "any") -> Self:
        """Drop rows in which any, or all, of the columns given are missing; of all if none is given."""
        return self._then("missing.drop", {"columns": columns, "how": how})

    def drop_missing_columns(self, *columns: str, above: float = 0.5) -> Self:
        """Drop columns of which a larger share than ``above``, 0 to 1, is missing."""
        return self._then("missing.drop_columns", {"columns": columns, "above": above})

    def fill(self, *columns: str, value: str | bool | float, output: str = "") -> Self:
        """Put a value where one is missing."""
        return self._then("missing.fill", {"columns": columns, "value": value, "output": output})

    def impute(
        self, *columns: str, strategy: Literal["mean", "median", "mode"] = "mean", output: str = ""
    ) -> Self:
        """Put what is usual in a column where a value is missing.

        A mean makes numbers with a point of whole ones; so does a median that lies between two.
        """
        return self._then(
            "missing.impute", {"columns": columns, "strategy": strategy, "output": output}
        )

    def indicator(self, *columns: str, output: str = "") -> Self:
        """Add a column that is true where a value is missing, ``<column>_missing``."""
        return self._then("missing.indicator", {"columns": columns, "output": output})
