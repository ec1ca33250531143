# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``nested``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Nested(Chain):
    """Transforms of this group."""

    def explode(self, column: str, *, output: str = "", place: str = "") -> Self:
        """Make a row of each value of a list; a row whose list is missing or empty is dropped.

        Parameters
        ----------
        output
            The name of the column of values; empty: the list's own.
        place
            The name of a column that tells the place in the list, from 0.
        """
        return self._then("nested.explode", {"column": column, "output": output, "place": place})

    def flatten(self, column: str, *, drops: bool = True, items: int = 0) -> Self:
        """Make a column of each value inside of a struct, or of texts of JSON: ``column_key_inner``.

        Values of JSON are texts, whole numbers, numbers and booleans; values that are not of the type
        learned are left out.

        Parameters
        ----------
        drops
            Drop the column.
        items
            How many of the first items of each array in JSON become columns, ``column_key_0`` and so
            on, at most 100; 0: arrays are left out.
        """
        return self._then("nested.flatten", {"column": column, "drops": drops, "items": items})
