"""Views: features made of groups, aggregates and requests, by one definition everywhere."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clary.features.batch import Batch
from clary.features.definitions import View, checked
from clary.features.model import FEATURE_GROUP
from clary.features.tiles import Tiles
from clary.features.training_sets import version_role
from clary.features.vectors import Vectors
from clary.kernel.clock import now, now_us
from clary.kernel.codec import build, digest, plain
from clary.kernel.errors import Conflict, NotFound, Unavailable
from clary.kernel.resource import Event, Link, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.definitions import Checked
    from clary.features.model import Value
    from clary.features.point_in_time import PointInTime
    from clary.features.ports import OfflineStore, OnlineStore
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.features.training_sets import TrainingSet, TrainingSets, Wanted
    from clary.features.vectors import Entity
    from clary.features.view_engine import ViewEngine
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.kernel.resource import Page

VIEW = "feature-view"
"""Versioned; every version is a resource of its own and stays as it is."""
_MOST = 10_000
"""Compiled views at hand; beyond that all are compiled again."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What views work with.

    Parameters
    ----------
    store
        Where they are recorded.
    features
        The groups.
    online, offline
        Where the groups' records are.
    training_sets
        Joins labels with the groups.
    joins, engine
        Join and compute over many rows.
    """

    store: MetadataStore
    features: Features
    online: OnlineStore
    offline: OfflineStore
    training_sets: TrainingSets
    joins: PointInTime
    engine: ViewEngine


@dataclass(frozen=True, slots=True)
class Opened:
    """A version of a view, ready to compute.

    Parameters
    ----------
    is_filled
        Whether its tiles have all rows that there were when it was defined.
    """

    ref: Ref
    is_filled: bool
    uid: str
    checked: Checked
    tiles: Sequence[Tiles]
    vectors: Vectors
    groups: Sequence[Group]


class Views:
    """Defines views and computes their features.

    Parameters
    ----------
    tools
        The stores, the groups and the engine.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._opened: dict[Ref, Opened] = {}
        self._lock = threading.Lock()

    def define(self, ref: Ref, definition: JsonObject, *, actor: str) -> Resource:
        """Make the next version of a view, or give the latest when it is defined the same.

        Parameters
        ----------
        ref
            Its kind is ``VIEW``; the version is chosen here.
        definition
            See ``definitions.View``; by name, as JSON.

        Raises
        ------
        InvalidInput
            It makes no sense; names the place in the definition.
        NotFound
            A group does not exist.
        Conflict
            Another version was defined at the same time.
        """
        view = build(View, definition)
        self._checked(ref, view)
        moment, written = now(), plain(view)
        said = digest(written)
        latest = self._latest(ref)
        if latest is not None and latest.body["digest"] == said:
            return latest
        version = latest.ref.version + 1 if latest else 1
        body = {
            "definition": written,
            "digest": said,
            "uid": secrets.token_hex(8),
            "created_by": actor,
            "seen": {},
        }
        status = "Creating" if view.aggregates else "Created"
        made = Resource(replace(ref, version=version), body, moment, moment, status)
        with self._tools.store.begin() as change:
            made = change.insert(made, due=bool(view.aggregates))
            for group in view.groups:
                change.link(Link(ref.sibling(FEATURE_GROUP, group), "ContributedTo", made.ref))
            change.append(Event(moment, actor, f"{VIEW}.created", made.ref))
        return made

    def describe(self, ref: Ref) -> Resource:
        """Give a version of a view; the latest when ``ref`` has none. Raises NotFound."""
        found = self._tools.store.get(ref) if ref.version else self._latest(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Forget a version of a view and its tiles; what it materialised stays."""
        opened = self.open(self.describe(ref).ref)
        with self._tools.store.begin() as change:
            change.delete(opened.ref)
            change.append(Event(now(), actor, f"{VIEW}.deleted", opened.ref))
        for tiles in opened.tiles:
            tiles.drop()
        self._opened.pop(opened.ref, None)

    def vector(
        self, ref: Ref, entity: Entity, inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Value]:
        """Compute the features of one entity now, as an endpoint needs them; see ``compute``."""
        return self.compute(ref, [entity], [inputs or {}])[0]

    def compute(
        self,
        ref: Ref,
        entities: Sequence[Entity],
        inputs: Sequence[Mapping[str, Any]],
        *,
        at_us: int | None = None,
    ) -> Sequence[dict[str, Value]]:
        """Compute the features of entities from the latest records and what the request brings.

        Parameters
        ----------
        ref
            A version of a view, or the latest.
        entities
            Keys by identifier.
        inputs
            The request's inputs for each entity, by name; absent ones are missing.
        at_us
            Where windows end; now unless it is said.

        Raises
        ------
        NotFound
            There is no such view.
        InvalidInput
            See ``Vectors.compute``.
        Unavailable
            Its aggregates are being computed for the first time.
        """
        opened = self.ready(ref if ref.version else self.describe(ref).ref)
        return opened.vectors.compute(entities, inputs, now_us() if at_us is None else at_us)

    def training_set(
        self, ref: Ref, made: Ref, labels: Any, wanted: Wanted, *, actor: str
    ) -> TrainingSet:
        """Join labels with the features of a view as they were at the labels' times.

        The training set of the name given holds what the features are computed from, and which
        version of the view that is, so that it can be made again and its model knows the view.

        Parameters
        ----------
        ref
            A version of a view, or the latest.
        made
            The name of the training set.
        labels
            See ``TrainingSets.make``; columns named as inputs are the request's.
        wanted
            The time, the keys by group and the moment of knowing; its features are left empty.
        """
        found = self.describe(ref)
        batch = self.batch(found.ref)
        joined = self._tools.training_sets.make(
            made, batch.aggregated(labels, wanted), batch.wanted(wanted), actor=actor
        )
        with self._tools.store.begin() as change:
            change.link(Link(found.ref, "ContributedTo", made, "view"))
            for group, version in batch.versions.items():
                change.link(Link(group, "ContributedTo", made, version_role(version)))
        return replace(joined, table=batch.finished(joined.table))

    def reproduce(self, made: Ref) -> TrainingSet:
        """Make a view's training set again. Raises as ``TrainingSets.reproduce``, NotFound."""
        joined = self._tools.training_sets.reproduce(made)
        return replace(joined, table=self.batch(self.trained_on(made)).finished(joined.table))

    def trained_on(self, made: Ref) -> Ref:
        """Name the version of a view that a training set, or what was made of it, is of.

        Raises
        ------
        NotFound
            It goes back to no view.
        Conflict
            It goes back to several.
        """
        seen, near = {made}, [made]
        found: set[Ref] = set()
        while near:
            links = self._tools.store.links(*near, incoming=True)
            sources = {link.source for link in links} - seen
            found |= {one for one in sources if one.kind == VIEW}
            seen |= sources
            near = [one for one in sources if one.kind not in (VIEW, FEATURE_GROUP)]
        if not found:
            raise NotFound(f"the view of {made}")
        if len(found) > 1:
            raise Conflict(f"{made} goes back to {', '.join(map(str, sorted(found)))}")
        return found.pop()

    def open(self, ref: Ref) -> Opened:
        """Compile a version of a view, unless it is at hand and its groups are what they were."""
        held = self._opened.get(ref)
        if (
            held is not None
            and held.is_filled
            and all(self._tools.features.group(one.ref) is one for one in held.groups)
        ):
            return held
        found = self.describe(ref)
        made = self._compiled(found)
        with self._lock:
            if len(self._opened) >= _MOST:
                self._opened.clear()
            self._opened[ref] = made
        return made

    def ready(self, ref: Ref) -> Opened:
        """Compile a version of a view that can serve. Raises NotFound, Unavailable."""
        opened = self.open(ref)
        if not opened.is_filled:
            raise Unavailable(f"the aggregates of {opened.ref} are being computed")
        return opened

    def batch(self, ref: Ref) -> Batch:
        """Give what computes a version of a view over many rows."""
        tools = self._tools
        return Batch(self.open(ref).checked, tools.offline, tools.joins, tools.engine)

    def list(self, query: Query) -> Page:
        """List versions of views."""
        return self._tools.store.select(query)

    def _compiled(self, found: Resource) -> Opened:
        made = self._checked(found.ref, build(View, found.body["definition"]))
        uid, online = found.body["uid"], self._tools.online
        tiles = [
            Tiles(online, f"tiles-{uid}-{stream.group.uid}", stream) for stream in made.streams
        ]
        groups = list(made.groups.values())
        return Opened(
            found.ref,
            found.status == "Created",
            uid,
            made,
            tiles,
            Vectors(made, online, tiles),
            groups,
        )

    def _checked(self, ref: Ref, view: View) -> Checked:
        return checked(
            view, lambda name: self._tools.features.group(ref.sibling(FEATURE_GROUP, name))
        )

    def _latest(self, ref: Ref) -> Resource | None:
        query = Query(VIEW, ref.account, ref.region, name=ref.name, sort_by="version", limit=1)
        found = self._tools.store.select(query).items
        return found[0] if found else None
