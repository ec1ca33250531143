"""What schedules of the feature store do: write views down, audit what was logged, forget it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from clary.features.fact_audits import Sampled
from clary.features.fact_queries import Wanted
from clary.features.materialization import MATERIALIZATION
from clary.features.view_log import unversioned
from clary.features.views import VIEW
from clary.kernel.clock import now_us
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.features.fact_audits import Audits
    from clary.features.fact_queries import FactQueries
    from clary.features.materialization import Materializations
    from clary.features.schedules import Scheduled
    from clary.features.views import Views
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

MATERIALIZE, AUDIT, FORGET = "materialize", "audit", "forget"
_DAY_US, _MOST_DAYS = 86_400_000_000, 36_525
_LAG_US = 10_000_000
"""What was logged, or written, so long ago can be read."""


class _NoOptions(Struct, forbid_unknown_fields=True):
    pass


class _Age(Struct, forbid_unknown_fields=True):
    days: float


class MaterializeTask:
    """Writes a view down for the entities with changes since the last time that it was.

    Where the last time failed, since the time before; where it goes on, it is waited for. Without
    a version, it is the latest of each time, each from its beginning.

    Parameters
    ----------
    views, work
        The views, and what writes them down.
    """

    def __init__(self, views: Views, work: Materializations) -> None:
        self._views = views
        self._work = work

    def check(self, of: Ref, options: Mapping[str, Any]) -> None:
        """Refuse a view that cannot be written down; see ``Task``."""
        build(_NoOptions, dict(options))
        self._work.check(self._views.describe(of).ref)

    def run(self, of: Ref, scheduled: Scheduled) -> JsonObject:
        """Start it; see ``Task``."""
        view = self._views.describe(of).ref
        since_us = None
        before = self._before(view, scheduled.memory)
        if before is not None:
            status, body = before
            if status == "InProgress":
                return scheduled.memory
            since_us = body["since_us"]
            if status == "Completed":
                since_us = body["until_us"] - _LAG_US
        since = None if since_us is None else datetime.fromtimestamp(since_us / 1e6, UTC)
        started = self._work.start(view, since, actor=scheduled.actor)
        return {"started": started.ref.name, "version": view.version}

    def _before(self, view: Ref, memory: JsonObject) -> tuple[str, JsonObject] | None:
        """Give the last time's status and body; None where this version never was."""
        if memory.get("version") != view.version:
            return None
        try:
            found = self._work.describe(view.sibling(MATERIALIZATION, memory["started"]))
        except NotFound:
            return None
        return found.status, dict(found.body)


class AuditTask:
    """Audits what was logged since the last time, and measures what it finds.

    Parameters
    ----------
    views, audits
        The views, and what audits.
    """

    def __init__(self, views: Views, audits: Audits) -> None:
        self._views = views
        self._audits = audits

    def check(self, of: Ref, options: Mapping[str, Any]) -> None:
        """Refuse a view that there is not, and options; see ``Task``."""
        build(Sampled, dict(options)).check()
        if of.kind == VIEW:
            self._views.describe(of)

    def run(self, of: Ref, scheduled: Scheduled) -> JsonObject:
        """Audit; see ``Task``. Nothing logged is nothing found."""
        memory, until_us = scheduled.memory, now_us() - _LAG_US
        wanted = Wanted(start_us=memory.get("until_us", 0), end_us=until_us)
        how = structs.replace(build(Sampled, scheduled.options), seed=until_us)
        try:
            found = self._audits.run(of, wanted, how)
        except NotFound:
            return {**memory, "until_us": until_us, "facts": 0, "is_sound": True}
        self._audits.measure(of, found)
        return {
            "until_us": until_us,
            "facts": found.facts,
            "sampled": found.sampled,
            "is_sound": found.is_sound,
        }


class ForgetTask:
    """Removes what was logged longer ago than some ``days``, in whole files.

    Parameters
    ----------
    queries
        What was logged.
    """

    def __init__(self, queries: FactQueries) -> None:
        self._queries = queries

    def check(self, of: Ref, options: Mapping[str, Any]) -> None:  # noqa: ARG002 - port
        """Refuse what is no age; see ``Task``."""
        days = build(_Age, dict(options)).days
        if not 0 <= days <= _MOST_DAYS:
            raise InvalidInput("days", f"{days}", legal=f"0 to {_MOST_DAYS}")

    def run(self, of: Ref, scheduled: Scheduled) -> JsonObject:
        """Forget; see ``Task``."""
        days = build(_Age, scheduled.options).days
        return {"removed": self._queries.forget(unversioned(of), now_us() - int(days * _DAY_US))}
