"""Feature groups and their records: made, changed, written, read and removed."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.features import documents, groups, requests
from clary.features.catalog import Catalog, compiled
from clary.features.model import FEATURE, FEATURE_GROUP
from clary.features.records import counts
from clary.kernel.clock import now, now_us
from clary.kernel.codec import build
from clary.kernel.errors import AlreadyExists, InvalidInput
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Event, Page, Query, Resource, existing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from clary.features.model import Record, Value
    from clary.features.ports import OfflineStore, OnlineStore
    from clary.features.records import Group, Store
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore


class Features:
    """The verbs of feature groups and their records.

    A record that was acknowledged is in every store it was meant for: first in the offline store's
    log, then in the online store.

    Parameters
    ----------
    store, objects
        Where groups are recorded, and where the buckets are that offline tables lie in.
    online, offline
        Where records are.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        online: OnlineStore,
        offline: OfflineStore,
    ) -> None:
        self._store = store
        self._objects = objects
        self._online = online
        self._offline = offline
        self._catalog = Catalog(store)
        self._lock = threading.Lock()
        self._written_us = 0
        self._watchers: list[Callable[[Group], None]] = []

    def watch(self, watcher: Callable[[Group], None]) -> None:
        """Have a function told of every group whose history grows; it must return at once."""
        self._watchers.append(watcher)

    def create(
        self, ref: Ref, request: JsonObject, *, actor: str, tags: Mapping[str, str] | None = None
    ) -> Resource:
        """Make a group of a CreateFeatureGroup document; it can be written to at once.

        Raises
        ------
        InvalidInput
            The document is malformed, or there is no such bucket; names the member or the feature.
        AlreadyExists
            There is a group of this name, or another has its table's name.
        """
        made = groups.group(ref, request, actor=actor)
        groups.refuse_absent(self._objects, made)
        definitions = requests.group(request).feature_definitions
        with self._store.begin() as change:
            self._refuse_taken(ref, made.body["table"].get("TableName", ""))
            made = change.insert(made)
            groups.add_features(change, made, definitions)
            change.tag(ref, dict(tags or {}))
            change.append(Event(made.created_at, actor, f"{FEATURE_GROUP}.created", ref))
        self._catalog.forget(ref)
        return made

    def describe(self, ref: Ref) -> JsonObject:
        """Give the DescribeFeatureGroup document."""
        return documents.group(self._get(ref))

    def list(self, query: Query) -> Page:
        """List groups."""
        return self._store.select(query)

    def update(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Add features at the end of a group, or change its TTL or throughput.

        Raises
        ------
        InvalidInput
            A feature is there already or malformed; names it.
        Conflict
            The group is being deleted.
        """
        asked = build(requests.GroupChange, request)
        requests.throughput(asked.throughput_config)
        with self._store.begin() as change:
            found = groups.created(change, ref)
            after = groups.changed(found.body["request"], request)
            requests.group(after)
            added = asked.feature_additions
            body = {
                **found.body,
                "request": after,
                "version": found.body["version"] + bool(added),
                "updated": True,
            }
            changed = change.update(replace(found, body=body))
            groups.add_features(change, changed, added)
            detail = {"features": [one.feature_name for one in added]}
            change.append(Event(now(), actor, f"{FEATURE_GROUP}.updated", ref, detail))
        self._catalog.forget(ref)
        return changed

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a group and its online records; offline records stay where they are."""
        with self._store.begin() as change:
            found = existing(change.get, ref)
            if found.status != "Deleting":
                change.update(replace(found, status="Deleting"))
                change.append(Event(now(), actor, f"{FEATURE_GROUP}.deleted", ref))
            change.wake(ref)
        self._catalog.forget(ref)

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Finish what a deletion has begun; the worker's handler of ``FEATURE_GROUP``."""
        if found.status != "Deleting" or stopping.is_set():
            return None
        if compiled(found).is_online:
            self._online.drop(compiled(found).online_table)
        belongings = groups.belongings(self._store, found)
        with self._store.begin() as change:
            for ref in (*belongings, found.ref):
                change.delete(ref)
        return None

    def describe_feature(self, ref: Ref, name: str) -> JsonObject:
        """Give the DescribeFeatureMetadata document of a group's feature."""
        self._get(ref)
        return documents.feature(self._get(groups.feature_ref(ref, name)))

    def update_feature(self, ref: Ref, name: str, request: JsonObject, *, actor: str) -> None:
        """Change what is said of a feature: its description and parameters.

        Raises
        ------
        NotFound
            There is no such group or feature.
        LimitExceeded
            It would have more than 25 parameters.
        """
        asked, feature = build(requests.FeatureChange, request), groups.feature_ref(ref, name)
        with self._store.begin() as change:
            existing(change.get, ref)
            found = existing(change.get, feature)
            change.update(replace(found, body=groups.said(found, asked)))
            change.append(Event(now(), actor, f"{FEATURE}.updated", feature))

    def group(self, ref: Ref) -> Group:
        """Give what the data plane needs of a group, at hand. Raises NotFound."""
        return self._catalog.find(ref)

    def at_hand(self, ref: Ref) -> Group | None:
        """Give a group if that takes no time."""
        return self._catalog.at_hand(ref)

    def groups(self, account: str, region: str) -> Iterator[Group]:
        """Yield every group of an account and region, by name."""
        return self._catalog.all(account, region)

    def put_record(
        self,
        ref: Ref,
        values: Mapping[str, object],
        *,
        is_text: bool = False,
        stores: Collection[Store] = (),
        ttl_us: int | None = None,
    ) -> Record:
        """Write a record, durable in all of its stores when this returns.

        Parameters
        ----------
        values
            By feature; None and absent ones are missing.
        is_text
            Whether they are text, as in the public API.
        stores
            Where it goes; empty: to every store of the group.
        ttl_us
            Microseconds that it counts online; None: as the group says.

        Raises
        ------
        InvalidInput
            See ``Group.read`` and ``Group.record``.
        NotFound
            There is no such group.
        """
        group, record = self.checked(ref, values, is_text=is_text, ttl_us=ttl_us)
        self.write(group, [record], stores)
        return record

    def checked(
        self,
        ref: Ref,
        values: Mapping[str, object],
        *,
        is_text: bool = False,
        ttl_us: int | None = None,
    ) -> tuple[Group, Record]:
        """Make the record that ``put_record`` would write."""
        group = self.group(ref)
        try:
            row = group.read(values, is_text=is_text)
        except InvalidInput:
            latest = self._catalog.look(ref)
            if latest is group:
                raise
            group, row = latest, latest.read(values, is_text=is_text)
        return group, group.record(row, self.stamp(), ttl_us)

    def put_records(
        self,
        ref: Ref,
        rows: Sequence[Mapping[str, object]],
        *,
        partial: bool = False,
        stores: Collection[Store] = (),
        ttl_us: int | None = None,
    ) -> Mapping[int, InvalidInput]:
        """Write many records; those of a group's one entity may come in any order.

        Parameters
        ----------
        partial
            Write the rows that are right even when others are not.

        Returns
        -------
        Mapping[int, InvalidInput]
            What was wrong, by row; empty when all are written.

        Raises
        ------
        InvalidInput
            A row is wrong and ``partial`` is not set: nothing is written; names row and feature.
        """
        group = self._catalog.look(ref)
        records, wrong = [], {}
        for at, values in enumerate(rows):
            try:
                records.append(group.record(group.read(values), self.stamp(), ttl_us))
            except InvalidInput as error:
                if not partial:
                    raise InvalidInput(
                        f"row {at}: {error.field}", error.problem, legal=error.legal
                    ) from None
                wrong[at] = error
        if records:
            self.write(group, records, stores)
        return wrong

    def write(
        self,
        group: Group,
        records: Sequence[Record],
        stores: Collection[Store] = (),
        *,
        over_us: int | None = None,
    ) -> bool:
        """Write checked records, durably; if asked, only over one written then: say whether."""
        chosen = group.stores(stores)
        if "offline" in chosen:
            self._offline.append(group.offline_table, group.schema, records)
            for told in self._watchers:
                told(group)
        if "online" in chosen:
            count = self._online.write(group.online_table, records, written_us=over_us)
            return over_us is None or count > 0
        return True

    def delete_record(
        self,
        ref: Ref,
        key: object,
        event_time: object,
        *,
        hard: bool = False,
        stores: Collection[Store] = (),
    ) -> None:
        """Say that from a time on there is nothing of an entity.

        Parameters
        ----------
        key
            The identifier, or its text.
        event_time
            Since when; an online record of a later event time stays.
        hard
            Forget the online record instead of keeping the deletion's time; refused when that
            record is of a later event time.
        """
        group = self.group(ref)
        gone = group.tombstone(group.key(key), event_time, self.stamp())
        is_hard = hard and "online" in group.stores(stores)
        if is_hard and (held := self._online.read([(group.online_table, gone.key)])[0]):
            group.refuse_late(gone, held)
        self.write(group, [gone], stores)
        if is_hard:
            self._online.remove(group.online_table, [gone.key], written_us=gone.write_us)

    def get_record(
        self, ref: Ref, key: object, names: Sequence[str] = ()
    ) -> dict[str, Value] | None:
        """Read the latest values of an entity; missing ones are left out.

        Returns
        -------
        dict[str, Value] | None
            By feature, in the order of ``names`` or else of the group; None: there is nothing.
        """
        (group, record) = self.get_records([(ref, key)])[0]
        return None if record is None else group.picked(record, names)

    def get_records(
        self, asked: Sequence[tuple[Ref, object]]
    ) -> Sequence[tuple[Group, Record | None]]:
        """Read the latest records of entities of any groups, in one read.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            A group has no online store, or a key is not of its identifier's type.
        """
        groups = [self.group(ref).online() for ref, _ in asked]
        pairs = [
            (group.online_table, group.key(key))
            for group, (_, key) in zip(groups, asked, strict=True)
        ]
        at_us = now_us()
        return [
            (group, record if record is not None and counts(record, at_us) else None)
            for group, record in zip(groups, self._online.read(pairs), strict=True)
        ]

    def list_keys(
        self, ref: Ref, *, with_deleted: bool = False, limit: int = 100, token: str = ""
    ) -> tuple[Sequence[str], str]:
        """List the keys of online records, one page, and the token of the next.

        Parameters
        ----------
        with_deleted
            Also the keys of tombstones.
        """
        group, at_us = self.group(ref).online(), now_us()
        after = decode_token(token) if token else ""
        if not isinstance(after, str):
            raise InvalidInput("NextToken", f"{token[:40]!r} is not a token of this list")
        found = self._online.list(group.online_table, after=after, limit=limit)
        keys = [
            record.key
            for record in found
            if counts(record, at_us) or (with_deleted and record.is_deleted)
        ]
        return keys, encode_token(found[-1].key) if len(found) == limit else ""

    def stamp(self) -> int:
        """Give the time of a write: now in microseconds, and later than every stamp before."""
        with self._lock:
            self._written_us = max(self._written_us + 1, now_us())
            return self._written_us

    def _get(self, ref: Ref) -> Resource:
        return existing(self._store.get, ref)

    def _refuse_taken(self, ref: Ref, table: str) -> None:
        where = {"table.TableName": table}
        query = Query(FEATURE_GROUP, ref.account, ref.region, where=where, limit=1)
        if table and self._store.select(query).items:
            raise AlreadyExists(f"table {table}", hint="another feature group has it")
