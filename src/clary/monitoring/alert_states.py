"""A schedule's alert: in alert while so many of its last executions found violations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.kernel.resource import Query
from clary.monitoring.model import ENDED, EXECUTION, VIOLATED, execution, schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource

ALERT = "violations"
"""The name of the one alert that each schedule has."""
IN_ALERT, OK = "InAlert", "OK"
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """An alert has changed its state at a moment."""

    at: datetime
    status: str


def turns(ends: Iterable[Turn], *, datapoints: int, period: int) -> Iterator[Turn]:
    """Say when an alert changed its state, from OK on.

    Parameters
    ----------
    ends
        The ends of executions, the oldest first, in alert where they found violations.
    datapoints, period
        It is in alert while so many of the last so many did.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> ends = [
    ...     Turn(datetime(2026, 1, day, tzinfo=UTC), word)
    ...     for day, word in enumerate(["OK", "InAlert", "InAlert", "OK", "OK"], start=1)
    ... ]
    >>> [(turn.at.day, turn.status) for turn in turns(ends, datapoints=2, period=3)]
    [(3, 'InAlert'), (5, 'OK')]
    """
    last: list[bool] = []
    status = OK
    for end in ends:
        last = [*last, end.status == IN_ALERT][-period:]
        found = IN_ALERT if sum(last) >= datapoints else OK
        if found != status:
            status = found
            yield Turn(end.at, status)


def history(store: MetadataStore, found: Resource) -> Sequence[Turn]:
    """Say when the alert of a schedule changed, as far as its last 1,000 executions tell."""
    value = schedule(found)
    query = Query(EXECUTION, parent=found.ref, sort_by="created", limit=_MOST)
    ends = [
        Turn(one.modified_at, IN_ALERT if one.status == VIOLATED else OK)
        for one in reversed(store.select(query).items)
        if one.status in ENDED and execution(one).job is not None
    ]
    return list(turns(ends, datapoints=value.datapoints, period=value.period))
