"""Which stretch of time an execution looks at, and what lies in it by the time in its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clary.kernel.errors import InvalidInput
from clary.pipelines.cache import duration

SPAN = timedelta(minutes=1)
"""So long an object of captures may go on after the moment that its name says."""
_HOUR = timedelta(hours=1)
LONGEST = timedelta(days=366)
"""No window is longer."""
_FARTHEST = timedelta(days=3660)
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_FOLDERS = re.compile(r"(?:^|/)(\d{4}/\d{2}/\d{2}/\d{2})/(?:(\d{2})-(\d{2})(?:-(\d{3}))?-)?[^/]*$")


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` on, before ``end``; both in UTC."""

    start: datetime
    end: datetime

    def meets(self, other: Window) -> bool:
        """Say whether the two have a moment in common."""
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        """Say from when to when."""
        return f"{text(self.start)} to {text(self.end)}"


def window(start: datetime, end: datetime, *, field: str) -> Window:
    """Make a window.

    Raises
    ------
    InvalidInput
        It ends before it starts, or is longer than a year; names ``field``.
    """
    found = Window(start.astimezone(UTC), end.astimezone(UTC))
    if not timedelta(0) < found.end - found.start <= LONGEST:
        raise InvalidInput(field, f"{found} is no window", legal="a start before its end, ≤ 1 year")
    return found


def offset(given: str, *, field: str) -> timedelta:
    """Read an offset: an ISO 8601 duration with a sign.

    Raises
    ------
    InvalidInput
        It is none; names ``field``.

    Examples
    --------
    >>> offset("-PT1H", field="StartTimeOffset").total_seconds()
    -3600.0
    """
    try:
        found = duration(given.lstrip("+-"))
    except (ValueError, OverflowError):
        found = LONGEST + _FARTHEST
    if found > _FARTHEST:
        legal = "like -PT1H or -P1D, at most ten years"
        raise InvalidInput(field, f"{given!r:.60} is no offset", legal=legal)
    return -found if given.startswith("-") else found


def moment(given: str, at: datetime, *, field: str) -> datetime:
    """Read a moment: an offset from ``at``, or an ISO 8601 date and time (UTC where it says none).

    Raises
    ------
    InvalidInput
        It is neither; names ``field``.
    """
    if "P" in given[:2].upper():
        return at + offset(given, field=field)
    try:
        named = datetime.fromisoformat(given)
        found = (named if named.tzinfo else named.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None or found < _EARLIEST:
        legal = "an offset like -PT1H, or 2026-01-31T09:00:00Z"
        raise InvalidInput(field, f"{given!r:.60} is no moment", legal=legal)
    return found


def covered(key: str) -> Window | None:
    """Read from an object's key when what is in it was written; None: it does not say.

    ``…/yyyy/mm/dd/hh/MM-SS-mmm-….jsonl`` says when that began, which went on for ``SPAN`` at most;
    any other name in such a folder stands for the whole hour.

    Examples
    --------
    >>> str(covered("c/e/AllTraffic/2026/01/31/09/05-07-250-1b2c.jsonl"))
    '2026-01-31T09:05:07.250Z to 2026-01-31T09:06:07.250Z'
    >>> str(covered("labels/2026/01/31/09/labels.jsonl"))
    '2026-01-31T09:00:00Z to 2026-01-31T10:00:00Z'
    """
    match = _FOLDERS.search(key)
    if match is None:
        return None
    folder, minute, second, millisecond = match.groups()
    try:
        hour = datetime.strptime(folder, "%Y/%m/%d/%H").replace(tzinfo=UTC)
        if minute is None:
            return Window(hour, hour + _HOUR)
        start = hour.replace(
            minute=int(minute), second=int(second), microsecond=int(millisecond or 0) * 1000
        )
    except (ValueError, OverflowError):
        return None
    return Window(start, start + SPAN)


def text(at: datetime) -> str:
    """Write a moment as jobs are told it: ``2026-01-31T09:00:00Z``.

    Examples
    --------
    >>> text(datetime(2026, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC))
    '2026-01-31T09:00:00.250Z'
    """
    utc = at.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds' if utc.microsecond else 'seconds')[:-6]}Z"
