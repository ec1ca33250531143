# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``columns``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Columns(Chain):
    """Transforms of this group."""

    def drop(self, *columns: str) -> Self:
        """Drop columns."""
        return self._then("columns.drop", {"columns": columns})

    def formula(self, formula: str, output: str) -> Self:
        """Compute a column by an expression over the others."""
        return self._then("columns.formula", {"formula": formula, "output": output})
