"""Categories as numbers, numbers scaled, texts as vectors."""

from __future__ import annotations

from clary.flows.wrangler.rules import Field, Rule, words

_UNSEEN = {"Keep": "keep", "Skip": "skip", "Error": "error", "Replace with NaN": "nan"}

RULES = (
    Rule(
        "spark.encode_categorical",
        "encode.one_hot",
        (
            Field("column", "input_column"),
            words("unseen", "invalid_handling_strategy", _UNSEEN),
            Field("drop_last", "drop_last"),
            words("output", "output_style", {"Columns": "columns", "Vector": "vector"}),
        ),
        {"operator": "One-hot encode"},
        "one_hot_encode_parameters",
    ),
)
