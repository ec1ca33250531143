# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``dates``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, Self


class Dates(Chain):
    """Transforms of this group."""

    def date_parts(
        self,
        column: str,
        *,
        format: str = "",
        zone: str = "UTC",
        parts: Sequence[
            Literal[
                "year",
                "quarter",
                "month",
                "week_of_year",
                "day_of_year",
                "day_of_week",
                "day",
                "hour",
                "minute",
                "second",
            ]
        ] = ("year", "month", "day", "hour", "minute", "second"),
        embedding: Literal["ordinal", "cyclic"] = "ordinal",
        style: Literal["columns", "vector"] = "columns",
        output: str = "",
    ) -> Self:
        """Take a time apart: ``column_year`` and so on, or sine and cosine of where in its cycle it is.

        Parameters
        ----------
        parts
            What is taken; Monday is the first day of the week, weeks are ISO's.
        embedding
            ``ordinal``: the numbers; ``cyclic``: ``column_month_sin`` and ``_cos``, the year a number.
        style
            A column each, or all in one vector ``column_features``.
        """
        return self._then(
            "dates.featurize",
            {
                "column": column,
                "format": format,
                "zone": zone,
                "parts": parts,
                "embedding": embedding,
                "style": style,
                "output": output,
            },
        )

    def parse_dates(
        self,
        column: str,
        *,
        format: str = "",
        zone: str = "UTC",
        output: str = "",
        to: Literal["timestamp", "date"] = "timestamp",
    ) -> Self:
        """Read a time from a text, or from whole seconds since 1970; what is none is missing."""
        return self._then(
            "dates.parse",
            {"column": column, "format": format, "zone": zone, "output": output, "to": to},
        )
