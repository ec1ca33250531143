"""What there is to know of groups and features: how fresh, who uses them, where to find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from clary.expressions import parse
from clary.features.definitions import View, types_of
from clary.features.model import FEATURE, FEATURE_GROUP
from clary.features.statistics import joined
from clary.features.training_sets import TRAINING_SET
from clary.features.views import VIEW
from clary.kernel.clock import now_us
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.features.ports import OfflineStore, OnlineStore
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.features.statistics import StatisticsEngine
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource
    from clary.lineage.model import Node
    from clary.lineage.service import Lineage

OWNER = "owner"
"""The tag of a group, and the parameter of a feature, that say whose it is."""
_NODES = ("action", "artifact", "context")
"""Nodes of the public graph stand for what is named itself."""
_ENDPOINT = "-aws-endpoint"
_PAGE = 1_000
_LONGEST_TEXT = 1_000


class Recency(Struct, frozen=True):
    """How fresh a group is.

    Parameters
    ----------
    rows
        How many records its history has; None: it keeps none, and nothing below is known.
    entities
        How many the online store has, the deleted ones too; None: there is no online store.
    oldest_event_us, newest_event_us, newest_write_us
        Event times and the last time of a write, in microseconds since 1970.
    event_age_s, write_age_s
        How long ago the newest event and the last write were.
    lag_s
        How long after the newest event the last write was.
    """

    rows: int | None = None
    entities: int | None = None
    oldest_event_us: int | None = None
    newest_event_us: int | None = None
    newest_write_us: int | None = None
    event_age_s: float | None = None
    write_age_s: float | None = None
    lag_s: float | None = None


class Use(Struct, frozen=True):
    """Something that uses features of a group.

    Parameters
    ----------
    kind, name, version
        What it is: a view, a training set, a job, a model version, an endpoint, …
    features
        Which features, as far as that is known; empty: it is not.
    through
        The view, training set or query by which it does; empty when it is one itself.
    """

    kind: str
    name: str
    version: int
    features: Sequence[str] = ()
    through: str = ""


class Found(Struct, frozen=True):
    """A group, or a feature of one, that a search found."""

    group: str
    feature: str
    type: str
    description: str
    owner: str
    tags: dict[str, str]


class Discovery:
    """Says what is known of groups and features.

    Parameters
    ----------
    store, lineage
        Where groups, and what came of them, are recorded.
    features, online, offline, engine
        The groups, their records, and what counts them.
    """

    def __init__(
        self,
        store: MetadataStore,
        lineage: Lineage,
        features: Features,
        online: OnlineStore,
        offline: OfflineStore,
        engine: StatisticsEngine,
    ) -> None:
        self._store = store
        self._lineage = lineage
        self._features = features
        self._online = online
        self._offline = offline
        self._engine = engine

    def recency(self, ref: Ref) -> Recency:
        """Say how fresh a group is, with what was acknowledged just now. Raises NotFound."""
        group = self._features.group(ref)
        entities = self._online.count(group.online_table) if group.is_online else None
        if not group.is_offline:
            return Recency(entities=entities)
        there = self._offline.snapshot(group.offline_table)
        more = [(one.event_us, one.write_us) for _, one in there.unflushed]
        span, at_us = joined(self._engine.span(there.files), more), now_us()
        if span.newest_event_us is None or span.newest_write_us is None:
            return Recency(0, entities)
        return Recency(
            span.rows,
            entities,
            span.oldest_event_us,
            span.newest_event_us,
            span.newest_write_us,
            (at_us - span.newest_event_us) / 1e6,
            (at_us - span.newest_write_us) / 1e6,
            (span.newest_write_us - span.newest_event_us) / 1e6,
        )

    def usage(self, ref: Ref, feature: str = "") -> Sequence[Use]:
        """Say what uses a group or a feature: views, training sets, and what came of them.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            It has no such feature.
        """
        group = self._features.group(ref)
        if feature:
            group.place(feature)
        links = self._store.links(ref, incoming=False)
        users = self._store.get_all(dict.fromkeys(link.target for link in links))
        uses: dict[tuple[str, str, int], Use] = {}
        for user in users.values():
            names = _features_of(user, group)
            is_known = bool(names) or user.ref.kind == VIEW
            if feature and is_known and feature not in names:
                continue
            for use in self._uses(user.ref, names):
                uses.setdefault((use.kind, use.name, use.version), use)
        return list(uses.values())

    def said(self, ref: Ref) -> Found:
        """Give what is said of a group. Raises NotFound."""
        self._features.group(ref)
        [group] = self._store.get_all([ref]).values()
        return _found_group(group, self._store.tags(ref))

    def search(
        self,
        near: Ref,
        text: str = "",
        *,
        tags: Mapping[str, str] | None = None,
        owner: str = "",
    ) -> Sequence[Found]:
        """Find groups and features; those whose names fit best come first.

        Parameters
        ----------
        near
            Says the account and region.
        text
            Words that all occur, in any case, in the name, the description, the tags or the
            parameters.
        tags
            Tags of the group, or parameters of the feature, that it has.
        owner
            Who its tag ``owner`` names; else who made the group. A feature without one has the
            group's.
        """
        if len(text) > _LONGEST_TEXT:
            raise InvalidInput("text", f"has {len(text)} characters", legal=str(_LONGEST_TEXT))
        words = text.lower().split()
        wanted = dict(tags or {})
        found = [
            (rank, one)
            for one in self._all(near)
            if wanted.items() <= one.tags.items()
            and owner.lower() in ("", one.owner.lower())
            and (rank := _rank(one, words)) is not None
        ]
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    def _uses(self, direct: Ref, names: Sequence[str]) -> Iterator[Use]:
        """Yield what uses features itself, then everything that came of it."""
        names = list(names)
        yield Use(direct.kind, direct.name, direct.version, names)
        stack: list[Node] = [self._lineage.tree(direct, down=True)]
        while stack:
            node = stack.pop()
            stack += reversed(node.children)
            kind, name = node.ref.kind, node.ref.name
            if kind == "context" and name.endswith(_ENDPOINT):
                kind, name = "endpoint", name.removesuffix(_ENDPOINT)
            if node.ref != direct and kind not in _NODES:
                yield Use(kind, name, node.ref.version, names, str(direct))

    def _all(self, near: Ref) -> Iterator[Found]:
        groups = {one.ref.name: one for one in self._select(FEATURE_GROUP, near)}
        tags = self._store.tags_of([one.ref for one in groups.values()])
        for group in groups.values():
            yield _found_group(group, tags.get(group.ref, {}))
        for feature in self._select(FEATURE, near):
            group_name, _, name = feature.ref.name.partition("/")
            if group_name in groups:
                of = _found_group(groups[group_name], tags.get(groups[group_name].ref, {}))
                parameters = dict(feature.body["parameters"])
                yield Found(
                    group_name,
                    name,
                    feature.body["type"],
                    feature.body["description"],
                    parameters.get(OWNER, of.owner),
                    parameters,
                )

    def _select(self, kind: str, near: Ref) -> Iterator[Resource]:
        query = Query(
            kind, near.account, near.region, sort_by="name", descending=False, limit=_PAGE
        )
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)


def _features_of(user: Resource, group: Group) -> Sequence[str]:
    """Name the features of a group that a view or a training set reads, each once."""
    name = group.ref.name
    if user.ref.kind == TRAINING_SET:
        sources = [one["source"] for one in user.body["question"]["sources"]]
        return [read for one in sources if one["name"] == name for read in one["names"]]
    if user.ref.kind != VIEW:
        return []
    view, types = build(View, user.body["definition"]), types_of(group.schema)
    windowed = [
        parse(one.of, types).columns for one in view.aggregates.values() if one.group == name
    ]
    named = view.sources.get(name, [])
    return list(
        dict.fromkeys([*named, *(read for columns in windowed for read in sorted(columns))])
    )


def _found_group(group: Resource, tags: Mapping[str, str]) -> Found:
    request = group.body["request"]
    owner = tags.get(OWNER) or group.body["created_by"].rpartition("/")[2]
    return Found(
        group.ref.name, "", "feature group", request.get("Description", ""), owner, dict(tags)
    )


def _rank(one: Found, words: Sequence[str]) -> tuple[int, str, str] | None:
    """Say how well something fits, best first; None: a word does not occur."""
    name = (one.feature or one.group).lower()
    texts = (one.description, *one.tags, *one.tags.values())
    said = " ".join(texts).lower()
    if not all(word in name or word in said for word in words):
        return None
    whole = " ".join(words)
    best = 0 if name == whole else 1 if name.startswith(whole) else 2
    if best == 2 and not all(word in name for word in words):
        best = 3
    return best, one.group, one.feature
