# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``numeric``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Numeric(Chain):
    """Transforms of this group."""

    def standard_scale(self, *columns: str, center: bool = True) -> Self:
        """Scale numbers to a standard deviation of one, and a mean of zero where ``center``."""
        return self._then("numeric.standard", {"columns": columns, "center": center})
