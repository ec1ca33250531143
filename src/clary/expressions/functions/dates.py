"""Dates and timestamps of the years 1 to 9999."""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from typing import TYPE_CHECKING

from clary.expressions.function import Function
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
                f"CAST({name}({{0}}) AS BIGINT)" if len(name) < 7 else None,
            )
            for name, run in times.items()
        ),
    )


def _epochs() -> tuple[Function, ...]:
    return tuple(
        Function(name, (kind,), gives, run, f"{name}({source})", None)
        for kind, source in ((TIMESTAMP, "{0}"), (TIMESTAMPTZ, "timezone('UTC', {0})"))
        for name, gives, run in (
            ("epoch", DOUBLE, _epoch),
            ("epoch_ms", BIGINT, _epoch_ms),
            ("epoch_us", BIGINT, epoch_us),
        )
    )


def _shifts() -> tuple[Function, ...]:
    words = {unit: f"to_{unit}s" for unit in (*_UNITS, *_MONTHS)}
    return tuple(
        Function(
            f"add {unit}",
            (TIMESTAMP, BIGINT),
            TIMESTAMP,
            lambda count, unit=unit: _shift(unit, count),
            _bounded(f"{{0}} + {word}(CAST({{1}} AS INTEGER))", TIMESTAMP),
            None,
            constants=(1,),
            fails=True,
        )
        for unit, word in words.items()
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
            None,
            constants=(0,),
            check=_unit_between,
        )
        for name in ("date_diff", "datediff")
    ),
    Function(
        "+", (DATE, BIGINT), DATE, _plus_days, _bounded(f"{{0}} + {_DAYS}", DATE), None, fails=True
    ),
    Function(
        "-", (DATE, BIGINT), DATE, _minus_days, _bounded(f"{{0}} - {_DAYS}", DATE), None, fails=True
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
        None,
        fails=True,
    ),
)
