"""Rules: what is started when an event matches a pattern, or at known times."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import Conflict, InvalidInput, LimitExceeded, NotFound, NotSupported
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Event, Query, Resource
from clary.kernel.timetables import parse_timetable
from clary.pipelines.deliveries import Deliveries
from clary.pipelines.patterns import matches, parse_pattern
from clary.pipelines.schedules import occurrence_name, scheduled_event
from clary.pipelines.targets import Target, target

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page

RULE = "rule"
BUS = "default"
_MOST_TARGETS = 5
_NOT_KEPT = ("Name", "Tags", "EventBusName")


class RuleRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """What PutRule carries."""

    event_pattern: str = ""
    schedule_expression: str = ""
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    event_bus_name: str = BUS
    description: str = ""
    role_arn: str = ""


class Rule(msgspec.Struct, frozen=True):
    """The body of a rule's resource.

    Parameters
    ----------
    request
        The public document.
    actor
        Who put it.
    since
        Events before this are not its business; a rate begins here.
    handled
        Up to when occurrences of its timetable have been started.
    targets
        What it starts.
    """

    request: dict[str, Any]
    actor: str
    since: datetime
    handled: datetime
    targets: list[dict[str, Any]] = []

    @property
    def view(self) -> RuleRequest:
        """What was asked for."""
        return build(RuleRequest, self.request)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that rules may be about.

    Parameters
    ----------
    account, region
        Where.
    source, kind
        Who tells it, and what it is: ``aws.sagemaker``, ``SageMaker Model State Change``.
    detail
        The rest, as JSON.
    resources
        ARNs of what it is about.
    at
        When.
    id
        The same each time it is told.
    """

    account: str
    region: str
    source: str
    kind: str
    detail: Mapping[str, Any]
    resources: Sequence[str] = ()
    at: datetime = field(default_factory=now)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def document(self) -> JsonObject:
        """The event, as targets and patterns see it."""
        return {
            "version": "0",
            "id": self.id,
            "detail-type": self.kind,
            "source": self.source,
            "account": self.account,
            "time": f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": self.region,
            "resources": list(self.resources),
            "detail": dict(self.detail),
        }


class Rules:
    """The verbs of rules; ``run`` is the worker's handler of those with a timetable."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def put(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make a rule, or replace all of it but its targets.

        Raises
        ------
        InvalidInput
            It has neither a pattern nor an expression, or one that is not legal.
        """
        _check(request)
        at = now()
        kept = {name: value for name, value in request.items() if name not in _NOT_KEPT}
        with self._store.begin() as transaction:
            found = transaction.get(ref)
            rule = Rule(kept, actor, at, at)
            if found is not None:
                rule = _going_on(rule, build(Rule, found.body), was=found.status)
            status = rule.view.state
            if found is None:
                found = transaction.insert(Resource(ref, plain(rule), at, at, status), due=True)
            else:
                found = transaction.update(replace(found, status=status, body=plain(rule)))
                transaction.wake(ref)
            transaction.tag(ref, dict(tags or {}))
            transaction.append(Event(at, actor, "rule.put", ref))
        return found

    def get(self, ref: Ref) -> Resource:
        """Read a rule. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List rules."""
        return self._store.select(query)

    def aimed_at(self, ref: Ref, text: str) -> Sequence[str]:
        """Name the rules near ``ref`` that have a target of this ARN."""
        return [
            one.ref.name
            for one in self._all(ref)
            if text in [target["Arn"] for target in one.body["targets"]]
        ]

    def switch(self, ref: Ref, state: Literal["ENABLED", "DISABLED"], *, actor: str) -> None:
        """Enable or disable a rule. Raises NotFound."""
        at = now()
        with self._store.begin() as transaction:
            found = _existing(transaction, ref)
            rule = build(Rule, found.body)
            request = {**rule.request, "State": state}
            since = rule.since if found.status == "ENABLED" else at
            changed = msgspec.structs.replace(rule, request=request, since=since, handled=at)
            transaction.update(replace(found, status=state, body=plain(changed)))
            transaction.append(Event(at, actor, f"rule.{state.lower()}", ref))
            transaction.wake(ref)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a rule without targets; removing an absent one is no error.

        Raises
        ------
        Conflict
            It has targets.
        """
        with self._store.begin() as transaction:
            found = transaction.get(ref)
            if found is None:
                return
            if found.body["targets"]:
                raise Conflict(f"{ref} has targets", hint="remove them first")
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "rule.deleted", ref))

    def put_targets(self, ref: Ref, documents: Sequence[JsonObject], *, actor: str) -> None:
        """Add targets, or replace those of the same Id.

        Raises
        ------
        NotFound
            There is no such rule.
        InvalidInput
            One is nothing that can be started here.
        LimitExceeded
            They are more than a rule can have.
        """
        for index, document in enumerate(documents):
            target(document, near=ref, field=f"Targets.{index + 1}.member")
        with self._store.begin() as transaction:
            found = _existing(transaction, ref)
            whole = {one["Id"]: one for one in (*found.body["targets"], *documents)}
            if len(whole) > _MOST_TARGETS:
                raise LimitExceeded(f"{len(whole)} targets; legal: at most {_MOST_TARGETS}")
            body = {**found.body, "targets": list(whole.values())}
            transaction.update(replace(found, body=body))
            transaction.append(Event(now(), actor, "rule.targets-put", ref))

    def remove_targets(self, ref: Ref, ids: Sequence[str], *, actor: str) -> Sequence[str]:
        """Remove targets; returns the Ids that there were none of. Raises NotFound."""
        with self._store.begin() as transaction:
            found = _existing(transaction, ref)
            left = [one for one in found.body["targets"] if one["Id"] not in ids]
            known = {one["Id"] for one in found.body["targets"]}
            transaction.update(replace(found, body={**found.body, "targets": left}))
            transaction.append(Event(now(), actor, "rule.targets-removed", ref))
        return [one for one in ids if one not in known]

    def listen(self, account: str, region: str) -> bool:
        """Say whether any enabled rule is about events, in one place."""
        return bool(self._about_events(account, region))

    def tell(self, happenings: Sequence[Happening], transaction: Transaction | None = None) -> None:
        """Put on its way what the rules start because of something."""
        if transaction is not None:
            self._tell(happenings, transaction)
            return
        with self._store.begin() as change:
            self._tell(happenings, change)

    def _tell(self, happenings: Sequence[Happening], transaction: Transaction) -> None:
        places = {(one.account, one.region) for one in happenings}
        rules = {place: self._about_events(*place) for place in places}
        for happening in happenings:
            for ref, rule in rules[happening.account, happening.region]:
                if happening.at > rule.since and matches(
                    parse_pattern(rule.view.event_pattern), happening.document
                ):
                    _deliver(transaction, ref, rule, happening.document, happening.id)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Start what a rule's timetable says; returns when the next occurrence is."""
        del stopping
        rule = build(Rule, resource.body)
        if resource.status != "ENABLED" or not rule.view.schedule_expression:
            return None
        timetable = parse_timetable(rule.view.schedule_expression, anchor=rule.since)
        following = timetable.after(rule.handled)
        at = now()
        if following is None or following > at:
            return following
        last = timetable.before(at) or following
        name = occurrence_name(f"{arn(resource.ref)} {rule.since.isoformat()}", last)
        body = plain(msgspec.structs.replace(rule, handled=last))
        with self._store.begin() as transaction:
            transaction.update(replace(resource, body=body))
            detail = {"occurrence": plain(last)}
            transaction.append(Event(at, rule.actor, "rule.fired", resource.ref, detail))
            event = scheduled_event(resource.ref, last, name)
            _deliver(transaction, resource.ref, rule, event, name)
        return timetable.after(last)

    def _about_events(self, account: str, region: str) -> Sequence[tuple[Ref, Rule]]:
        return [
            (one.ref, build(Rule, one.body))
            for one in self._all(Ref(account, region, RULE, ""))
            if one.status == "ENABLED" and one.body["request"].get("EventPattern")
        ]

    def _all(self, near: Ref) -> Iterator[Resource]:
        query = Query(RULE, near.account, near.region, limit=1000)
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)


def _deliver(
    transaction: Transaction, ref: Ref, rule: Rule, event: Mapping[str, Any], of: str
) -> None:
    for document in rule.targets:
        wanted = build(Target, document)
        name = hashlib.sha256(f"{arn(ref)} {wanted.id} {of}".encode()).hexdigest()
        Deliveries.add(transaction, name, ref, wanted, event, actor=rule.actor)


def _going_on(new: Rule, old: Rule, *, was: str) -> Rule:
    """Give a rule that replaces another its targets, and its place in time if it goes on as it."""
    new = msgspec.structs.replace(new, targets=old.targets)
    same = new.view.schedule_expression == old.view.schedule_expression
    if was != "ENABLED" or not same:
        return new
    return msgspec.structs.replace(new, since=old.since, handled=old.handled)


def _check(request: JsonObject) -> None:
    view = build(RuleRequest, request)
    if view.event_bus_name != BUS:
        raise NotSupported(f"EventBusName: there is no bus but {BUS!r}")
    if not view.event_pattern and not view.schedule_expression:
        raise InvalidInput("", "a rule needs an EventPattern or a ScheduleExpression")
    if view.event_pattern:
        parse_pattern(view.event_pattern)
    if view.schedule_expression:
        if view.schedule_expression.startswith("at("):
            legal = "rate(…) or cron(…)"
            raise InvalidInput("ScheduleExpression", view.schedule_expression, legal=legal)
        parse_timetable(view.schedule_expression, anchor=now())


def _existing(transaction: Transaction, ref: Ref) -> Resource:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    return found
