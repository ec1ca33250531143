"""What changed upstream of an endpoint or of data since a moment: models, contents, features.

The journal says when things changed; lineage says which things what is watched was made from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clary.endpoints.model import ENDPOINT
from clary.features.model import FEATURE_GROUP
from clary.features.views import VIEW
from clary.kernel.resource import Query
from clary.lineage.service import Lineage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Event
    from clary.lineage.model import Node

MOST_CHANGES = 50
_PAGE = 1000
_MOST_NEW = 10
_PACKAGE, _EXECUTION = "model-package", "pipeline-execution"
_TOLD = {FEATURE_GROUP, VIEW, _PACKAGE, "pipeline"}
"""Kinds of which each change is told."""


class Change(Struct, frozen=True):
    """Something upstream that is not as it was.

    Parameters
    ----------
    at
        When it changed; None: that is not recorded.
    of
        What it is: ``model-package abalone/3``, or the URI of some content.
    what
        What happened to it, as the end of a sentence.
    """

    at: datetime | None
    of: str
    what: str


class Upstream:
    """Walks from what is watched to what it was made from, and says what changed."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._lineage = Lineage(store)

    def changes(self, watched: Iterable[Ref], since: datetime, until: datetime) -> list[Change]:
        """List what changed after one moment, until another, the newest last; 50 at most.

        Parameters
        ----------
        watched
            An endpoint, or the contents that were looked at. One that is gone tells nothing.
        """
        found: dict[Change, None] = {}
        for ref in watched:
            if ref.kind == ENDPOINT:
                found |= dict.fromkeys(self._of_endpoint(ref, since, until))
            else:
                found |= dict.fromkeys(self._of_sources(self._nodes([ref]), since, until))
        listed = sorted(found, key=lambda one: (one.at is not None, one.at or since, one.of))
        return listed[-MOST_CHANGES:]

    def _of_endpoint(self, endpoint: Ref, since: datetime, until: datetime) -> Iterator[Change]:
        events = [one for one in self._events(endpoint, until) if _deployed(one)]
        before = _models(endpoint, [one for one in events if one.at <= since])
        now = _models(endpoint, events)
        for event in events:
            if event.at > since:
                yield Change(event.at, str(endpoint), _deployed(event))
        made_from = self._nodes(now)
        yield from self._of_sources(made_from, since, until)
        was_made_from = self._nodes(before) if set(before) != set(now) else []
        if was_made_from:
            yield from self._of_contents(was_made_from, made_from)

    def _of_sources(
        self, nodes: Sequence[Node], since: datetime, until: datetime
    ) -> Iterator[Change]:
        """Say what happened to what is told of among nodes, and to the pipelines that made them."""
        jobs = self._store.get_all(node.ref for node in nodes)
        refs = dict.fromkeys(node.ref for node in nodes if node.ref.kind in _TOLD)
        pipelines = dict.fromkeys(
            one.parent.sibling("pipeline", one.parent.name.partition("/")[0])
            for one in jobs.values()
            if one.parent is not None and one.parent.kind == _EXECUTION
        )
        for ref in [*refs, *pipelines]:
            yield from self._of_one(ref, since, until)
        for ref in pipelines:
            yield from self._runs(ref, since, until)

    def _of_one(self, ref: Ref, since: datetime, until: datetime) -> Iterator[Change]:
        """Count what the journal says of a thing, by what was done to it."""
        often, last = Counter[str](), {}
        for event in self._events(ref, until):
            if event.at > since:
                often[_done(event)] += 1
                last[_done(event)] = event.at
        for done, at in last.items():
            times = f" {often[done]} times, the last time then" if often[done] > 1 else ""
            yield Change(at, str(ref), f"was {done}{times}")
        if ref.version:
            yield from self._newer(ref, since, until)

    def _newer(self, ref: Ref, since: datetime, until: datetime) -> Iterator[Change]:
        query = _between(Query(ref.kind, ref.account, ref.region, name=ref.name), since, until)
        for one in self._store.select(query).items:
            if one.ref.version > ref.version:
                yield Change(one.created_at, str(one.ref), f"was made, after version {ref.version}")

    def _runs(self, pipeline: Ref, since: datetime, until: datetime) -> Iterator[Change]:
        query = Query(_EXECUTION, pipeline.account, pipeline.region, parent=pipeline)
        for one in self._store.select(_between(query, since, until)).items:
            yield Change(one.created_at, str(one.ref), f"was started; it is {one.status}")

    def _of_contents(self, before: Sequence[Node], now: Sequence[Node]) -> Iterator[Change]:
        """Say which contents that nobody made, and which code, are not those of before."""
        old, new = _roots(before), _roots(now)
        refs = [one.ref for role, nodes in new.items() for one in nodes.values()]
        stored = self._store.get_all(refs)
        for role, nodes in new.items():
            was = old.get(role, {})
            for digest in nodes.keys() - was.keys():
                node = nodes[digest]
                gone = sorted(was.keys() - nodes.keys())
                said = f"is another {role}: sha256:{digest[:12]}"
                said += f", where it was {', '.join(one[:12] for one in gone)}" if gone else ""
                found = stored.get(node.ref)
                yield Change(found.created_at if found else None, node.uri, said)

    def _nodes(self, starts: Iterable[Ref]) -> list[Node]:
        """Walk back from things to everything that they were made from."""
        found: list[Node] = []
        for start in starts:
            near = self._trees(start)
            while near:
                node = near.pop()
                found.append(node)
                near += node.children
        return found

    def _trees(self, start: Ref) -> list[Node]:
        """Draw the tree of a thing; of one that is gone, those of what its links still name."""
        refs = [start]
        if self._store.get(start) is None:
            refs = [link.source for link in self._store.links(start, incoming=True)]
        stored = self._store.get_all(refs)
        return [self._lineage.tree(ref) for ref in stored]

    def _events(self, ref: Ref, until: datetime) -> Iterator[Event]:
        """Read the journal of a thing until a moment, the oldest line first."""
        page = self._store.events(limit=_PAGE, ref=ref)
        while page:
            yield from (one for one in page if one.at <= until)
            page = self._store.events(after=page[-1].id, limit=_PAGE, ref=ref)


def _models(endpoint: Ref, events: Sequence[Event]) -> list[Ref]:
    """Name the models that the last of the deployments brought into service."""
    for event in reversed(events):
        if variants := event.detail.get("variants"):
            return [endpoint.sibling("model", one["model"]) for one in variants]
    return []


def _deployed(event: Event) -> str:
    variants: Sequence[Mapping[str, Any]] = event.detail.get("variants") or ()
    if variants:
        models = ", ".join(f"{one['model']} ({one['name']})" for one in variants)
        return f"was deployed by configuration {event.detail.get('config')}: model {models}"
    done = _done(event)
    return f"was {done}" if done == "deleted" else ""


def _done(event: Event) -> str:
    approval = (event.detail.get("after") or {}).get("ModelApprovalStatus")
    if approval:
        return f"set to {approval}"
    return event.action.rpartition(".")[2].replace("-", " ")


def _between(query: Query, since: datetime, until: datetime) -> Query:
    return replace(query, created_after=since, created_before=until, limit=_MOST_NEW)


def _roots(nodes: Sequence[Node]) -> dict[str, dict[str, Node]]:
    """Give contents that nobody made here by role and digest; environments among them."""
    found: dict[str, dict[str, Node]] = {}
    for node in nodes:
        if node.digest and not node.children and not node.seen:
            found.setdefault(node.role or "content", {})[node.digest] = node
    return found
