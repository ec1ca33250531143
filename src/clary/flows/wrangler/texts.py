"""Texts: formatted, searched and edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.flows.wrangler.rules import Field, Rule, columns

if TYPE_CHECKING:
    from collections.abc import Mapping

_OUTPUT = Field("output", "output_column")


def _format(
    kind: str, ours: str, *fields: Field, constant: Mapping[str, Any] | None = None, block: str = ""
) -> Rule:
    path = block or kind.lower().replace(" ", "_")
    return Rule(
        "spark.format_string",
        f"strings.{ours}",
        (columns(), _OUTPUT, *fields),
        {"operator": kind},
        f"{path}_parameters",
        constant or {},
    )


def _search(kind: str, ours: str, *fields: Field, block: str = "") -> Rule:
    path = block or kind.lower().replace(" ", "_")
    return Rule(
        "spark.search_and_edit",
        f"search.{ours}",
        (columns(), _OUTPUT, *fields),
        {"operator": kind},
        f"{path}_parameters",
    )


_WIDTH = Field("width", "width")
_FILL = Field("fill", "fill_character")
_STRIPPED = Field("characters", "characters_to_remove")
_PATTERN = Field("pattern", "pattern")
_FROM, _TO = Field("start", "start_index"), Field("end", "end_index")

RULES = (
    _format("Remove symbols", "remove_symbols", Field("symbols", "symbols")),
    _format("Left pad", "pad", _WIDTH, _FILL, constant={"side": "left"}),
    _format("Right pad", "pad", _WIDTH, _FILL, constant={"side": "right"}),
    _format("Prepend zeros", "prepend_zeros", _WIDTH),
    _format("Strip characters from left", "strip", _STRIPPED, constant={"side": "left"}),
    _format("Strip characters from right", "strip", _STRIPPED, constant={"side": "right"}),
    _format("Strip left and right", "strip", _STRIPPED, constant={"side": "both"}),
    _format("Lower case", "case", constant={"to": "lower"}),
    _format("Upper case", "case", constant={"to": "upper"}),
    _format("Capitalize", "case", constant={"to": "capitalize"}),
    _format("Swap case", "case", constant={"to": "swap"}),
    _format("Add prefix", "affix", Field("prefix", "prefix")),
    _format("Add suffix", "affix", Field("suffix", "suffix")),
    _search("Find and replace substring", "replace_pattern", _PATTERN, Field("new", "replacement")),
    _search("Find substring", "find", Field("text", "needle"), _FROM, _TO),
    _search("Matches", "matches", _PATTERN),
    _search("Extract using regex", "extract_pattern", _PATTERN, Field("group", "index")),
    _search(
        "Extract between delimiters",
        "extract_between",
        Field("left", "left_delimiter"),
        Field("right", "right_delimiter"),
    ),
    _search("Convert regex to missing", "pattern_to_missing", _PATTERN),
)
