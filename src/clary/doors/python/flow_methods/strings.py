# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``strings``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Strings(Chain):
    """Transforms of this group."""

    def affix(self, *columns: str, output: str = "", prefix: str = "", suffix: str = "") -> Self:
        """Put a text before and another after."""
        return self._then(
            "strings.affix",
            {"columns": columns, "output": output, "prefix": prefix, "suffix": suffix},
        )

    def case(
        self, *columns: str, to: Literal["lower", "upper", "capitalize", "swap"], output: str = ""
    ) -> Self:
        """Change the case of letters; ``capitalize``: the first upper, the others lower."""
        return self._then("strings.case", {"columns": columns, "output": output, "to": to})

    def pad(
        self,
        *columns: str,
        width: int,
        output: str = "",
        fill: str = " ",
        side: Literal["left", "right"] = "left",
    ) -> Self:
        """Make texts at least so long by a fill; longer ones stay as they are."""
        return self._then(
            "strings.pad",
            {"columns": columns, "output": output, "width": width, "fill": fill, "side": side},
        )

    def prepend_zeros(self, *columns: str, width: int, output: str = "") -> Self:
        """Put zeros before texts until they are so long."""
        return self._then(
            "strings.prepend_zeros", {"columns": columns, "output": output, "width": width}
        )

    def remove_symbols(
        self, *columns: str, output: str = "", symbols: str = "!@#$%^&*()_+=-/\\`~{}|<>?"
    ) -> Self:
        """Remove every one of some symbols."""
        return self._then(
            "strings.remove_symbols", {"columns": columns, "output": output, "symbols": symbols}
        )

    def strip(
        self,
        *columns: str,
        output: str = "",
        characters: str = " \t\r\n",
        side: Literal["left", "right", "both"] = "both",
    ) -> Self:
        """Take letters away from the ends of texts: blanks, tabs, line ends, or those given."""
        return self._then(
            "strings.strip",
            {"columns": columns, "output": output, "characters": characters, "side": side},
        )
