"""Texts: formatted, searched and edited."""

from __future__ import annotations

from clary.flows.wrangler.rules import Field, Rule

RULES = (
    Rule(
        "spark.format_string",
        "strings.remove_symbols",
        (Field("column", "input_column"), Field("symbols", "symbols")),
        {"operator": "Remove symbols"},
        "remove_symbols_parameters",
    ),
)
