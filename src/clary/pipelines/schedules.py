"""Schedules: what is started at known times, each time once, and once for all that were missed.

A schedule is due in the work queue at its next occurrence. It advances, and puts a delivery on its
way, in one transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.clock import now
from clary.kernel.codec import build, digest, plain, to_json
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Event, Query, Resource
from clary.kernel.timetables import Timetable, parse_timetable
from clary.pipelines.deliveries import Deliveries
from clary.pipelines.targets import Target, target

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page

SCHEDULE = "schedule"
GROUP = "schedule-group"
DEFAULT_GROUP = "default"
_NOT_KEPT = ("Name", "GroupName", "ClientToken")
_INSTANT = timedelta(microseconds=1)
_LATE = timedelta(minutes=1)
"""From here on an occurrence counts as missed."""


class ScheduleRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What CreateSchedule and UpdateSchedule carry."""

    schedule_expression: str
    target: dict[str, Any]
    schedule_expression_timezone: str = "UTC"
    start_date: datetime | None = None
    end_date: datetime | None = None
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    action_after_completion: Literal["NONE", "DELETE"] = "NONE"
    description: str = ""


class Schedule(msgspec.Struct, frozen=True):
    """The body of a schedule's resource.

    Parameters
    ----------
    request
        The public document, without its names.
    actor
        Who made it.
    uid
        Random; tells apart schedules that had the same name.
    anchor
        When a rate begins.
    handled
        Up to when occurrences have been started.
    token
        Of the request that made it.
    """

    request: dict[str, Any]
    actor: str
    uid: str
    anchor: datetime
    handled: datetime
    token: str = ""

    @property
    def view(self) -> ScheduleRequest:
        """What was asked for."""
        return build(ScheduleRequest, self.request)

    def timetable(self) -> Timetable:
        """When it is due."""
        view = self.view
        return parse_timetable(
            view.schedule_expression,
            zone=view.schedule_expression_timezone,
            anchor=self.anchor,
            start=_utc(view.start_date),
            end=_utc(view.end_date),
        )


class Schedules:
    """The verbs of schedules and their groups; ``run`` is the worker's handler of schedules."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def create(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make a schedule of the public document; the same client token makes it once.

        A rate without a later start begins at once.

        Raises
        ------
        InvalidInput
            Its expression, dates or target are not legal.
        AlreadyExists
            There is one of the name.
        NotFound
            Its group does not exist.
        """
        at = now()
        token = request.get("ClientToken", "")
        schedule = Schedule(
            request=_kept(request),
            actor=actor,
            uid=secrets.token_hex(8),
            anchor=_begin(request, at),
            handled=at - _INSTANT,
            token=token and digest([token, plain(_kept(request))]),
        )
        _check(ref, schedule)
        group = ref.sibling(GROUP, ref.name.partition("/")[0])
        with self._store.begin() as transaction:
            present = transaction.get(ref)
            if present is not None and token and present.body["token"] == schedule.token:
                return present
            if transaction.get(group) is None:
                if group.name != DEFAULT_GROUP:
                    raise NotFound(group)
                transaction.insert(Resource(group, {}, at, at, "ACTIVE"))
            status = schedule.view.state
            resource = Resource(ref, plain(schedule), at, at, status, group)
            made = transaction.insert(resource, due=True)
            transaction.tag(ref, dict(tags or {}))
            transaction.append(Event(at, actor, "schedule.created", ref))
        return made

    def put(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Make a schedule, or replace the document of the one there is; see both for errors."""
        try:
            return self.update(ref, request, actor=actor)
        except NotFound:
            return self.create(ref, request, actor=actor)

    def update(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Replace a schedule's document.

        With another expression it begins anew, a rate an interval from now; with the same it goes
        on as it was.

        Raises
        ------
        NotFound
            There is no such schedule.
        InvalidInput
            The document is not legal.
        """
        at = now()
        with self._store.begin() as transaction:
            found = _existing(transaction, ref)
            before = build(Schedule, found.body)
            changed = msgspec.structs.replace(before, request=_kept(request))
            begin, goes_on = _begin(request, at), _is_like(before, changed)
            if not (goes_on and before.anchor <= at and begin <= at):
                changed = msgspec.structs.replace(changed, anchor=begin)
            if not goes_on or found.status != "ENABLED":
                changed = msgspec.structs.replace(changed, handled=at)
            _check(ref, changed)
            made = transaction.update(
                replace(found, status=changed.view.state, body=plain(changed))
            )
            transaction.append(Event(at, actor, "schedule.updated", ref))
            transaction.wake(ref)
        return made

    def get(self, ref: Ref) -> Resource:
        """Read a schedule or group. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List schedules or groups."""
        return self._store.select(query)

    def delete(self, ref: Ref, *, actor: str, transaction: Transaction | None = None) -> None:
        """Remove a schedule; what it has started goes on. Raises NotFound."""
        scope = nullcontext(transaction) if transaction is not None else self._store.begin()
        with scope as change:
            change.delete(ref)
            change.append(Event(now(), actor, "schedule.deleted", ref))

    def create_group(
        self, ref: Ref, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make a group. Raises AlreadyExists."""
        at = now()
        if ref.name == DEFAULT_GROUP:
            raise AlreadyExists(ref)
        with self._store.begin() as transaction:
            made = transaction.insert(Resource(ref, {}, at, at, "ACTIVE"))
            transaction.tag(ref, dict(tags or {}))
            transaction.append(Event(at, actor, "schedule-group.created", ref))
        return made

    def delete_group(self, ref: Ref, *, actor: str) -> None:
        """Remove a group and its schedules. Raises NotFound, InvalidInput for the default one."""
        if ref.name == DEFAULT_GROUP:
            raise InvalidInput("Name", "the default group cannot be deleted")
        with self._store.begin() as transaction:
            _existing(transaction, ref)
            for schedule in self._of(ref):
                self.delete(schedule.ref, actor=actor, transaction=transaction)
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "schedule-group.deleted", ref))

    def _of(self, group: Ref) -> Iterator[Resource]:
        query = Query(SCHEDULE, parent=group, limit=1000)
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Start what is due; returns when the next occurrence is."""
        del stopping
        schedule = build(Schedule, resource.body)
        if resource.status != "ENABLED":
            return None
        timetable = schedule.timetable()
        following = timetable.after(schedule.handled)
        if following is not None and following > now():
            return following
        if following is not None:
            schedule = self._fire(resource, schedule, timetable, following)
            following = timetable.after(schedule.handled)
        if following is None and schedule.view.action_after_completion == "DELETE":
            self.delete(resource.ref, actor=schedule.actor)
        return following

    def _fire(
        self, resource: Resource, schedule: Schedule, timetable: Timetable, first: datetime
    ) -> Schedule:
        """Start the last occurrence that is due, for all since ``first``."""
        at = now()
        last = timetable.before(at) or first
        ref, wanted = resource.ref, build(Target, schedule.request["Target"])
        name = occurrence_name(schedule.uid, last)
        event = scheduled_event(ref, last, name)
        advanced = msgspec.structs.replace(schedule, handled=last)
        detail: JsonObject = {"occurrence": plain(last)}
        if first != last or at - last > _LATE:
            detail["missed_since"] = plain(first)
        with self._store.begin() as transaction:
            transaction.update(replace(resource, body=plain(advanced)))
            transaction.append(Event(at, schedule.actor, "schedule.fired", ref, detail))
            Deliveries.add(
                transaction,
                name,
                ref,
                _filled(wanted, ref, last, name),
                event,
                actor=schedule.actor,
            )
        return advanced


def occurrence_name(uid: str, at: datetime) -> str:
    """Name what one occurrence of a schedule or rule starts, the same whoever starts it."""
    return hashlib.sha256(f"{uid} {at.isoformat()}".encode()).hexdigest()


def scheduled_event(cause: Ref, at: datetime, name: str) -> JsonObject:
    """Write the event that a function or queue is given by default."""
    source = "aws.scheduler" if cause.kind == SCHEDULE else "aws.events"
    return {
        "version": "0",
        "id": name[:32],
        "detail-type": "Scheduled Event",
        "source": source,
        "account": cause.account,
        "time": _seconds(at),
        "region": cause.region,
        "resources": [arn(cause)],
        "detail": {},
    }


def _filled(wanted: Target, ref: Ref, at: datetime, name: str) -> Target:
    """Put the context of the occurrence where the target's texts ask for it."""
    text = to_json(plain(wanted)).decode()
    for word, value in {
        "<aws.scheduler.schedule-arn>": arn(ref),
        "<aws.scheduler.scheduled-time>": _seconds(at),
        "<aws.scheduler.execution-id>": name[:32],
        "<aws.scheduler.attempt-number>": "1",
    }.items():
        text = text.replace(word, value)
    return msgspec.json.decode(text, type=Target)


def _seconds(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _kept(request: JsonObject) -> JsonObject:
    kept = {name: value for name, value in request.items() if name not in _NOT_KEPT}
    document: JsonObject = plain(kept)
    return document


def _begin(request: JsonObject, at: datetime) -> datetime:
    """Say when a rate begins: at its start date, or at once."""
    start = _utc(request.get("StartDate"))
    return start if start is not None and start > at else at


def _is_like(one: Schedule, other: Schedule) -> bool:
    """Say whether two schedules have the same expression in the same zone."""
    left, right = one.view, other.view
    zones = (left.schedule_expression_timezone, right.schedule_expression_timezone)
    return left.schedule_expression == right.schedule_expression and zones[0] == zones[1]


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _check(ref: Ref, schedule: Schedule) -> None:
    target(schedule.view.target, near=ref)
    schedule.timetable()


def _existing(transaction: Transaction, ref: Ref) -> Resource:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
