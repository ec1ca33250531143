"""Where rows come from and go to, code of the author's own, and pictures."""

from __future__ import annotations

from clary.flows.wrangler.rules import Field, Rule, words

_S3 = "dataset_definition.s3ExecutionContext"
_WORDS = ("csv", "json", "jsonl", "parquet", "orc")
_FORMATS = {written: one for one in _WORDS for written in (one.upper(), one)}
_COMPRESSIONS = {one: one for one in ("none", "gzip", "snappy", "zstd")}
_PICTURE = frozenset({"name", "insights_report_parameters", "full_data"})


def _picture(theirs: str, ours: str, *fields: Field) -> Rule:
    return Rule(f"visualizations.{theirs}", f"analysis.{ours}", fields, ignored=_PICTURE)


def _code(theirs: str, operator: str, block: str, ours: str, name: str = "code") -> Rule:
    return Rule(theirs, ours, (Field(name, "code"),), {"operator": operator}, block)


_PROBLEMS = {
    written: one for one in ("classification", "regression") for written in (one.capitalize(), one)
}
_TARGET = (Field("target", "target"), words("problem", "problem_type", _PROBLEMS))

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
    _code("spark.custom_code", "Python (Pandas)", "python_pandas_parameters", "custom.pandas"),
    _code("spark.custom_code", "Python (PySpark)", "python_pyspark_parameters", "custom.pyspark"),
    _code(
        "spark.custom_code", "SQL (PySpark SQL)", "sql_pyspark_sql_parameters", "custom.sql", "sql"
    ),
    _code("spark.custom_code", "SQL", "sql_parameters", "custom.sql", "sql"),
    _picture("describe", "summary"),
    _picture("histogram", "histogram", Field("column", "x_axis"), Field("color", "color_by")),
    _picture("scatter_plot", "scatter", Field("x", "x_axis"), Field("y", "y_axis")),
    _picture("feature_correlation", "correlation"),
    _picture("multicolinearity", "multicollinearity"),
    _picture("quick_model", "quick_model", *_TARGET),
    _picture("target_leakage", "target_leakage", *_TARGET),
)
