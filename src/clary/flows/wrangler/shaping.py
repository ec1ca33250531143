"""Columns, rows, types, missing values and outliers, and several tables as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.flows.wrangler.rules import Field, Rule, column, columns, words

if TYPE_CHECKING:
    from collections.abc import Mapping

_OUTPUT = Field("output", "output_column")
_TYPES = {
    "long": "long",
    "float": "float",
    "bool": "boolean",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "string": "string",
}
_INVALID = {"replace_null": "null", "drop": "drop", "replace_value": "fill"}
_JOINS = {
    "inner": "inner",
    "leftouter": "left",
    "left": "left",
    "rightouter": "right",
    "right": "right",
    "outer": "full",
    "full": "full",
    "fullouter": "full",
    "leftanti": "left_anti",
    "leftsemi": "left_semi",
}


def _move(kind: str, block: str, to: str, *fields: Field) -> Rule:
    chosen = {"operator": "Move column", "move_column_parameters.move_type": kind}
    path = f"move_column_parameters.{block}"
    return Rule(
        "spark.manage_columns",
        "columns.move",
        (columns("columns", "column_to_move"), *fields),
        chosen,
        path,
        {"to": to},
    )


def _columns(kind: str, ours: str, block: str, *fields: Field) -> Rule:
    return Rule("spark.manage_columns", ours, fields, {"operator": kind}, block)


def _missing(kind: str, ours: str, block: str, *fields: Field) -> Rule:
    return Rule("spark.handle_missing", f"missing.{ours}", fields, {"operator": kind}, block)


def _impute(
    kind: str, block: str, *fields: Field, constant: Mapping[str, Any] | None = None
) -> Rule:
    chosen = {"operator": "Impute", "impute_parameters.column_type": kind}
    path = f"impute_parameters.{block}_parameters"
    return Rule(
        "spark.handle_missing",
        "missing.impute",
        (columns(), _OUTPUT, *fields),
        chosen,
        path,
        constant or {},
    )


_STRATEGIES = {"Mean": "mean", "Approximate Median": "median"}
_FIXES = {"Clip": "clip", "Remove": "remove", "Invalidate": "invalidate"}
_OUTLIERS: tuple[tuple[str, str, tuple[Field, ...]], ...] = (
    ("Standard deviation", "standard_deviation", (Field("deviations", "standard_deviations"),)),
    (
        "Quantile",
        "quantile",
        (Field("lower", "lower_quantile"), Field("upper", "upper_quantile")),
    ),
    ("Min-max", "min_max", (Field("lower", "lower_threshold"), Field("upper", "upper_threshold"))),
)


def _outliers(kind: str, ours: str, fields: tuple[Field, ...]) -> Rule:
    block = kind.lower().replace(" ", "_").replace("-", "_")
    return Rule(
        "spark.handle_outliers",
        f"outliers.{ours}",
        (columns(), words("fix", "fix_method", _FIXES), _OUTPUT, *fields),
        {"operator": f"{kind} numeric outliers"},
        f"{block}_numeric_outliers_parameters",
    )


def _keys(told: list[dict[str, str]]) -> list[Any]:
    pairs = [(one["left"], one["right"]) for one in told]
    return [left if left == right else [left, right] for left, right in pairs]


def _told_keys(on: list[Any]) -> list[dict[str, str]]:
    pairs = [(one, one) if isinstance(one, str) else one for one in on]
    return [{"left": left, "right": right} for left, right in pairs]


def _one_key(told: list[str]) -> list[Any]:
    return _keys([{"left": told[0], "right": told[1]}])


def _only_key(on: list[Any]) -> list[str]:
    [key] = _told_keys(on)
    return [key["left"], key["right"]]


RULES = (
    Rule("spark.infer_and_cast_type", "parse.infer"),
    Rule(
        "spark.cast_single_data_type",
        "parse.cast",
        (
            columns("columns", "column"),
            words("to", "data_type", _TYPES),
            words("invalid", "non_castable_data_handling_method", _INVALID),
            Field("fill", "replace_value", str),
        ),
        ignored=frozenset({"original_data_type", "date_formatting", "datetime_formatting"}),
    ),
    _columns(
        "Drop column",
        "columns.drop",
        "drop_column_parameters",
        columns("columns", "column_to_drop"),
    ),
    _columns(
        "Duplicate column",
        "columns.duplicate",
        "duplicate_column_parameters",
        column(),
        Field("output", "new_name"),
    ),
    _columns(
        "Rename column",
        "columns.rename",
        "rename_column_parameters",
        column(),
        Field("output", "new_name"),
    ),
    _move("Move to start", "move_to_start_parameters", "start"),
    _move("Move to end", "move_to_end_parameters", "end"),
    _move("Move to index", "move_to_index_parameters", "index", Field("index", "index")),
    _move("Move after", "move_after_parameters", "after", Field("after", "target_column")),
    Rule(
        "spark.custom_formula",
        "columns.formula",
        (Field("formula", "formula"), Field("output", "output_column")),
        constant={"dialect": "spark"},
    ),
    _missing("Drop missing", "drop", "drop_missing_parameters.drop_rows_parameters", columns()),
    _missing(
        "Fill missing",
        "fill",
        "fill_missing_parameters",
        columns(),
        Field("value", "fill_value"),
        _OUTPUT,
    ),
    _missing(
        "Add indicator for missing",
        "indicator",
        "add_indicator_for_missing_parameters",
        columns(),
        _OUTPUT,
    ),
    _impute("Numeric", "numeric", words("strategy", "strategy", _STRATEGIES)),
    _impute("Categorical", "categorical", constant={"strategy": "mode"}),
    *(_outliers(*one) for one in _OUTLIERS),
    Rule(
        "spark.manage_rows",
        "rows.sort",
        (columns(), words("descending", "order", {"Ascending": False, "Descending": True})),
        {"operator": "Sort"},
        "sort_parameters",
    ),
    Rule(
        "spark.manage_rows",
        "rows.shuffle",
        (Field("seed", "seed"),),
        {"operator": "Shuffle"},
        "shuffle_parameters",
    ),
    Rule(
        "spark.manage_rows",
        "rows.drop_duplicates",
        (),
        {"operator": "Drop duplicates"},
        "drop_duplicates_parameters",
    ),
    Rule(
        "spark.join_tables",
        "combine.join",
        (
            Field("on", "left_column+right_column", _one_key, _only_key),
            words("how", "join_type", _JOINS),
        ),
    ),
    Rule(
        "spark.join_multi_keys",
        "combine.join",
        (Field("on", "join_keys", _keys, _told_keys), words("how", "join_type", _JOINS)),
    ),
    Rule(
        "spark.concatenate_datasets",
        "combine.concatenate",
        (
            Field("distinct", "apply_dedupe"),
            Field("indicator", "indicator_col_name"),
            Field("labels", "df1_indicator+df2_indicator"),
        ),
        {"concatenate_type": "row_wise"},
    ),
    *(
        Rule(
            "spark.balance_data",
            f"balance.{ours}",
            (Field("column", "target_column"), Field("ratio", "ratio"), *fields),
            {"operator": kind},
        )
        for kind, ours, *fields in (
            ("Random oversample", "oversample"),
            ("Random undersample", "undersample"),
            ("SMOTE", "smote", Field("neighbours", "smote_params.num_neighbors")),
        )
    ),
)
