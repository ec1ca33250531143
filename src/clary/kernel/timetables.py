"""When something is due: ``rate(1 day)``, ``cron(0 8 ? * MON-FRI *)``, ``at(<moment>)``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clary.kernel.cron import FIELD, parse_cron
from clary.kernel.errors import InvalidInput

_CALL = re.compile(r"(rate|cron|at)\((.*)\)")
_RATE = re.compile(r"([0-9]{1,6}) +(minute|hour|day)s?")
_LEGAL = "rate(<number> minutes|hours|days), cron(<six fields>) or at(yyyy-mm-ddThh:mm:ss)"
_INSTANT = timedelta(microseconds=1)


class Timetable(Protocol):
    """A series of moments, in UTC."""

    def after(self, moment: datetime) -> datetime | None:
        """Find the first occurrence after a moment; None when there is none any more."""

    def before(self, moment: datetime) -> datetime | None:
        """Find the last occurrence at or before a moment; None when there was none yet."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At ``anchor`` and every ``interval`` from then on."""

    anchor: datetime
    interval: timedelta

    def after(self, moment: datetime) -> datetime:
        """Find the first occurrence after a moment."""
        if moment < self.anchor:
            return self.anchor
        return self.anchor + ((moment - self.anchor) // self.interval + 1) * self.interval

    def before(self, moment: datetime) -> datetime | None:
        """Find the last occurrence at or before a moment; None when there was none yet."""
        if moment < self.anchor:
            return None
        return self.anchor + (moment - self.anchor) // self.interval * self.interval


@dataclass(frozen=True, slots=True)
class Once:
    """At one moment."""

    at: datetime

    def after(self, moment: datetime) -> datetime | None:
        """Find the occurrence, if it is still to come."""
        return self.at if moment < self.at else None

    def before(self, moment: datetime) -> datetime | None:
        """Find the occurrence, if it has been."""
        return self.at if self.at <= moment else None


@dataclass(frozen=True, slots=True)
class Between:
    """The occurrences of another timetable that lie between two moments, inclusive."""

    inner: Timetable
    start: datetime | None = None
    end: datetime | None = None

    def after(self, moment: datetime) -> datetime | None:
        """Find the first occurrence after a moment; None when there is none any more."""
        if self.start is not None:
            moment = max(moment, self.start - _INSTANT)
        found = self.inner.after(moment)
        return None if found is None or (self.end is not None and found > self.end) else found

    def before(self, moment: datetime) -> datetime | None:
        """Find the last occurrence at or before a moment; None when there was none yet."""
        if self.end is not None:
            moment = min(moment, self.end)
        found = self.inner.before(moment)
        early = found is None or (self.start is not None and found < self.start)
        return None if early else found


def parse_timetable(
    text: str,
    *,
    zone: str = "UTC",
    anchor: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Timetable:
    """Read a schedule expression.

    Parameters
    ----------
    zone
        The time zone of cron and at, by its name: ``Europe/Berlin``.
    anchor
        When a rate begins.
    start, end
        Between which it holds; one-time schedules do not mind them.

    Raises
    ------
    InvalidInput
        It is none, or there is no such time zone.

    Examples
    --------
    >>> noon = datetime(2030, 1, 31, 12, tzinfo=UTC)
    >>> parse_timetable("cron(0 8 L * ? *)", anchor=noon).after(noon).isoformat()
    '2030-02-28T08:00:00+00:00'
    """
    where = _zone(zone)
    if start is not None and end is not None and end <= start:
        raise InvalidInput("EndDate", f"{end.isoformat()} is not after the start date")
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(FIELD, f"{text!r:.256}", legal=_LEGAL)
    kind, inside = match.groups()
    if kind == "at":
        return Once(_moment(inside, where))
    inner = parse_cron(inside, where) if kind == "cron" else Rate(anchor, _interval(inside))
    return Between(inner, start, end)


def _zone(name: str) -> tzinfo:
    if name in ("UTC", "Etc/UTC"):
        return UTC  # which a machine without the tz database knows too
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        legal = "a name of the tz database, like Europe/Berlin"
        hint = "the database is in the package tzdata of the system or of Python"
        field = "ScheduleExpressionTimezone"
        raise InvalidInput(field, f"{name!r:.60}", legal=legal, hint=hint) from None


def _moment(text: str, zone: tzinfo) -> datetime:
    try:
        local = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        legal = "at(yyyy-mm-ddThh:mm:ss)"
        raise InvalidInput(FIELD, f"at({text:.60}) is no moment", legal=legal) from None


def _interval(text: str) -> timedelta:
    match = _RATE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        legal = "rate(<number> minutes|hours|days)"
        raise InvalidInput(FIELD, f"rate({text:.60})", legal=legal)
    return timedelta(**{f"{match[2]}s": int(match[1])})
