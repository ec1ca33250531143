"""Categories as numbers, numbers scaled."""

from __future__ import annotations

from clary.flows.wrangler.rules import Field, Rule, column, columns, words

_UNSEEN = {"Keep": "keep", "Skip": "skip", "Error": "error"}
_OUTPUT = Field("output", "output_column")


def _encode(kind: str, ours: str, block: str, *fields: Field) -> Rule:
    return Rule("spark.encode_categorical", f"encode.{ours}", fields, {"operator": kind}, block)


def _scale(kind: str, ours: str, block: str, *fields: Field) -> Rule:
    chosen = {"operator": "Scale values", "scale_values_parameters.scaler": kind}
    path = f"scale_values_parameters.{block}"
    return Rule(
        "spark.process_numeric", f"numeric.{ours}", (columns(), _OUTPUT, *fields), chosen, path
    )


_HOT = "one_hot_encode_parameters"

RULES = (
    Rule(  # columns are made of the labels alone: the category that is kept for others has none
        "spark.encode_categorical",
        "encode.one_hot",
        (column(), _OUTPUT),
        {
            "operator": "One-hot encode",
            f"{_HOT}.output_style": "Columns",
            f"{_HOT}.invalid_handling_strategy": "Keep",
        },
        _HOT,
        {"style": "columns", "unseen": "keep", "drop_last": True},
        frozenset({"drop_last"}),
    ),
    _encode(
        "One-hot encode",
        "one_hot",
        _HOT,
        column(),
        words("unseen", "invalid_handling_strategy", _UNSEEN),
        Field("drop_last", "drop_last"),
        words("style", "output_style", {"Columns": "columns", "Vector": "vector"}),
        _OUTPUT,
    ),
    _encode(
        "Ordinal encode",
        "ordinal",
        "ordinal_encode_parameters",
        column(),
        words("unseen", "invalid_handling_strategy", {**_UNSEEN, "Replace with NaN": "nan"}),
        _OUTPUT,
    ),
    _encode(
        "Similarity encode",
        "similarity",
        "similarity_encode_parameters",
        columns(),
        Field("dimensions", "target_dimension"),
        _OUTPUT,
    ),
    _scale(
        "Standard scaler",
        "standard",
        "standard_scaler_parameters",
        Field("center", "center", absent=False),
        Field("scale", "scale", absent=True),
    ),
    _scale(
        "Robust scaler",
        "robust",
        "robust_scaler_parameters",
        Field("center", "center", absent=False),
        Field("scale", "scale", absent=True),
        Field("lower", "lower_quantile"),
        Field("upper", "upper_quantile"),
    ),
    _scale(
        "Min-max scaler",
        "min_max",
        "min_max_scaler_parameters",
        Field("minimum", "min"),
        Field("maximum", "max"),
    ),
    _scale("Max absolute scaler", "max_abs", "max_absolute_scaler_parameters"),
)
