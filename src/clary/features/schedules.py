"""Schedules of the feature store: views are written down, and facts audited, at known times.

A schedule is due in the work queue at its next occurrence; of several that were missed, the last
one counts. What it starts and what it remembers of that are noted in one transaction.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, structs

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import ClaryError, InvalidInput
from clary.kernel.resource import Event, Resource
from clary.kernel.timetables import parse_timetable

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.kernel.resource import Page, Query

FEATURE_SCHEDULE = "feature-schedule"
_SHORTEST = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)


class Scheduled(Struct, frozen=True):
    """The body of a schedule.

    Parameters
    ----------
    task
        What is done, by name.
    kind, name, version
        To what.
    expression
        When: ``rate(1 day)`` or ``cron(0 8 ? * MON-FRI *)``, in UTC.
    anchor, handled
        When a rate begins, and up to when occurrences were started.
    actor
        Who made it.
    options
        What the task was asked for.
    memory
        What the task wants to know the next time.
    failure
        Why the last occurrence did nothing; empty: it did.
    """

    task: str
    kind: str
    name: str
    version: int
    expression: str
    anchor: datetime
    handled: datetime
    actor: str
    options: dict[str, Any] = {}
    memory: dict[str, Any] = {}
    failure: str = ""

    def of(self, near: Ref) -> Ref:
        """Name what it is done to."""
        return near.sibling(self.kind, self.name, self.version)


class Task(Protocol):
    """Something that is done again and again."""

    def check(self, of: Ref, options: Mapping[str, Any]) -> None:
        """Refuse what can never be done. Raises NotFound, InvalidInput."""

    def run(self, of: Ref, scheduled: Scheduled) -> JsonObject:
        """Do it, or start it; returns what to remember. Raises ClaryError."""


class FeatureSchedules:
    """The verbs of schedules; ``run`` is the worker's handler of their kind.

    Parameters
    ----------
    store
        Where they are.
    tasks
        What can be done, by name.
    """

    def __init__(self, store: MetadataStore, tasks: Mapping[str, Task]) -> None:
        self._store = store
        self._tasks = tasks

    def put(
        self,
        of: Ref,
        task: str,
        expression: str,
        options: Mapping[str, Any] | None = None,
        *,
        actor: str,
    ) -> Resource:
        """Do something again and again: at once, then as the expression says.

        What was there in its place ends; what that remembered stays.

        Raises
        ------
        InvalidInput
            The expression, the task or an option is not legal, or it is due more than once a
            minute.
        NotFound
            There is nothing of this name.
        """
        if task not in self._tasks:
            raise InvalidInput("task", repr(task), legal=", ".join(self._tasks))
        at, given = now(), dict(options or {})
        _check(expression, at)
        self._tasks[task].check(of, given)
        made = Scheduled(
            task, of.kind, of.name, of.version, expression, at, at - _INSTANT, actor, given
        )
        ref = _ref(of, task)
        with self._store.begin() as change:
            found = change.get(ref)
            if found is not None:
                memory = build(Scheduled, found.body).memory
                body = plain(structs.replace(made, memory=memory))
                kept = change.update(replace(found, body=body))
                change.wake(ref)
            else:
                kept = change.insert(Resource(ref, plain(made), at, at, "Enabled"), due=True)
            change.append(Event(at, actor, f"{FEATURE_SCHEDULE}.put", ref, {"when": expression}))
        return kept

    def get(self, of: Ref, task: str) -> Scheduled | None:
        """Read a schedule; None where there is none."""
        found = self._store.get(_ref(of, task))
        return None if found is None else build(Scheduled, found.body)

    def list(self, query: Query) -> Page:
        """List them."""
        return self._store.select(query)

    def delete(self, of: Ref, task: str, *, actor: str) -> None:
        """End a schedule; what it has started goes on. Raises NotFound."""
        ref = _ref(of, task)
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, f"{FEATURE_SCHEDULE}.deleted", ref))

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Do what is due; says when the next occurrence is."""
        del stopping
        scheduled = build(Scheduled, found.body)
        timetable = parse_timetable(scheduled.expression, anchor=scheduled.anchor)
        following = timetable.after(scheduled.handled)
        if following is None or following > now():
            return following
        last = timetable.before(now()) or following
        done = self._done(scheduled, found.ref)
        with self._store.begin() as change:
            current = change.get(found.ref)
            if current is None:
                return None
            kept = build(Scheduled, current.body)
            if (kept.handled, kept.expression) != (scheduled.handled, scheduled.expression):
                return now()  # it was put anew meanwhile
            body = plain(structs.replace(done, handled=last))
            change.update(replace(current, body=body))
            detail = {"reason": done.failure} if done.failure else {}
            action = "failed" if done.failure else "fired"
            event = Event(now(), done.actor, f"{FEATURE_SCHEDULE}.{action}", found.ref, detail)
            change.append(event)
        return timetable.after(last)

    def _done(self, scheduled: Scheduled, ref: Ref) -> Scheduled:
        task, of = self._tasks[scheduled.task], scheduled.of(ref)
        try:
            memory = task.run(of, scheduled)
        except ClaryError as error:
            if error.retryable:
                raise
            return structs.replace(scheduled, failure=error.message)
        return structs.replace(scheduled, memory=memory, failure="")


def _ref(of: Ref, task: str) -> Ref:
    return of.sibling(FEATURE_SCHEDULE, f"{task}/{of.kind}/{of.name}")


def _check(expression: str, at: datetime) -> None:
    timetable = parse_timetable(expression, anchor=at)
    first = timetable.after(at - _INSTANT)
    if first is None:
        raise InvalidInput("expression", f"{expression!r:.100} is over", legal="a time to come")
    second = timetable.after(first)
    if second is not None and second - first < _SHORTEST:
        raise InvalidInput("expression", f"{expression!r:.100}", legal="a minute or more apart")
