"""Cron expressions as EventBridge has them: minutes hours days months weekdays years.

Days count from 1, weekdays from 1 (Sunday) to 7; one of the two is ``?``. Beside numbers, names,
lists, ranges and steps there are ``L`` (the last day, or with a weekday the last of the month),
``W`` (the weekday nearest to a day, in its month) and ``#`` (the nth such weekday of the month).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    Rule = Callable[[date], bool]

FIELD = "ScheduleExpression"
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {
    name: number
    for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)
}
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/([0-9]{1,4}))?")
_NEAREST = re.compile(r"([0-9]{1,2})W")
_LAST_WEEKDAY = re.compile(r"(\w+)L")
_NTH_WEEKDAY = re.compile(r"(\w+)#([1-5])")


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression, in a time zone.

    A local time that a clock change skips is left out; one that it repeats comes once, the first
    time.

    Parameters
    ----------
    minutes, hours, months, years
        What they may be, ascending.
    days
        What a day may be: one of these rules has to hold.
    zone
        Where the clock hangs.
    """

    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[Rule]
    months: Sequence[int]
    years: Sequence[int]
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        """Find the first occurrence after a moment; None when there is none any more."""
        first = moment.astimezone(self.zone).date() - timedelta(days=1)
        for day in self._days(first, forwards=True):
            for at in self._times(day):
                if at > moment:
                    return at
        return None

    def before(self, moment: datetime) -> datetime | None:
        """Find the last occurrence at or before a moment; None when there was none yet."""
        last = moment.astimezone(self.zone).date() + timedelta(days=1)
        for day in self._days(last, forwards=False):
            for at in reversed(list(self._times(day))):
                if at <= moment:
                    return at
        return None

    def _days(self, start: date, *, forwards: bool) -> Iterator[date]:
        """Yield the days that match, from ``start`` on, in the asked direction."""
        order = 1 if forwards else -1
        for year in self.years[::order]:
            if (year - start.year) * order < 0:
                continue
            for month in self.months[::order]:
                last = calendar.monthrange(year, month)[1]
                for number in range(1, last + 1)[::order]:
                    day = date(year, month, number)
                    if (day - start).days * order >= 0 and any(rule(day) for rule in self.days):
                        yield day

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                at = local.astimezone(UTC)
                if at.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield at


def parse_cron(text: str, zone: tzinfo) -> Cron:
    """Read the six fields of an expression.

    Raises
    ------
    InvalidInput
        A field is none, or out of its bounds; names it, and what is legal.
    """
    fields = text.split()
    if len(fields) != 6:
        legal = "minutes hours day-of-month month day-of-week year"
        raise InvalidInput(FIELD, f"cron({text}) has {len(fields)} fields", legal=legal)
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        problem = f"cron({text}): day-of-month and day-of-week"
        raise InvalidInput(FIELD, problem, legal="exactly one of the two is ?")
    rules = _month_days(days) if weekdays == "?" else _week_days(weekdays)
    return Cron(
        minutes=_numbers(minutes, "minutes", range(60)),
        hours=_numbers(hours, "hours", range(24)),
        days=rules,
        months=_numbers(months, "month", range(1, 13), _MONTHS),
        years=_numbers(years, "year", range(_FIRST_YEAR, _LAST_YEAR + 1)),
        zone=zone,
    )


def _numbers(
    text: str, name: str, legal: range, words: dict[str, int] | None = None
) -> Sequence[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _wrong(name, part, legal)
        start, end, step = match.groups()
        first = legal.start if start == "*" else _number(start, name, legal, words or {})
        last = legal.stop - 1 if start == "*" or (step and not end) else first
        if end:
            last = _number(end, name, legal, words or {})
        if (start == "*" and end) or last < first or step == "0" * len(step or "x"):
            raise _wrong(name, part, legal)
        found.update(range(first, last + 1, int(step or 1)))
    return sorted(found)


def _number(text: str, name: str, legal: range, words: dict[str, int]) -> int:
    number = words.get(text.upper(), int(text) if text.isascii() and text.isdigit() else -1)
    if number not in legal:
        raise _wrong(name, text, legal)
    return number


def _wrong(name: str, part: str, legal: range) -> InvalidInput:
    return InvalidInput(
        FIELD, f"{part!r:.40} in the field {name}", legal=f"{legal.start} to {legal.stop - 1}"
    )


def _month_days(text: str) -> Sequence[Rule]:
    legal = range(1, 32)
    rules: list[Rule] = []
    plain: list[str] = []
    for part in text.upper().split(","):
        if part == "L":
            rules.append(lambda day: day.day == _length(day))
        elif part == "LW":
            rules.append(lambda day: day == _nearest(day, _length(day)))
        elif match := _NEAREST.fullmatch(part):
            rules.append(partial(_is_nearest, _number(match[1], "day-of-month", legal, {})))
        else:
            plain.append(part)
    if plain:
        numbers = frozenset(_numbers(",".join(plain), "day-of-month", legal))
        rules.append(lambda day: day.day in numbers)
    return rules


def _week_days(text: str) -> Sequence[Rule]:
    legal = range(1, 8)
    rules: list[Rule] = []
    plain: list[str] = []
    for part in text.upper().split(","):
        if part == "L":
            plain.append("7")
        elif match := _LAST_WEEKDAY.fullmatch(part):
            weekday = _number(match[1], "day-of-week", legal, _WEEKDAYS)
            rules.append(partial(_is_last_weekday, weekday))
        elif match := _NTH_WEEKDAY.fullmatch(part):
            weekday = _number(match[1], "day-of-week", legal, _WEEKDAYS)
            rules.append(partial(_is_nth_weekday, weekday, int(match[2])))
        else:
            plain.append(part)
    if plain:
        numbers = frozenset(_numbers(",".join(plain), "day-of-week", legal, _WEEKDAYS))
        rules.append(lambda day: _weekday(day) in numbers)
    return rules


def _is_nearest(wanted: int, day: date) -> bool:
    return day == _nearest(day, wanted)


def _is_last_weekday(weekday: int, day: date) -> bool:
    return _weekday(day) == weekday and day.day + 7 > _length(day)


def _is_nth_weekday(weekday: int, nth: int, day: date) -> bool:
    return _weekday(day) == weekday and (day.day + 6) // 7 == nth


def _weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest(day: date, wanted: int) -> date | None:
    """Find the weekday nearest to a day of the month of ``day``, without leaving the month."""
    if wanted > _length(day):
        return None
    target = day.replace(day=wanted)
    if target.isoweekday() == 6:
        return target + timedelta(days=-1 if wanted > 1 else 2)
    if target.isoweekday() == 7:
        return target + timedelta(days=1 if wanted < _length(day) else -2)
    return target
