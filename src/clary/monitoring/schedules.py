"""Monitoring schedules: at known times, or when asked, each makes an execution, one at a time.

A schedule is due in the work queue at its next occurrence. It advances, and makes the execution,
in one transaction; the execution's end wakes it. What was missed while nobody ran is made up for,
one after the other, up to ``MOST_MISSED``.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from clary.kernel.clock import now
from clary.kernel.errors import Conflict, InvalidInput
from clary.kernel.resource import Event, Link, Resource, existing
from clary.kernel.timetables import Timetable, parse_timetable
from clary.monitoring import requests
from clary.monitoring.channels import FINDINGS
from clary.monitoring.definitions import named
from clary.monitoring.model import (
    ENDED,
    EXECUTION,
    SCHEDULE,
    Execution,
    Schedule,
    body,
    definition_ref,
    schedule,
)
from clary.monitoring.windows import LONGEST, Window, moment, window

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page, Query
    from clary.monitoring.definitions import Definitions
    from clary.monitoring.requests import ScheduleConfig, Times

NOW = "NOW"
MOST_MISSED = 24
"""So many missed occurrences are made up for; older ones are left out."""
SETTLING = timedelta(seconds=15)
"""So long after its time an occurrence begins, because captures become objects in 10 seconds."""
_INSTANT = timedelta(microseconds=1)
_FIELD = "MonitoringScheduleConfig"
_HOURLY = timedelta(hours=1)
_LONGEST_PERIOD = 100


class MonitoringSchedules:
    """The verbs of schedules; ``run`` is the worker's handler.

    Parameters
    ----------
    store
        Where they are.
    definitions
        Checks what they run.
    settling
        How long after its time an occurrence begins.
    """

    def __init__(
        self, store: MetadataStore, definitions: Definitions, *, settling: timedelta = SETTLING
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._settling = settling

    def create(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make a schedule; one for ``NOW`` runs at once, once.

        Raises
        ------
        InvalidInput
            Its expression, its window or what it runs are not legal.
        NotFound
            Its job definition or endpoint does not exist.
        AlreadyExists
            There is a schedule of this name.
        """
        at = now()
        value = self._value(ref, request, actor, at)
        with self._store.begin() as change:
            made = change.insert(
                Resource(ref, body(value), at, at, "Scheduled"), due=_timed(value) is not None
            )
            change.tag(ref, dict(tags or {}))
            change.append(Event(at, actor, f"{SCHEDULE}.created", ref))
            if _timed(value) is None:
                self._execute(change, made, value, at, actor=actor)
        return made

    def update(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Replace the configuration of a schedule; see ``create``. Raises NotFound."""
        at = now()
        with self._store.begin() as change:
            found = existing(change.get, ref)
            before = schedule(found)
            config = {_FIELD: _merged(before.request[_FIELD], request[_FIELD])}
            value = structs.replace(
                self._value(ref, {**before.request, **config}, before.actor, at),
                uid=before.uid,
                last=before.last,
                datapoints=before.datapoints,
                period=before.period,
                alert_changed_at=before.alert_changed_at,
            )
            made = change.update(replace(found, body=body(value)))
            change.append(Event(at, actor, f"{SCHEDULE}.updated", ref))
            change.wake(ref)
        return made

    def get(self, ref: Ref) -> Resource:
        """Read a schedule. Raises NotFound."""
        return existing(self._store.get, ref)

    def list(self, query: Query) -> Page:
        """List schedules or executions."""
        return self._store.select(query)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a schedule, and what it found that lasts; its executions stay. Raises NotFound."""
        with self._store.begin() as change:
            change.delete(ref)
            findings = ref.sibling(FINDINGS, ref.name)
            if change.get(findings) is not None:
                change.delete(findings)
            change.append(Event(now(), actor, f"{SCHEDULE}.deleted", ref))

    def start(self, ref: Ref, *, actor: str) -> None:
        """Let a stopped schedule go on; let one for ``NOW`` that does not run run again.

        Raises NotFound.
        """
        at = now()
        with self._store.begin() as change:
            found = existing(change.get, ref)
            value = schedule(found)
            if _timed(value) is None and self._is_idle(change.get, ref, value):
                found = self._execute(change, found, value, at, actor=actor)
            elif found.status != "Scheduled":
                value = structs.replace(value, handled=at)
                found = change.update(replace(found, status="Scheduled", body=body(value)))
                change.wake(ref)
            else:
                return
            change.append(Event(at, actor, f"{SCHEDULE}.started", ref))

    def stop(self, ref: Ref, *, actor: str) -> None:
        """Make no more executions; one that runs goes on. Raises NotFound."""
        with self._store.begin() as change:
            found = existing(change.get, ref)
            if found.status != "Stopped":
                change.update(replace(found, status="Stopped"))
                change.append(Event(now(), actor, f"{SCHEDULE}.stopped", ref))

    def set_alert(self, ref: Ref, *, datapoints: int, period: int, actor: str) -> None:
        """Say how many executions of the last so many make an alert.

        Raises
        ------
        NotFound
            There is no such schedule.
        InvalidInput
            More are to be violated than are looked at.
        """
        if not 1 <= datapoints <= period <= _LONGEST_PERIOD:
            legal = f"1 to EvaluationPeriod, which is at most {_LONGEST_PERIOD}"
            raise InvalidInput("DatapointsToAlert", f"{datapoints} of {period}", legal=legal)
        at = now()
        with self._store.begin() as change:
            found = existing(change.get, ref)
            value = structs.replace(
                schedule(found), datapoints=datapoints, period=period, alert_changed_at=at
            )
            change.update(replace(found, body=body(value)))
            change.append(Event(at, actor, f"{SCHEDULE}.updated", ref))

    def execute(
        self, ref: Ref, *, actor: str, start: datetime | None = None, end: datetime | None = None
    ) -> Ref:
        """Run a schedule's job now, over a window or what comes before now; name the execution.

        Raises
        ------
        NotFound
            There is no such schedule.
        InvalidInput
            ``start`` is not before ``end``.
        Conflict
            An execution of it runs.
        """
        at = now()
        given = None
        if start is not None:
            given = window(start, end or at, field="start")
        with self._store.begin() as change:
            found = existing(change.get, ref)
            value = schedule(found)
            if not self._is_idle(change.get, ref, value):
                raise Conflict(f"an execution of {ref} runs: {value.last}")
            made = self._execute(change, found, value, at, actor=actor, given=given)
        return ref.sibling(EXECUTION, schedule(made).last)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Make the next execution if it is due; returns when to look again."""
        del stopping
        value, ref = schedule(resource), resource.ref
        timetable = _timetable(value, resource)
        if timetable is None or resource.status != "Scheduled":
            return None
        first = timetable.after(value.handled)
        if first is None or not self._is_idle(self._store.get, ref, value):
            return None
        settled = now() - self._settling
        if first > settled:
            return first + self._settling
        occurrence = _oldest(timetable, first, settled)
        with self._store.begin() as change:
            if occurrence > first:
                detail = {"from": first.isoformat(), "before": occurrence.isoformat()}
                change.append(Event(now(), value.actor, f"{SCHEDULE}.skipped", ref, detail))
            self._execute(change, resource, value, occurrence, actor=value.actor)
        return None

    def _execute(
        self,
        change: Transaction,
        resource: Resource,
        value: Schedule,
        at: datetime,
        *,
        actor: str,
        given: Window | None = None,
    ) -> Resource:
        """Make an execution, and advance the schedule, in one transaction."""
        ref = resource.ref
        name = f"{ref.name}/{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}-{value.uid}"
        config = value.request[_FIELD]
        start, end = (given.start, given.end) if given else _looked_at(value, resource, at)
        made = Execution(
            schedule=ref.name,
            actor=actor,
            type=value.type,
            scheduled_at=at,
            definition=value.definition,
            endpoint=value.endpoint,
            start=start,
            end=end,
            fixed=given is not None or bool(_times(value).data_analysis_start_time),
            config=config.get("MonitoringJobDefinition") or {},
        )
        moment_made = now()
        execution = ref.sibling(EXECUTION, name)
        change.insert(
            Resource(execution, body(made), moment_made, moment_made, "Pending", ref), due=True
        )
        change.link(Link(ref, "Produced", execution, "execution"))
        detail = {"schedule": ref.name, "scheduled_at": at.isoformat()}
        change.append(Event(moment_made, actor, f"{EXECUTION}.created", execution, detail))
        handled = max(value.handled, at) if _timed(value) is not None else value.handled
        advanced = structs.replace(value, handled=handled, last=name)
        return change.update(replace(resource, body=body(advanced)))

    @staticmethod
    def _is_idle(get: Callable[[Ref], Resource | None], ref: Ref, value: Schedule) -> bool:
        if not value.last:
            return True
        found = get(ref.sibling(EXECUTION, value.last))
        return found is None or found.status in ENDED

    def _value(self, ref: Ref, request: JsonObject, actor: str, at: datetime) -> Schedule:
        config = requests.schedule(request)
        of = config.monitoring_type
        if config.monitoring_job_definition_name:
            name = config.monitoring_job_definition_name
            found = named(self._store.get, definition_ref(ref, of, name))
        else:
            found = requests.inline(config.monitoring_job_definition or {})
            self._definitions.check(ref, of, found)
        value = Schedule(
            request={name: given for name, given in request.items() if name != "Tags"},
            actor=actor,
            uid=secrets.token_hex(4),
            type=of,
            handled=at,
            definition=config.monitoring_job_definition_name,
            endpoint=found.watched.endpoint_name,
        )
        start, end = _looked_at(value, Resource(ref, {}, at, at), at)
        window(start, end, field=f"{_FIELD}.ScheduleConfig")
        return value


def _times(value: Schedule) -> Times:
    config: ScheduleConfig = requests.schedule(value.request)
    return config.schedule_config or requests.Times("cron(0 * ? * * *)")


def _timed(value: Schedule) -> str | None:
    """Return the expression of times; None for ``NOW``."""
    given = _times(value).schedule_expression
    return None if given == NOW else given


def _timetable(value: Schedule, resource: Resource) -> Timetable | None:
    expression = _timed(value)
    if expression is None:
        return None
    if expression.startswith("at("):
        legal = "NOW, cron(<six fields>) or rate(<number> minutes|hours|days)"
        raise InvalidInput("ScheduleExpression", f"{expression!r}", legal=legal)
    return parse_timetable(expression, anchor=resource.created_at)


def _looked_at(value: Schedule, resource: Resource, at: datetime) -> tuple[datetime, datetime]:
    """Say which time an occurrence looks at: what is asked for, or all since the one before."""
    times, field = _times(value), f"{_FIELD}.ScheduleConfig"
    timetable = _timetable(value, resource)
    before = timetable.before(at - _INSTANT) if timetable is not None else None
    start, end = max(before, at - LONGEST) if before else at - _HOURLY, at
    if times.data_analysis_start_time:
        place = f"{field}.DataAnalysisStartTime"
        start = moment(times.data_analysis_start_time, at, field=place)
    if times.data_analysis_end_time:
        place = f"{field}.DataAnalysisEndTime"
        end = moment(times.data_analysis_end_time, at, field=place)
    return start, end


def _oldest(timetable: Timetable, first: datetime, settled: datetime) -> datetime:
    """Find the oldest missed occurrence that is made up for."""
    found = timetable.before(settled) or first
    for _ in range(MOST_MISSED - 1):
        if found <= first:
            return first
        found = timetable.before(found - _INSTANT) or first
    return max(found, first)


def _merged(before: JsonObject, given: JsonObject) -> JsonObject:
    """Return a configuration with what an update leaves out as it was."""
    kept = {name: before[name] for name in ("ScheduleConfig",) if name in before}
    return {**kept, **given}
