# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``rows``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Rows(Chain):
    """Transforms of this group."""

    def filter(self, condition: str) -> Self:
        """Keep the rows for which a condition is true."""
        return self._then("rows.filter", {"condition": condition})

    def sort(self, *columns: str, descending: bool = False) -> Self:
        """Sort rows by columns; missing values come last."""
        return self._then("rows.sort", {"columns": columns, "descending": descending})
