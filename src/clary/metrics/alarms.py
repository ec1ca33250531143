"""Alarms: durable, evaluated by the worker, their changes told in the journal."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clary.kernel.clock import now
from clary.kernel.codec import build, from_json, plain
from clary.kernel.errors import LimitExceeded, NotFound
from clary.kernel.resource import Event, Query, Resource
from clary.metrics.alarm_requests import AlarmRequest, read_request
from clary.metrics.judging import SPARE, State, judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.kernel.resource import Page
    from clary.metrics.service import Metrics

ALARM = "alarm"
CHANGED = "alarm.state-changed"
MOST_ALARMS = 5_000
"""So many alarms an account may have in a region."""
_SETTLED_S = 1.0
"""What other processes measured is in the store so many seconds after a period's end."""
_SYSTEM = "clary"


class Standing(Struct, frozen=True):
    """What state an alarm is in, why and since when."""

    value: State
    reason: str
    data: dict[str, Any]
    updated_at: datetime
    moved_at: datetime


class Alarm(Struct, frozen=True):
    """The body of an ``alarm``.

    Parameters
    ----------
    request
        The public document, but for its name and tags.
    configured_at
        When it was put.
    standing
        Its state.
    """

    request: dict[str, Any]
    configured_at: datetime
    standing: Standing

    @property
    def view(self) -> AlarmRequest:
        """What was asked for."""
        return build(AlarmRequest, self.request)


class Alarms:
    """The verbs of alarms; ``run`` is the worker's handler of their kind."""

    def __init__(self, store: MetadataStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def put(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> None:
        """Make an alarm, or replace what it goes by and keep its state.

        Raises
        ------
        InvalidInput, NotSupported
            The request is not legal, or asks for what clary has not.
        LimitExceeded
            There are ``MOST_ALARMS``.
        """
        kept = read_request(request)
        at = now()
        fresh = Standing("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation", {}, at, at)
        with self._store.begin() as transaction:
            found = transaction.get(ref)
            if found is None:
                self._check_room(ref)
                body = plain(Alarm(kept, at, fresh))
                transaction.insert(Resource(ref, body, at, at, fresh.value), due=True)
                transaction.tag(ref, dict(tags or {}))
            else:
                body = plain(Alarm(kept, at, build(Alarm, found.body).standing))
                transaction.update(replace(found, body=body))
                transaction.wake(ref)
            word = "updated" if found else "created"
            transaction.append(Event(at, actor, f"alarm.{word}", ref))

    def get(self, ref: Ref) -> Resource:
        """Read an alarm. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List alarms."""
        return self._store.select(query)

    def every(self, near: Ref) -> Iterator[Resource]:
        """Yield all alarms of an account and region, by name."""
        query = Query(
            ALARM, near.account, near.region, sort_by="name", descending=False, limit=1000
        )
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)

    def states(self, names: Iterable[str], *, near: Ref) -> Mapping[str, State]:
        """Say what state alarms are in; those that do not exist are left out."""
        refs = [near.sibling(ALARM, name) for name in names]
        found = self._store.get_all(refs)
        return {ref.name: build(Alarm, one.body).standing.value for ref, one in found.items()}

    def delete(self, refs: Sequence[Ref], *, actor: str) -> None:
        """Remove alarms, all or none. Raises NotFound."""
        with self._store.begin() as transaction:
            for ref in refs:
                transaction.delete(ref)
                transaction.append(Event(now(), actor, "alarm.deleted", ref))

    def set_state(self, ref: Ref, value: State, reason: str, data: str = "", *, actor: str) -> None:
        """Put an alarm in a state until it is evaluated next.

        Raises
        ------
        NotFound
            There is no such alarm.
        InvalidInput
            ``data`` is not JSON.
        """
        document = from_json(data, field="StateReasonData") if data else {}
        found = self.get(ref)
        self._move(found, value, reason, {"set": document} if data else {}, actor)

    def switch(self, refs: Sequence[Ref], *, enabled: bool, actor: str) -> None:
        """Set whether alarms act; those that do not exist are passed over."""
        word = "enabled" if enabled else "disabled"
        with self._store.begin() as transaction:
            for ref in refs:
                found = transaction.get(ref)
                if found is not None:
                    request = {**found.body["request"], "ActionsEnabled": enabled}
                    transaction.update(replace(found, body={**found.body, "request": request}))
                    transaction.append(Event(now(), actor, f"alarm.actions-{word}", ref))

    def history(self, ref: Ref) -> Sequence[Event]:
        """Read everything that has happened to an alarm, oldest first."""
        lines: list[Event] = []
        while more := self._store.events(after=lines[-1].id if lines else 0, ref=ref):
            lines += more
        return lines

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Evaluate an alarm on the periods that have ended; returns when the next one will have."""
        del stopping
        alarm = build(Alarm, resource.body)
        view = alarm.view
        step_s = min(view.period_s, 60)
        at = now()
        end = math.floor((at.timestamp() - _SETTLED_S) / step_s) * step_s
        value, reason, data = self._evaluate(view, alarm.standing, end, resource.ref)
        if value != alarm.standing.value:
            self._move(resource, value, reason, data, _SYSTEM)
        return datetime.fromtimestamp(end + step_s + _SETTLED_S, UTC)

    def _evaluate(
        self, view: AlarmRequest, was: Standing, end: int, near: Ref
    ) -> tuple[State, str, dict[str, Any]]:
        criterion = view.criterion
        many = criterion.periods + SPARE
        start = end - many * view.period_s
        (outcome,) = self._metrics.data(
            view.queries, start=_moment(start), end=_moment(end), near=near
        )
        values = [outcome.points.get(start + n * view.period_s) for n in range(many)]
        state = judge(criterion, values, was.value)
        known = [value for value in values if value is not None][-criterion.periods :]
        breaching = sum(map(criterion.breaches, known))
        reason = (
            f"{breaching} of the last {len(known)} data points breach ({criterion.comparison} "
            f"{criterion.threshold:g}), {criterion.periods - len(known)} are missing: "
            f"{', '.join(f'{value:g}' for value in known) or 'none is there'}; "
            f"{criterion.datapoints} of {criterion.periods} ring"
        )
        data = {
            "version": "1.0",
            "queryDate": _stamp(now()),
            "startDate": _stamp(_moment(start)),
            "period": view.period_s,
            "recentDatapoints": known,
            "threshold": criterion.threshold,
        }
        return state, reason[:1023], data

    def _move(
        self, resource: Resource, value: State, reason: str, data: dict[str, Any], actor: str
    ) -> None:
        alarm = build(Alarm, resource.body)
        was, at = alarm.standing, now()
        moved_at = was.moved_at if value == was.value else at
        standing = Standing(value, reason, data, at, moved_at)
        body = plain(Alarm(alarm.request, alarm.configured_at, standing))
        with self._store.begin() as transaction:
            transaction.update(replace(resource, body=body, status=value))
            if value != was.value:
                detail = _change(resource.ref, alarm, was, standing)
                transaction.append(Event(at, actor, CHANGED, resource.ref, detail))

    def _check_room(self, ref: Ref) -> None:
        if sum(1 for _ in self.every(ref)) >= MOST_ALARMS:
            raise LimitExceeded(f"an account may have {MOST_ALARMS} alarms in a region, not more")


def _change(ref: Ref, alarm: Alarm, was: Standing, standing: Standing) -> JsonObject:
    """Write the public document of a change: what EventBridge sends as detail."""
    view = alarm.view
    return {
        "alarmName": ref.name,
        "state": _state(standing),
        "previousState": _state(was),
        "configuration": {
            **({"description": view.alarm_description} if view.alarm_description else {}),
            "metrics": [_lower(one) for one in view.queries],
        },
    }


def _state(standing: Standing) -> JsonObject:
    return {
        "value": standing.value,
        "reason": standing.reason,
        **({"reasonData": standing.data} if standing.data else {}),
        "timestamp": _stamp(standing.updated_at),
    }


def _lower(value: Any) -> Any:
    """Begin every member's name in lower case, dimensions as a map: as the events have them."""
    if not isinstance(value, dict):
        return value
    lowered = {name[:1].lower() + name[1:]: _lower(item) for name, item in value.items()}
    if "metricName" in lowered:
        lowered["name"] = lowered.pop("metricName")
        dimensions = lowered.get("dimensions", ())
        lowered["dimensions"] = {one["Name"]: one["Value"] for one in dimensions}
    return lowered


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
