"""Views written down: what needs no request, as records of a feature group of the view's own."""

from __future__ import annotations

import secrets
from bisect import bisect_right
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clary.features.definitions import EVENT_TIME
from clary.features.model import FEATURE_GROUP
from clary.features.view_engine import Span
from clary.kernel.clock import now, now_us
from clary.kernel.errors import AlreadyExists, ClaryError, Conflict, InvalidInput
from clary.kernel.resource import Bucket, Event, Link, Resource, existing

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from clary.features.definitions import Checked
    from clary.features.model import Record, Value
    from clary.features.records import Group
    from clary.features.views import Opened, Tools, Views
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, ObjectStore
    from clary.kernel.resource import Page, Query

MATERIALIZATION = "feature-materialization"
_BUCKET = "clary-feature-views-{}"
_AT_ONCE = 10_000
_KINDS = {"List": {"CollectionType": "List"}, None: {}}


class Materializations:
    """Writes the features of views down, for every entity that may have changed.

    Parameters
    ----------
    tools, views
        The views and what they work with.
    objects
        Where the bucket is that the groups of views lie in.
    """

    def __init__(self, tools: Tools, views: Views, objects: ObjectStore) -> None:
        self._tools = tools
        self._views = views
        self._objects = objects

    def start(
        self, view: Ref, since: datetime | None = None, *, actor: str, until: datetime | None = None
    ) -> Resource:
        """Compute a view for the entities with changes in ``(since, until]``; a worker does it.

        A change is a row of that time, one that was written in it, or one that left a window.

        Its features at ``until`` become records of that event time, online and offline, of the
        feature group ``<view>-v<version>``, which is made when it is not there.

        Parameters
        ----------
        view
            A version of a view, or the latest.
        since
            None: from the beginning.
        until
            Now unless it is said.

        Raises
        ------
        NotFound
            There is no such view.
        InvalidInput
            The view has several identifiers, every feature needs a request, or ``until`` is not
            after ``since`` or in the future.
        """
        opened = self.check(view)
        limit_us = now_us()
        until_us = limit_us if until is None else int(until.timestamp() * 1e6)
        since_us = None if since is None else int(since.timestamp() * 1e6)
        if until_us > limit_us or (since_us is not None and since_us >= until_us):
            raise InvalidInput("until", f"{until}", legal="after since, and not in the future")
        group = self._group(opened, actor)
        name = f"{opened.ref.name}/{opened.ref.version}/{secrets.token_hex(8)}"
        moment, ref = now(), opened.ref.sibling(MATERIALIZATION, name)
        body = {
            "group": group.name,
            "version": opened.ref.version,
            "since_us": since_us,
            "until_us": until_us,
            "after": "",
            "count": 0,
            "reason": "",
            "actor": actor,
        }
        made = Resource(ref, body, moment, moment, "InProgress", opened.ref)
        with self._tools.store.begin() as change:
            made = change.insert(made, due=True)
            change.append(Event(moment, actor, f"{MATERIALIZATION}.created", ref))
        return made

    def check(self, view: Ref) -> Opened:
        """Refuse a view that cannot be written down. Raises NotFound, InvalidInput."""
        opened = self._views.open(self._views.describe(view).ref)
        _identifier(opened.checked)
        return opened

    def describe(self, ref: Ref) -> Resource:
        """Give one with its progress: ``count`` records until now. Raises NotFound."""
        return existing(self._tools.store.get, ref)

    def list(self, query: Query) -> Page:
        """List them."""
        return self._tools.store.select(query)

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Go on where it was left; the worker's handler of ``MATERIALIZATION``."""
        if found.status != "InProgress":
            return None
        try:
            for after, count in self._written(found):
                found = self._progress(found, "InProgress", after=after, count=count)
                if stopping.is_set():
                    return now()
        except Conflict:
            raise
        except ClaryError as error:
            if error.retryable:
                raise
            self._progress(found, "Failed", reason=str(error))
            return None
        self._progress(found, "Completed")
        return None

    def _written(self, found: Resource) -> Iterator[tuple[str, int]]:
        """Write records, part by part; yield the last key and how many there are.

        What was written before and not noted is found in the table, and not written again.
        """
        body = found.body
        parent = found.parent or found.ref
        batch = self._views.batch(parent)
        group = self._tools.features.group(found.ref.sibling(FEATURE_GROUP, body["group"]))
        until_us, since_us, count = body["until_us"], body["since_us"], body["count"]
        keys = batch.keys(-(2**62) if since_us is None else since_us, until_us)
        keys = keys[bisect_right(keys, body["after"]) :]
        version = self._tools.offline.flush(group.offline_table)
        files = self._tools.offline.files(group.offline_table, version)
        there = frozenset(
            self._tools.engine.keys(group.schema, files, Span(until_us - 1, until_us))
        )
        for first in range(0, len(keys), _AT_ONCE):
            part = keys[first : first + _AT_ONCE]
            fresh = [key for key in part if key not in there]
            stored = batch.stored(fresh, until_us) if fresh else []
            records = [
                _record(group, key, values, until_us)
                for key, values in zip(fresh, stored, strict=True)
            ]
            if records:
                self._tools.features.write(group, records)
            count += len(part)
            yield part[-1], count

    def _progress(self, found: Resource, status: str, **changes: object) -> Resource:
        with self._tools.store.begin() as change:
            done = change.update(replace(found, status=status, body={**found.body, **changes}))
            if status != "InProgress":
                actor = found.body["actor"]
                change.append(Event(now(), actor, f"{MATERIALIZATION}.{status.lower()}", found.ref))
        return done

    def _group(self, opened: Opened, actor: str) -> Ref:
        """Make the view's own group when it is not there."""
        ref = opened.ref.sibling(FEATURE_GROUP, f"{opened.ref.name}-v{opened.ref.version}")
        bucket = _BUCKET.format(ref.account)
        with suppress(AlreadyExists):
            self._objects.create_bucket(Bucket(bucket, ref.account, ref.region, now()))
        with suppress(AlreadyExists):
            self._tools.features.create(
                ref, _request(ref.name, bucket, opened.checked), actor=actor
            )
        with self._tools.store.begin() as change:
            change.link(Link(opened.ref, "Produced", ref))
        return ref


def _record(group: Group, key: str, values: Mapping[str, Value], until_us: int) -> Record:
    """Make the record of an entity; made again, it is the same."""
    moment = datetime.fromtimestamp(until_us // 1_000_000, UTC)
    moment = moment.replace(microsecond=until_us % 1_000_000)
    schema = group.schema
    read = group.text_readers[schema.identifier][1](key)
    made = {**values, schema.identifier: read, schema.event_time: moment}
    return group.record(group.read(made), until_us)


def _identifier(checked: Checked) -> str:
    if len(checked.identifiers) != 1:
        raise InvalidInput(
            "view", f"has the identifiers {', '.join(checked.identifiers)}", legal="one identifier"
        )
    if not checked.stored:
        raise InvalidInput("view", "every feature needs a request", legal="one that needs none")
    return checked.identifiers[0]


def _request(name: str, bucket: str, checked: Checked) -> JsonObject:
    """Write the document of a view's own group."""
    identifier = _identifier(checked)
    source = next(iter(checked.groups.values())).schema
    kind = next(one.kind for one in source.features if one.name == identifier)
    ttl_s = checked.view.ttl_s
    ttl = {"TtlDuration": {"Unit": "Seconds", "Value": ttl_s}} if ttl_s else {}
    return {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": identifier,
        "EventTimeFeatureName": EVENT_TIME,
        "FeatureDefinitions": [
            {"FeatureName": identifier, "FeatureType": kind},
            {"FeatureName": EVENT_TIME, "FeatureType": "String"},
            *(
                {"FeatureName": one.name, "FeatureType": one.kind, **_KINDS[one.collection]}
                for one in checked.stored
            ),
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True, **ttl},
        "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": f"s3://{bucket}"}},
    }
