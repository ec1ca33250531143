# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``rows``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Rows(Chain):
    """Transforms of this group."""

    def drop_duplicates(self, *columns: str) -> Self:
        """Keep the first of rows that are equal in the columns given, else in all."""
        return self._then("rows.drop_duplicates", {"columns": columns})

    def drop_empty(self) -> Self:
        """Drop rows that hold nothing: every value is missing, NaN, or a blank text."""
        return self._then("rows.drop_empty", {})

    def filter(self, condition: str) -> Self:
        """Keep the rows for which a condition is true."""
        return self._then("rows.filter", {"condition": condition})

    def shuffle(self, *, seed: int = 0) -> Self:
        """Put rows in an order that only the seed tells, the same every time."""
        return self._then("rows.shuffle", {"seed": seed})

    def sort(self, *columns: str, descending: bool = False) -> Self:
        """Sort rows by columns; missing values come last, equal rows stay in order."""
        return self._then("rows.sort", {"columns": columns, "descending": descending})
