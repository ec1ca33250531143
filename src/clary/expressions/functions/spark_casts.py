"""Conversions in Spark: each gives NULL for what does not convert."""

from __future__ import annotations

_SPACE = " \t\n\v\f\r"
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_NUMBER = r"\A-?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))\z"
_HEXADECIMAL = r"\A0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*\z"
_BINARY = r"\A0[bB][01]+(?:_[01]+)*\z"
_DECIMAL = (
    rf"\A[+-]?(?=\.?[0-9])(?:{_DIGITS})?(?:\.(?:{_DIGITS})?)?(?:[eE][+-]?(?:{_DIGITS})\.?)?\z"
)
_MOST_DIGITS = 400

DOUBLE_TO_BIGINT = (
    "CASE WHEN {0} >= -9223372036854775808D AND {0} < 9223372036854775808D "
    "THEN CAST(rint({0}) AS BIGINT) END"
)
TEXT_TO_BOOLEAN = (
    r"CASE WHEN rlike({0}, '\\A(?i:true|t|yes|y|1)\\z') THEN TRUE "
    r"WHEN rlike({0}, '\\A(?i:false|f|no|n|0)\\z') THEN FALSE END"
)
_TRIMMED = "trim(BOTH {1} FROM {0})"
_UNSIGNED = f"regexp_replace({_TRIMMED}, '^[+]', '')"
TEXT_TO_DOUBLE = (
    f"CASE WHEN lower(right({_UNSIGNED}, 3)) = 'nan' AND rlike({_UNSIGNED}, {{2}}) "
    f"THEN CAST('NaN' AS DOUBLE) "
    f"WHEN rlike({_UNSIGNED}, {{2}}) THEN CAST({_UNSIGNED} AS DOUBLE) END"
)
_BARE = f"replace({_TRIMMED}, '_', '')"
TEXT_TO_BIGINT = (
    f"try_cast(try_cast(CASE "
    f"WHEN rlike({_TRIMMED}, {{2}}) THEN conv(substring({_BARE}, 3), 16, 10) "
    f"WHEN rlike({_TRIMMED}, {{3}}) THEN conv(substring({_BARE}, 3), 2, 10) "
    f"WHEN rlike({_TRIMMED}, {{4}}) AND length({_TRIMMED}) <= {_MOST_DIGITS} "
    f"THEN regexp_replace({_BARE}, '([eE].*)[.]$', '$1') END AS DECIMAL(38, 0)) AS BIGINT)"
)
TEXT_TO_DATE = "try_cast(CASE WHEN rlike({0}, {1}) THEN {0} END AS DATE)"
TEXT_TO_TIMESTAMP = (
    "try_cast(CASE WHEN rlike({0}, {1}) THEN trim(TRAILING 'Z' FROM {0}) END AS TIMESTAMP_NTZ)"
)
TEXT_TO_TIMESTAMPTZ = (
    "try_cast(CASE WHEN rlike({0}, {1}) THEN "
    "regexp_replace({0}, '([+-][0-9][0-9])([0-9][0-9])$', '$1:$2') END AS TIMESTAMP)"
)


def number_texts() -> tuple[str, str]:
    """Give what texts of numbers may be of: blanks around, and their shape."""
    return _SPACE, _NUMBER


def whole_texts() -> tuple[str, str, str, str]:
    """Give what texts of whole numbers may be of: blanks around, and their shapes."""
    return _SPACE, _HEXADECIMAL, _BINARY, _DECIMAL
