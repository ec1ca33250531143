"""Conversions; those of text take what DuckDB takes, dates and times only as ISO 8601."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any

from clary.expressions.function import Function
from clary.expressions.functions import spark_casts
from clary.expressions.functions.arithmetic import whole
from clary.expressions.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    TIMESTAMP,
    TIMESTAMPTZ,
    VARCHAR,
    Type,
)
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SPACE = " \t\n\v\f\r"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED = re.compile(r"-?(?:inf|infinity|nan)", re.IGNORECASE)
_BASED = re.compile(r"0[xX]([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0[bB]([01]+(?:_[01]+)*)")
_PARTS = re.compile(
    rf"([+-]?)(?=\.?[0-9])({_DIGITS})?(?:\.({_DIGITS})?)?(?:[eE]([+-]?{_DIGITS})\.?)?"
)
_TRUTH = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "0"), False
)
_MOST_DIGITS = 400

_D = "[0-9]"
_YEAR = f"(?:{_D}{_D}{_D}[1-9]|{_D}{_D}[1-9]0|{_D}[1-9]00|[1-9]000)"
_DAY = rf"{_YEAR}-{_D}{{1,2}}-{_D}{{1,2}}"
_TIME = rf"[ T](?:[01]{_D}|2[0-3]):{_D}{_D}(?::{_D}{_D}(?:\.{_D}{{1,6}})?)?"
_HOURS = r"[+-](?:0[0-9]|1[0-4])"
_OFFSET = rf"(?:Z|{_HOURS}:?[0-5][0-9]|{_HOURS})"
_SHAPES = {
    DATE: rf"^{_DAY}$",
    TIMESTAMP: rf"^{_DAY}(?:{_TIME}Z?)?$",
    TIMESTAMPTZ: rf"^{_DAY}{_TIME}{_OFFSET}$",
}
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})"
    r"(?:\.([0-9]{1,6}))?)?)?(Z|[+-][0-9:]+)?"
)
_READ = {kind: re.compile(shape[:-1] + r"\Z") for kind, shape in _SHAPES.items()}


def _refuse(value: Any, kind: Type) -> InvalidInput:
    return InvalidInput("", f"{value!r} is not a {kind}")


def _text_to_double(text: str) -> float:
    word = text.strip(_SPACE).removeprefix("+")
    if _NUMBER.fullmatch(word) or _NAMED.fullmatch(word):
        return float(word)
    raise _refuse(text, DOUBLE)


def _text_to_bigint(text: str) -> int:
    word = text.strip(_SPACE)
    based = _BASED.fullmatch(word)
    if based:
        return whole(int(based[1], 16) if based[1] else int(based[2], 2))
    parts = _PARTS.fullmatch(word)
    if parts is None or len(word) > _MOST_DIGITS:
        raise _refuse(text, BIGINT)
    sign, digits, fraction, exponent = parts.groups("")
    value = _scaled(digits.replace("_", ""), fraction.replace("_", ""), int(exponent or 0))
    return whole(-value if sign == "-" else value)


def _scaled(digits: str, fraction: str, exponent: int) -> int:
    """Round digits.fraction · 10^exponent half up."""
    if abs(exponent) > _MOST_DIGITS:
        raise InvalidInput("", f"10 ** {exponent} does not fit into 64 bits")
    number = int((digits + fraction) or 0)
    shift = exponent - len(fraction)
    if shift >= 0:
        return int(number * 10**shift)
    scale = int(10**-shift)
    return (number + scale // 2) // scale


def _text_to_boolean(text: str) -> bool:
    value = _TRUTH.get(text.lower())
    if value is None:
        raise _refuse(text, BOOLEAN)
    return value


def _double_to_bigint(value: float) -> int:
    if not math.isfinite(value):
        raise _refuse(value, BIGINT)
    return whole(round(value))


def _boolean_to_text(value: bool) -> str:  # noqa: FBT001 - SQL's booleans
    return "true" if value else "false"


def _moment(text: str, kind: Type) -> dt.datetime:
    if not _READ[kind].match(text):
        raise _refuse(text, kind)
    *parts, fraction, offset = _MOMENT.fullmatch(text).groups()  # type: ignore[union-attr]  # the shape is the stricter one
    try:
        year, month, day, hour, minute, second = map(int, [part or 0 for part in parts])
        us = int((fraction or "").ljust(6, "0"))
        moment = dt.datetime(year, month, day, hour, minute, second, us)  # noqa: DTZ001 - the zone is applied below
        return moment - _offset(offset) if kind is TIMESTAMPTZ else moment
    except (ValueError, OverflowError):
        raise _refuse(text, kind) from None


def _offset(text: str) -> dt.timedelta:
    if text == "Z":
        return dt.timedelta()
    digits = text[1:].replace(":", "").ljust(4, "0")
    size = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if text[0] == "-" else size


def _text_to_date(text: str) -> dt.date:
    return _moment(text, DATE).date()


def _text_to_timestamp(text: str) -> dt.datetime:
    return _moment(text, TIMESTAMP)


def _text_to_timestamptz(text: str) -> dt.datetime:
    return _moment(text, TIMESTAMPTZ).replace(tzinfo=dt.UTC)


def midnight(day: dt.date) -> dt.datetime:
    """Return the moment a day begins."""
    return dt.datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a timestamp without a zone


def _timestamp_to_text(moment: dt.datetime) -> str:
    text = moment.isoformat(" ")
    return text.rstrip("0") if moment.microsecond else text


def _shape(kind: Type) -> Callable[[], Sequence[str]]:
    return lambda: (rf"\A{_SHAPES[kind][1:-1]}\z",)


_SPARK: dict[tuple[Type, Type], tuple[str | None, Callable[[], Sequence[str]] | None]] = {
    (DOUBLE, BIGINT): (spark_casts.DOUBLE_TO_BIGINT, None),
    (VARCHAR, BOOLEAN): (spark_casts.TEXT_TO_BOOLEAN, None),
    (VARCHAR, BIGINT): (spark_casts.TEXT_TO_BIGINT, spark_casts.whole_texts),
    (VARCHAR, DOUBLE): (spark_casts.TEXT_TO_DOUBLE, spark_casts.number_texts),
    (VARCHAR, DATE): (spark_casts.TEXT_TO_DATE, _shape(DATE)),
    (VARCHAR, TIMESTAMP): (spark_casts.TEXT_TO_TIMESTAMP, _shape(TIMESTAMP)),
    (VARCHAR, TIMESTAMPTZ): (spark_casts.TEXT_TO_TIMESTAMPTZ, _shape(TIMESTAMPTZ)),
}


def _cast(
    have: Type, want: Type, run: Callable[..., Any] | str, *, fails: bool = False
) -> Function:
    source = "{0}"
    if have is VARCHAR and want in _SHAPES:
        source = f"regexp_extract({{0}}, '{_SHAPES[want]}')"
    if have is VARCHAR and want is DOUBLE:
        source = "replace({0}, '_', '?')"
    text = f"CAST({source} AS {{T}})"
    if have is DOUBLE and want is VARCHAR:
        text = f"CASE WHEN isnan({source}) THEN 'nan' ELSE {text} END"
    spark, beside = _SPARK.get((have, want), (None if fails else text, None))
    if (have, want) in _SPARK:
        problem = f"'not a {want}: ' || CAST({{0}} AS STRING)"
        spark = f"CASE WHEN {{0}} IS NOT NULL THEN coalesce({spark}, raise_error({problem})) END"
    if have is DOUBLE and want is VARCHAR:
        spark = None
    return Function("cast", (have,), want, run, text, spark, beside, fails=fails)


FUNCTIONS = (
    _cast(BOOLEAN, BIGINT, int),
    _cast(BOOLEAN, DOUBLE, float),
    _cast(BOOLEAN, VARCHAR, _boolean_to_text),
    _cast(BIGINT, BOOLEAN, "{0} != 0"),
    _cast(BIGINT, DOUBLE, float),
    _cast(BIGINT, VARCHAR, str),
    _cast(DOUBLE, BOOLEAN, "{0} != 0.0"),
    _cast(DOUBLE, BIGINT, _double_to_bigint, fails=True),
    _cast(DOUBLE, VARCHAR, repr),
    _cast(VARCHAR, BOOLEAN, _text_to_boolean, fails=True),
    _cast(VARCHAR, BIGINT, _text_to_bigint, fails=True),
    _cast(VARCHAR, DOUBLE, _text_to_double, fails=True),
    _cast(VARCHAR, DATE, _text_to_date, fails=True),
    _cast(VARCHAR, TIMESTAMP, _text_to_timestamp, fails=True),
    _cast(VARCHAR, TIMESTAMPTZ, _text_to_timestamptz, fails=True),
    _cast(DATE, TIMESTAMP, midnight),
    _cast(DATE, VARCHAR, dt.date.isoformat),
    _cast(TIMESTAMP, DATE, dt.datetime.date),
    _cast(TIMESTAMP, VARCHAR, _timestamp_to_text),
)


def _trying(function: Function) -> Function:
    run = function.run

    def tried(value: Any) -> Any:
        if value is None:
            return None
        try:
            return run(value)  # type: ignore[operator]  # what can fail is a function
        except InvalidInput:
            return None

    return Function(
        "try_cast",
        function.takes,
        function.gives,
        tried,
        f"TRY_{function.sql}",
        _SPARK[(function.takes[0], function.gives)][0],
        function.beside,
        nulls="seen",
    )


TRIED = tuple(_trying(one) for one in FUNCTIONS if one.fails)
