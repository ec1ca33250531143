"""Dates and timestamps of the years 1 to 9999."""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from typing import TYPE_CHECKING

from clary.expressions.function import Function
from clary.expressions.functions.spark_texts import EPOCH_US, failing, from_us, let
from clary.expressions.types import BIGINT, DATE, DOUBLE, TIMESTAMP, TIMESTAMPTZ, VARCHAR, Type
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - timestamps have no zone
_EPOCH_UTC = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
_UNITS = {
    "second": dt.timedelta(seconds=1),
    "minute": dt.timedelta(minutes=1),
    "hour": dt.timedelta(hours=1),
    "day": dt.timedelta(days=1),
    "week": dt.timedelta(weeks=1),
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def _outside(value: object) -> InvalidInput:
    return InvalidInput("", f"{value} leaves the years 1 to 9999")


def epoch_us(moment: dt.datetime) -> int:
    """Count microseconds since 1970."""
    return (moment - (_EPOCH if moment.tzinfo is None else _EPOCH_UTC)) // _MICROSECOND


def _epoch(moment: dt.datetime) -> float:
    return epoch_us(moment) / 1e6


def _epoch_ms(moment: dt.datetime) -> int:
    count = epoch_us(moment)
    size = (abs(count) + 500) // 1000
    return size if count >= 0 else -size


def _week(day: dt.date) -> int:
    return day.isocalendar().week


def _day_of_year(day: dt.date) -> int:
    return day.timetuple().tm_yday


def _last_day(day: dt.date) -> dt.date:
    return dt.date(day.year, day.month, monthrange(day.year, day.month)[1])


def _truncate(unit: str) -> Callable[[dt.datetime], dt.datetime]:
    if unit in _MONTHS:
        months = _MONTHS[unit]
        return lambda moment: dt.datetime(  # noqa: DTZ001 - timestamps have no zone
            moment.year, (moment.month - 1) // months * months + 1, 1
        )
    length, start = _UNITS[unit], dt.datetime(1, 1, 1)  # noqa: DTZ001 - a Monday, in no zone
    return lambda moment: moment - (moment - start) % length


def _difference(unit: str) -> Callable[[dt.datetime, dt.datetime], int]:
    if unit in _MONTHS:
        months = _MONTHS[unit]

        def count(moment: dt.datetime) -> int:
            return (moment.year * 12 + moment.month - 1) // months

        return lambda early, late: count(late) - count(early)
    length, truncate = _UNITS[unit], _truncate(unit)
    return lambda early, late: (truncate(late) - truncate(early)) // length


def _unit(unit: str) -> None:
    if unit not in _UNITS and unit not in _MONTHS:
        raise InvalidInput("unit", repr(unit), legal=", ".join([*_UNITS, *_MONTHS]))


def _unit_between(unit: str) -> None:
    _unit(unit)
    if unit == "week":
        raise InvalidInput("unit", "weeks between two dates", hint="count days, and divide")


def _plus_days(day: dt.date, count: int) -> dt.date:
    try:
        return day + dt.timedelta(days=count)
    except OverflowError:
        raise _outside(f"{day} + {count} days") from None


def _minus_days(day: dt.date, count: int) -> dt.date:
    return _plus_days(day, -count)


def _days_between(late: dt.date, early: dt.date) -> int:
    return (late - early).days


def _shift(unit: str, count: int) -> Callable[[dt.datetime], dt.datetime]:
    if unit in _MONTHS:
        return _shift_months(count * _MONTHS[unit])

    def shift(moment: dt.datetime) -> dt.datetime:
        try:
            return moment + count * _UNITS[unit]
        except OverflowError:
            raise _outside(f"{moment} + {count} {unit}") from None

    return shift


def _shift_months(count: int) -> Callable[[dt.datetime], dt.datetime]:
    def shift(moment: dt.datetime) -> dt.datetime:
        year, month = divmod(moment.year * 12 + moment.month - 1 + count, 12)
        if not dt.MINYEAR <= year <= dt.MAXYEAR:
            raise _outside(f"{moment} + {count} months")
        day = min(moment.day, monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)

    return shift


def _from_us(count: int) -> dt.datetime:
    if not _FIRST_US <= count <= _LAST_US:
        raise _outside(f"{count} µs")
    return _EPOCH + dt.timedelta(microseconds=count)


def _bounded(text: str, kind: Type) -> str:
    """Fail where a value leaves the years that Python knows."""
    first, last = ("0001-01-01", "9999-12-31")
    if kind is not DATE:
        first, last = f"{first} 00:00:00", f"{last} 23:59:59.999999"
    return (
        f"CASE WHEN ({text}) NOT BETWEEN {kind.duckdb} '{first}' AND {kind.duckdb} '{last}' "
        f"THEN CAST('out of the years 1 to 9999' AS {kind.duckdb}) ELSE {text} END"
    )


_FRACTIONS = {
    name: f"CAST(extract(SECOND FROM {{0}}) * {count} AS BIGINT)"
    for name, count in (("millisecond", 1_000), ("microsecond", 1_000_000))
}


def _parts() -> tuple[Function, ...]:
    days: dict[str, Callable[[dt.date], int] | str] = {
        "year": "{0}.year",
        "month": "{0}.month",
        "day": "{0}.day",
        "quarter": "({0}.month + 2) // 3",
        "dayofweek": "{0}.isoweekday() % 7",
        "isodow": "{0}.isoweekday()",
        "dayofyear": _day_of_year,
        "week": _week,
    }
    spark = {
        "dayofweek": "CAST(dayofweek({0}) - 1 AS BIGINT)",
        "isodow": "CAST(weekday({0}) + 1 AS BIGINT)",
        "week": "CAST(weekofyear({0}) AS BIGINT)",
    }
    times = {
        "hour": "{0}.hour",
        "minute": "{0}.minute",
        "second": "{0}.second",
        "millisecond": "{0}.second * 1000 + {0}.microsecond // 1000",
        "microsecond": "{0}.second * 1000000 + {0}.microsecond",
    }
    return (
        *(
            Function(
                name, (kind,), BIGINT, run, "", spark.get(name, f"CAST({name}({{0}}) AS BIGINT)")
            )
            for name, run in days.items()
            for kind in (DATE, TIMESTAMP)
        ),
        *(
            Function(
                name,
                (TIMESTAMP,),
                BIGINT,
                run,
                "",
                _FRACTIONS.get(name, f"CAST({name}({{0}}) AS BIGINT)"),
            )
            for name, run in times.items()
        ),
    )


def _epochs() -> tuple[Function, ...]:
    return tuple(
        Function(name, (kind,), gives, run, f"{name}({source})", spark.format(us=us))
        for kind, source, us in (
            (TIMESTAMP, "{0}", EPOCH_US),
            (TIMESTAMPTZ, "timezone('UTC', {0})", "unix_micros({0})"),
        )
        for name, gives, run, spark in (
            ("epoch", DOUBLE, _epoch, "CAST({us} AS DOUBLE) / 1000000D"),
            ("epoch_ms", BIGINT, _epoch_ms, "CAST(round({us} / 1000.0BD) AS BIGINT)"),
            ("epoch_us", BIGINT, epoch_us, "{us}"),
        )
    )


_INTERVALS = {
    "second": "make_dt_interval(0, 0, 0, CAST({1} AS DECIMAL(18, 6)))",
    "minute": "make_dt_interval(0, 0, CAST({1} AS INT), 0)",
    "hour": "make_dt_interval(0, CAST({1} AS INT), 0, 0)",
    "day": "make_dt_interval(CAST({1} AS INT), 0, 0, 0)",
    "week": "make_dt_interval(CAST({1} * 7 AS INT), 0, 0, 0)",
    "month": "make_ym_interval(0, CAST({1} AS INT))",
    "quarter": "make_ym_interval(0, CAST({1} * 3 AS INT))",
    "year": "make_ym_interval(CAST({1} AS INT), 0)",
}
_OUTSIDE = "year(v.t) NOT BETWEEN 1 AND 9999"
_SPARK_BOUNDED = let(failing(_OUTSIDE, "v.t", "out of the years 1 to 9999"), t="%s")


def _shifts() -> tuple[Function, ...]:
    words = {unit: f"to_{unit}s" for unit in (*_UNITS, *_MONTHS)}
    return tuple(
        Function(
            f"add {unit}",
            (TIMESTAMP, BIGINT),
            TIMESTAMP,
            lambda count, unit=unit: _shift(unit, count),
            _bounded(f"{{0}} + {word}(CAST({{1}} AS INTEGER))", TIMESTAMP),
            _SPARK_BOUNDED % f"{{0}} + {_INTERVALS[unit]}",
            constants=(1,),
            fails=True,
        )
        for unit, word in words.items()
    )


def _lengths(unit: str) -> tuple[int, int]:
    """Give the months of a unit, 0 if it has none, and its microseconds, 1 if it has months."""
    if unit in _MONTHS:
        return _MONTHS[unit], 1
    return 0, _UNITS[unit] // _MICROSECOND


def _counted(place: int, text: str) -> str:
    """Write how many whole units there were before a moment."""
    return text.replace("{0}", f"{{{place}}}")


_FLOOR_MONTHS = "(year({0}) * CAST(12 AS BIGINT) + month({0}) - 1) DIV greatest({3}, 1)"
_MONTHS_BETWEEN = f"({_counted(2, _FLOOR_MONTHS)} - {_counted(1, _FLOOR_MONTHS)})"
_FLOOR_TIME = f"({EPOCH_US} - pmod({EPOCH_US}, {{4}})) DIV {{4}}"
_TIME_BETWEEN = f"({_counted(2, _FLOOR_TIME)} - {_counted(1, _FLOOR_TIME)})"
_SPARK_DAYS = (
    "date_add({0}, CAST(%sCASE WHEN {1} BETWEEN -4000000 AND 4000000 THEN {1} "
    "WHEN {1} IS NOT NULL THEN 8000000 END AS INT))"
)
_DAYS = (
    "CASE WHEN {1} BETWEEN -4000000 AND 4000000 THEN CAST({1} AS INTEGER) "
    "WHEN {1} IS NOT NULL THEN 8000000 END"
)
FUNCTIONS = (
    *_parts(),
    *_epochs(),
    *_shifts(),
    Function("last_day", (DATE,), DATE, _last_day),
    Function(
        "date_trunc",
        (VARCHAR, TIMESTAMP),
        TIMESTAMP,
        _truncate,
        spark="CAST(date_trunc({*}) AS TIMESTAMP_NTZ)",
        constants=(0,),
        check=_unit,
    ),
    *(
        Function(
            name,
            (VARCHAR, TIMESTAMP, TIMESTAMP),
            BIGINT,
            _difference,
            "date_diff({*})",
            f"CASE WHEN {{3}} > 0 THEN {_MONTHS_BETWEEN} ELSE {_TIME_BETWEEN} END",
            _lengths,
            constants=(0,),
            check=_unit_between,
        )
        for name in ("date_diff", "datediff")
    ),
    Function(
        "+",
        (DATE, BIGINT),
        DATE,
        _plus_days,
        _bounded(f"{{0}} + {_DAYS}", DATE),
        _SPARK_BOUNDED % (_SPARK_DAYS % ""),
        fails=True,
    ),
    Function(
        "-",
        (DATE, BIGINT),
        DATE,
        _minus_days,
        _bounded(f"{{0}} - {_DAYS}", DATE),
        _SPARK_BOUNDED % (_SPARK_DAYS % "-"),
        fails=True,
    ),
    Function(
        "-", (DATE, DATE), BIGINT, _days_between, "{0} - {1}", "CAST(datediff({*}) AS BIGINT)"
    ),
    Function(
        "make_timestamp",
        (BIGINT,),
        TIMESTAMP,
        _from_us,
        _bounded("make_timestamp({0})", TIMESTAMP),
        failing(
            f"{{0}} NOT BETWEEN {_FIRST_US} AND {_LAST_US}",
            from_us("{0}"),
            "out of the years 1 to 9999",
        ),
        fails=True,
    ),
)
