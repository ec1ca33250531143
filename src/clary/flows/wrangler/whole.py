"""Where rows come from and go to, code of the author's own, and pictures."""

from __future__ import annotations

import re

from clary.flows.wrangler.rules import Field, Rule, words

_S3 = "dataset_definition.s3ExecutionContext"
_WORDS = ("csv", "json", "jsonl", "parquet", "orc")
_FORMATS = {written: one for one in _WORDS for written in (one.upper(), one)}
_COMPRESSIONS = {one: one for one in ("none", "gzip", "snappy", "zstd")}
_PICTURE = frozenset({"name", "insights_report_parameters", "full_data"}) | {
    "max_features", "analysis", "lasso_parameters",  # ours tells all of them
}  # fmt: skip


def _picture(theirs: str, ours: str, *fields: Field) -> Rule:
    return Rule(f"visualizations.{theirs}", f"analysis.{ours}", fields, ignored=_PICTURE)


def _code(theirs: str, operator: str, block: str, ours: str, name: str = "code") -> Rule:
    return Rule(theirs, ours, (Field(name, "code"),), {"operator": operator}, block)


_RETURNED = {"string": "string", "long": "Int64", "float": "Float64", "boolean": "boolean"}
_CALLED = re.compile(
    r"(?s)(.*)\n\ndf\[('[^']*')\] = custom_func\(df\[('[^']*')\]\)\.astype\('(\w+)'\)\.array\n"
)
"""What is written after a function of a column, to call it."""


def _called(told: list[str]) -> str:
    """Write code that calls a function of a column: ``custom_func``."""
    code, given, made, kind = told
    names_are_plain = all(
        isinstance(one, str) and one and not set(one) & set("'\\\n\r") for one in (given, made)
    )
    if not names_are_plain or not isinstance(code, str):
        raise ValueError(told)
    call = f"df['{made}'] = custom_func(df['{given}']).astype('{_RETURNED[kind]}').array"
    return f"{code}\n\n{call}\n"


def _uncalled(code: str) -> list[str]:
    found = _CALLED.fullmatch(code)
    if found is None:
        raise ValueError(code)
    body, made, given, kind = found.groups()
    [word] = [one for one, known in _RETURNED.items() if known == kind]
    return [body, given[1:-1], made[1:-1], word]


def _rows(told: int) -> int:
    if type(told) is not int or told < 1:
        raise ValueError(told)
    return told


_PROBLEMS = {
    written: one for one in ("classification", "regression") for written in (one.capitalize(), one)
}
_PROBLEM = words("problem", "problem_type", _PROBLEMS)
_METHODS = {"linear": "linear", "non-linear": "rank"}

RULES = (
    Rule(
        "s3_source",
        "source",
        (
            Field("path", f"{_S3}.s3Uri"),
            words("format", f"{_S3}.s3ContentType", _FORMATS),
            Field("header", f"{_S3}.s3HasHeader"),
            Field("delimiter", f"{_S3}.s3FieldDelimiter"),
        ),
        constant={"texts": True},  # types are inferred by a node of their own
        ignored=frozenset({"dataset_definition"}),
    ),
    Rule(
        "spark.s3_destination",
        "destination",
        (
            Field("path", "output_config.output_path"),
            words("format", "output_config.output_content_type", _FORMATS),
            Field("delimiter", "output_config.delimiter"),
            words("compression", "output_config.compression", _COMPRESSIONS),
        ),
        ignored=frozenset({"output_config"}),
    ),
    Rule("spark.custom_pandas", "custom.pandas", (Field("code", "code"),)),
    Rule("spark.custom_pyspark", "custom.pyspark", (Field("code", "code"),)),
    Rule(
        "spark.custom_code",
        "custom.pandas",
        (Field("code", "pandas_code+input_col+output_col+return_type", _called, _uncalled),),
        {"operator": "Python (User-Defined Function)", "udf_parameters.udf_mode": "Pandas"},
        "udf_parameters",
    ),
    _code("spark.custom_code", "Python (Pandas)", "pandas_parameters", "custom.pandas"),
    _code("spark.custom_code", "Python (Pandas)", "python_pandas_parameters", "custom.pandas"),
    _code("spark.custom_code", "Python (PySpark)", "pyspark_parameters", "custom.pyspark"),
    _code("spark.custom_code", "Python (PySpark)", "python_pyspark_parameters", "custom.pyspark"),
    _code(
        "spark.custom_code", "SQL (PySpark SQL)", "sql_pyspark_sql_parameters", "custom.sql", "sql"
    ),
    _code("spark.custom_code", "SQL", "sql_parameters", "custom.sql", "sql"),
    Rule(
        "spark.sampling",
        "sampling.sample",
        (Field("rows", "sample_size", _rows), Field("seed", "seed")),
        {"sampling_method": "Random"},
        "random_parameters",
    ),
    Rule("dataset.identity", "rows.filter", constant={"condition": "true"}),
    _picture("describe", "summary"),
    _picture("histogram", "histogram", Field("column", "x_axis"), Field("color", "color_by")),
    _picture("scatter_plot", "scatter", Field("x", "x_axis"), Field("y", "y_axis")),
    _picture("feature_correlation", "correlation", words("method", "correlation_type", _METHODS)),
    _picture("multicolinearity", "multicollinearity", Field("target", "lasso_parameters.label")),
    _picture("quick_model", "quick_model", Field("target", "label"), _PROBLEM),
    _picture("target_leakage", "target_leakage", Field("target", "target"), _PROBLEM),
)
