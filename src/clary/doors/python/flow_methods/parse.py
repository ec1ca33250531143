# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``parse``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Parse(Chain):
    """Transforms of this group."""

    def cast(
        self,
        *columns: str,
        to: Literal["long", "float", "boolean", "date", "timestamp", "string"],
        invalid: Literal["null", "drop", "fill", "error"] = "null",
        fill: str = "",
        output: str = "",
    ) -> Self:
        """Convert columns to another type.

        Parameters
        ----------
        columns
            The columns, replaced where they stand.
        to
            The type. Dates and times are read from ISO 8601; see the transforms of dates for others.
        invalid
            What happens to values that do not convert: ``null``: they become missing; ``drop``: their
            rows are dropped; ``fill``: they become ``fill``; ``error``.
        fill
            The value for ``fill``, as text.
        output
            The name of a new column for what is made of one column.
        """
        return self._then(
            "parse.cast",
            {"columns": columns, "to": to, "invalid": invalid, "fill": fill, "output": output},
        )

    def infer_types(self, *columns: str) -> Self:
        """Learn the types of columns of text, and convert them.

        A column becomes ``bigint``, ``double``, ``boolean``, ``date`` or ``timestamp``, the first that
        fits all of its values; blanks around, and ``NA``, ``N/A``, ``null``, ``none``, ``NaN``, ``-``
        and ``?``, whatever their case, count as missing. Numbers that begin with 0, as codes do, stay
        texts. Values that do not convert later become missing.

        Parameters
        ----------
        columns
            The columns; all if none is given.
        """
        return self._then("parse.infer", {"columns": columns})
