# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``columns``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Columns(Chain):
    """Transforms of this group."""

    def concatenate_columns(self, *columns: str, output: str, separator: str = "") -> Self:
        """Write the values of columns one after another, as text; missing ones are left out."""
        return self._then(
            "columns.concatenate", {"columns": columns, "output": output, "separator": separator}
        )

    def drop(self, *columns: str) -> Self:
        """Drop columns."""
        return self._then("columns.drop", {"columns": columns})

    def duplicate(self, column: str, output: str) -> Self:
        """Copy a column to a new one."""
        return self._then("columns.duplicate", {"column": column, "output": output})

    def formula(
        self, formula: str, output: str, *, dialect: Literal["duckdb", "spark"] = "duckdb"
    ) -> Self:
        """Compute a column by an expression over the others, in DuckDB's or in Spark's SQL."""
        return self._then(
            "columns.formula", {"formula": formula, "output": output, "dialect": dialect}
        )

    def move(
        self,
        *columns: str,
        to: Literal["start", "end", "index", "after"] = "start",
        index: int = 0,
        after: str = "",
    ) -> Self:
        """Move columns to the start, to the end, to a place counted from 0, or after another."""
        return self._then(
            "columns.move", {"columns": columns, "to": to, "index": index, "after": after}
        )

    def rename(self, column: str, output: str) -> Self:
        """Call a column otherwise, where it stands."""
        return self._then("columns.rename", {"column": column, "output": output})
