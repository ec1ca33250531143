"""Time zones, of the years in which public tables agree."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

from clary.expressions.function import Function
from clary.expressions.functions.spark_texts import EPOCH_US, failing, from_us, let
from clary.expressions.types import TIMESTAMP, TIMESTAMPTZ, VARCHAR
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSETTLED = frozenset(
    {
        "Africa/Casablanca",
        "Africa/El_Aaiun",
        "America/Edmonton",
        "America/Ensenada",
        "America/Inuvik",
        "America/Rainy_River",
        "America/Santa_Isabel",
        "America/Tijuana",
        "America/Vancouver",
        "America/Winnipeg",
        "America/Yellowknife",
        "Canada/Central",
        "Canada/Mountain",
        "Canada/Pacific",
        "EET",
        "Europe/Chisinau",
        "Europe/Tiraspol",
        "Mexico/BajaNorte",
        "WET",
        "localtime",
    }
)
"""Time zones whose rules change from one edition of the public table to the next."""
_ZONED_FROM, _ZONED_TO = dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1)  # noqa: DTZ001 - timestamps have no zone


def _zone(name: str) -> zoneinfo.ZoneInfo:
    if name in _UNSETTLED:
        raise InvalidInput("time zone", f"{name!r} has rules on which public tables differ")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("time zone", f"{name!r} is unknown", legal="as Europe/Berlin") from None


def _within(moment: dt.datetime) -> dt.datetime:
    if _ZONED_FROM <= moment.replace(tzinfo=None) < _ZONED_TO:
        return moment
    raise InvalidInput("", f"{moment} is outside of 1971 to 2099, where time zones are known")


def _local(name: str) -> Callable[[dt.datetime], dt.datetime]:
    zone = _zone(name)
    return lambda moment: _within(moment).astimezone(zone).replace(tzinfo=None, fold=0)


def _absolute(name: str) -> Callable[[dt.datetime], dt.datetime]:
    """Read local times: what a clock shows twice is the later, what it skips goes on as before."""
    zone = _zone(name)

    def absolute(moment: dt.datetime) -> dt.datetime:
        local = _within(moment).replace(tzinfo=zone)
        offsets = (local.utcoffset(), local.replace(fold=1).utcoffset())
        return (moment - min(one for one in offsets if one is not None)).replace(tzinfo=dt.UTC)

    return absolute


_LOCAL = let(
    failing(
        "year(v.t) NOT BETWEEN 1971 AND 2099",
        "convert_timezone('UTC', v.z, v.t)",
        "out of 1971 to 2099",
    ),
    z="{0}",
    t=from_us("unix_micros({1})"),
)


def _zones() -> tuple[Function, ...]:
    ways = ((TIMESTAMPTZ, TIMESTAMP, _local, "+00"), (TIMESTAMP, TIMESTAMPTZ, _absolute, ""))
    return tuple(
        Function(
            "timezone",
            (VARCHAR, have),
            want,
            run,
            f"CASE WHEN {{1}} NOT BETWEEN {have.duckdb} '1971-01-01 00:00:00{offset}' "
            f"AND {have.duckdb} '2099-12-31 23:59:59.999999{offset}' "
            f"THEN CAST('out of 1971 to 2099' AS {want.duckdb}) ELSE timezone({{0}}, {{1}}) END",
            _LOCAL if have is TIMESTAMPTZ else None,
            constants=(0,),
            check=_zone,
            fails=True,
        )
        for have, want, run, offset in ways
    )


def _to_utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)


def _from_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


_UTC = "timezone('UTC', {0})"
FUNCTIONS = (
    Function("in utc", (TIMESTAMPTZ,), TIMESTAMP, _from_utc, _UTC, from_us("unix_micros({0})")),
    Function("in utc", (TIMESTAMP,), TIMESTAMPTZ, _to_utc, _UTC, f"timestamp_micros({EPOCH_US})"),
    *_zones(),
)
