# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``search``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Self


class Search(Chain):
    """Transforms of this group."""

    def extract_between(self, *columns: str, left: str, right: str, output: str = "") -> Self:
        """Take out what stands between two texts; missing where these do not both stand."""
        return self._then(
            "search.extract_between",
            {"columns": columns, "output": output, "left": left, "right": right},
        )

    def extract_pattern(
        self, *columns: str, pattern: str, output: str = "", group: int = 0
    ) -> Self:
        """Take out what a pattern, or one of its groups, matches first; missing where nothing."""
        return self._then(
            "search.extract_pattern",
            {"columns": columns, "output": output, "pattern": pattern, "group": group},
        )

    def extract_position(
        self, *columns: str, output: str = "", start: int = 0, end: int | None = None
    ) -> Self:
        """Take out the letters from ``start``, counted from 0, up to ``end``, without that."""
        return self._then(
            "search.extract_position",
            {"columns": columns, "output": output, "start": start, "end": end},
        )

    def find_text(
        self,
        *columns: str,
        text: str,
        output: str = "",
        start: int = 0,
        end: int | None = None,
        from_right: bool = False,
    ) -> Self:
        """Tell where a text stands in another, from 0; -1 where it does not.

        Parameters
        ----------
        text
            What is looked for.
        start, end
            Where to look: from the letter ``start`` up to, without, ``end``.
        from_right
            Take the last of its places, those overlapping an earlier one aside.
        """
        return self._then(
            "search.find",
            {
                "columns": columns,
                "output": output,
                "text": text,
                "start": start,
                "end": end,
                "from_right": from_right,
            },
        )

    def matches(self, *columns: str, pattern: str, output: str = "") -> Self:
        """Tell whether a pattern is found in a text."""
        return self._then(
            "search.matches", {"columns": columns, "output": output, "pattern": pattern}
        )

    def pattern_to_missing(self, *columns: str, pattern: str, output: str = "") -> Self:
        """Make texts missing in which a pattern is found."""
        return self._then(
            "search.pattern_to_missing", {"columns": columns, "output": output, "pattern": pattern}
        )

    def replace(self, *columns: str, old: str, output: str = "", new: str = "") -> Self:
        """Replace a text wherever it stands."""
        return self._then(
            "search.replace", {"columns": columns, "output": output, "old": old, "new": new}
        )

    def replace_pattern(self, *columns: str, pattern: str, output: str = "", new: str = "") -> Self:
        r"""Replace whatever a pattern matches; ``\1`` stands for its first group."""
        return self._then(
            "search.replace_pattern",
            {"columns": columns, "output": output, "pattern": pattern, "new": new},
        )

    def split_text(
        self,
        column: str,
        *,
        delimiter: str = ",",
        is_pattern: bool = False,
        parts: int = 0,
        output: str = "",
    ) -> Self:
        """Split a text at a delimiter: into a list, or into so many columns.

        Parameters
        ----------
        column
            The text.
        delimiter
            What stands between the parts: a text, or a pattern with ``is_pattern``.
        parts
            How many columns, ``column_0``, …; 0: one list. What is beyond them is dropped.
        output
            The name of the list, or what the columns' names begin with; empty: the column's own.
        """
        return self._then(
            "search.split",
            {
                "column": column,
                "delimiter": delimiter,
                "is_pattern": is_pattern,
                "parts": parts,
                "output": output,
            },
        )
