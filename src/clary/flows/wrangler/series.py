"""Times and series: what Data Wrangler calls time series."""

from __future__ import annotations

import re
from typing import Any

from clary.expressions.types import quoted
from clary.flows.wrangler.rules import Field, Rule, column, columns, single, words

_PARTS = (
    "year", "month", "day", "hour", "minute", "second", "week_of_year", "day_of_year", "quarter",
)  # fmt: skip
_DATED = re.compile(r'TRY_CAST\("((?:[^"]|"")+)" AS TIMESTAMP\) IS NOT NULL')
_ALONG = "hm_input_type_Along column_parameters"


def _parts(told: list[bool]) -> list[str]:
    return [part for part, wanted in zip(_PARTS, told, strict=True) if wanted]


def _told_parts(parts: list[str]) -> list[bool]:
    told = [one in parts for one in _PARTS]
    if _parts(told) != list(parts):
        raise ValueError(parts)
    return told


def _dated(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError(name)
    return f"TRY_CAST({quoted(name)} AS TIMESTAMP) IS NOT NULL"


def _of_dated(condition: str) -> str:
    found = _DATED.fullmatch(condition)
    if found is None:
        raise ValueError(condition)
    return found[1].replace('""', '"')


def _series(kind: str, ours: str, *fields: Field, **more: Any) -> Rule:
    block = more.pop("within", "")
    path = f"{kind}_parameters{block and '.'}{block}"
    chosen = {"operator": kind, **{f"{path}.{at}": x for at, x in more.pop("where", {}).items()}}
    return Rule("spark.time_series", ours, fields, chosen, path, **more)


RULES = (
    _series(
        "Featurize datetime",
        "dates.featurize",
        column(),
        Field("output", "output_column"),
        words("embedding", "output_mode", {"Ordinal": "ordinal", "Cyclic": "cyclic"}),
        words("style", "output_format", {"Columns": "columns", "Vector": "vector"}),
        Field(
            "format",
            "infer_datetime_format+date_time_format",
            lambda told: "" if told[0] else single(told[1]),
            lambda form: [not form, form],
        ),
        Field("parts", "+".join(_PARTS), _parts, _told_parts, absent=[]),
    ),
    _series(  # theirs drops what is no time; ours of that name also what a series has twice
        "Validate timestamps",
        "rows.filter",
        Field("condition", "timestamp_column", _dated, _of_dated),
        where={"policy": "drop"},
    ),
    _series(  # a constant is the same wherever in its series a value is missing
        "Handle missing",
        "missing.fill",
        columns("columns", "hmac_sequence_column"),
        Field("value", "hmac_strategy_Constant Value_parameters.hmac_custom_value"),
        Field("output", "hmac_output_column"),
        within=_ALONG,
        where={"hmac_strategy": "Constant Value"},
        ignored=frozenset({"hmac_id_column", "hmac_timestamp_column", "hmac_leftovernans"}),
    ),
)
