# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``validate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Validate(Chain):
    """Transforms of this group."""

    def is_string(
        self,
        *columns: str,
        test: Literal[
            "alphabetic",
            "alphanumeric",
            "ascii",
            "digits",
            "whole_number",
            "number",
            "date",
            "lower",
            "upper",
            "blank",
            "email",
            "url",
        ],
        output: str = "",
    ) -> Self:
        """Tell of texts whether they pass a test; a missing text stays missing.

        Parameters
        ----------
        columns
            The columns of text, replaced where they stand by true or false.
        test
            Only ASCII letters or digits, one at least: ``alphabetic``, ``alphanumeric``, ``digits``;
            only ASCII: ``ascii``; a ``whole_number``; any ``number`` (``1e5``, ``inf``); a ``date`` or
            time of ISO 8601; all letters, one at least, ``lower`` or ``upper``; ``blank``; the shape of
            an ``email`` address or of a ``url`` of HTTP.
        output
            The name of a new column for what is made of one column.
        """
        return self._then("validate.string", {"columns": columns, "test": test, "output": output})
