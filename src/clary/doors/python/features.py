"""``clary.FeatureGroup``: what is known of entities, now and ever."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clary.doors.python.feature_requests import change, ttl_members, written
from clary.doors.python.feature_types import definitions
from clary.doors.python.session import session
from clary.features.discovery import OWNER
from clary.features.model import FEATURE_GROUP
from clary.features.training_sets import microseconds
from clary.kernel.clock import now
from clary.kernel.codec import plain
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from clary.features.model import Value
    from clary.features.point_in_time import Form
    from clary.features.records import Group
    from clary.kernel.ports import JsonObject

_ROWS_A_BATCH = 10_000


class FeatureGroup:
    """A feature group of the session that was connected last, made when there is none.

    It needs no server; a server of the same home, and the SDK at it, see the same records. The
    same definition opens the group; further features are added to it.

    Parameters
    ----------
    name
        What it is called. Alone it opens a group.
    identifier
        The feature that says which entity a record is of; text unless ``features`` says else.
    event_time
        The feature that says when a record was true: text as ``2026-01-31T12:00:00Z`` or a
        datetime with its zone; seconds since 1970 if ``features`` says float.
    features
        Types by name: int, float, str, ``list[…]``, ``set[…]``, and vectors as
        ``Annotated[list[float], 384]``.
    online, offline
        Whether the latest record of each entity is kept, and whether all are.
    ttl
        How long records count online, from their event time on, in whole seconds; None: for ever,
        or as it was.

    Raises
    ------
    InvalidInput
        The definition makes no group, or differs from what is there in more than further
        features; names the feature.
    NotFound
        Only a name was given, and there is no such group.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the definition
        self,
        name: str,
        *,
        identifier: str = "",
        event_time: str = "",
        features: Mapping[str, Any] | None = None,
        online: bool = True,
        offline: bool = True,
        ttl: timedelta | None = None,
    ) -> None:
        self._session = session()
        self._ref = self._session.ref(FEATURE_GROUP, name)
        self._features = self._session.platform.features
        self._store = self._session.platform.feature_store
        if not identifier and not event_time and features is None:
            self._features.group(self._ref)
            return
        request: JsonObject = {
            "FeatureGroupName": name,
            "RecordIdentifierFeatureName": identifier,
            "EventTimeFeatureName": event_time,
            "FeatureDefinitions": definitions(features or {}, identifier, event_time),
        }
        if online:
            request["OnlineStoreConfig"] = {"EnableOnlineStore": True, **ttl_members(ttl)}
        if offline:
            place = f"s3://{self._session.bucket}/features"
            request["OfflineStoreConfig"] = {"S3StorageConfig": {"S3Uri": place}}
        self._open(request)

    @property
    def name(self) -> str:
        """What it is called."""
        return self._ref.name

    def put(self, values: Mapping[str, object]) -> None:
        """Write a record; it is on the disk, in every store of the group, when this returns.

        A feature that is left out is missing from then on. Raises InvalidInput, which names the
        feature and what is legal.
        """
        self._features.put_record(self._ref, values)

    def ingest(self, frame: Any, *, partial: bool = False) -> Mapping[int, InvalidInput]:
        """Write the rows of a pandas or Polars frame or an Arrow table; cells without a value miss.

        A path or an ``s3://…`` of CSV, Parquet or JSON lines is read; the group then knows that it
        came from there. Rows are written 10,000 at a time. Writing the same rows again changes
        nothing that is read online; history then has them twice.

        Parameters
        ----------
        partial
            Write the rows that are right even when others are not.

        Returns
        -------
        Mapping[int, InvalidInput]
            What was wrong, by row from 0; empty when all are written.

        Raises
        ------
        InvalidInput
            A row is wrong and ``partial`` is not set: nothing is written; names row and feature.
        """
        if isinstance(frame, str | os.PathLike):
            return self._ingest_file(os.fspath(frame), partial=partial)
        batches = self._batches(frame)
        if not partial:
            self._check(batches)
        wrong: dict[int, InvalidInput] = {}
        start = 0
        for batch in batches:
            found = self._features.put_records(self._ref, batch.to_pylist(), partial=True)
            wrong |= {start + at: error for at, error in found.items()}
            start += batch.num_rows
        return wrong

    def get(self, key: object, features: Sequence[str] = ()) -> dict[str, Value] | None:
        """Read the latest values of an entity, all or those of ``features``.

        None when there is nothing; what is missing is left out.
        """
        return self._features.get_record(self._ref, key, features)

    def get_many(
        self, keys: Sequence[object], features: Sequence[str] = ()
    ) -> list[dict[str, Value] | None]:
        """Read the latest values of entities in one read, in the order of ``keys``."""
        found = self._features.get_records([(self._ref, key) for key in keys])
        return [
            None if record is None else group.picked(record, features) for group, record in found
        ]

    def delete(
        self, key: object, *, at: datetime | str | float | None = None, hard: bool = False
    ) -> None:
        """Say that from a time on, now unless it is said, there is nothing of an entity.

        Parameters
        ----------
        hard
            Forget the online record too, instead of keeping the deletion's time. History keeps its
            rows and the deletion either way.
        """
        event_time = written(self._group(), now() if at is None else at)
        self._features.delete_record(self._ref, key, event_time, hard=hard)

    def history(self, key: object) -> list[dict[str, Any]]:
        """Read every record there is of an entity, the earliest first.

        By feature, and ``write_time`` and ``is_deleted``. Raises InvalidInput when the group has
        no offline store.
        """
        return self._store.histories.of(self._ref, key)

    def frame(
        self,
        *,
        at: datetime | None = None,
        known_at: datetime | None = None,
        form: Form = "pandas",
    ) -> Any:
        """Give the features of all entities as they were at a time, now unless it is said.

        Parameters
        ----------
        at
            UTC where it has no zone.
        known_at
            Only what had been written until then counts.
        form
            ``pandas``, ``polars`` or ``arrow``.

        Raises
        ------
        InvalidInput
            The group has no offline store, or its retention removed what was true then.
        """
        moments = [None if one is None else microseconds(one) for one in (at, known_at)]
        return self._store.frames.convert(self._store.histories.frame(self._ref, *moments), form)

    def erase(self, key: object) -> None:
        """Remove an entity from all that is kept: online, history with its old versions, facts."""
        self._store.erasure.erase(self._ref, [key], actor=self._session.actor)

    def keep(self, age: timedelta | None) -> None:
        """Have rows removed from history that are older, by their event times; None: none.

        A running server or a connected session removes them within hours.
        """
        age_us = None if age is None else age // timedelta(microseconds=1)
        self._store.retention.keep(self._ref, age_us, actor=self._session.actor)

    def annotate(
        self,
        feature: str = "",
        *,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> None:
        """Say what the group, or a feature of it, means, and whose it is; None leaves it.

        Tags of a feature are its parameters; a tag that is None is removed.
        """
        said = dict(tags or {}) | ({} if owner is None else {OWNER: owner})
        self._store.annotations.annotate(
            self._ref, feature, description, said, actor=self._session.actor
        )

    def describe(self) -> dict[str, Any]:
        """Give what is known of the group: definition, owner, tags, freshness, retention."""
        return self._store.annotations.describe(self._ref)

    def statistics(self) -> dict[str, Any]:
        """Count what history holds: of each feature what is missing, its distribution, and so on.

        It is counted once for each version of the table; see ``statistics.FeatureStatistics``.
        """
        return dict(plain(self._store.statistics.of(self._ref)))

    def freshness(self) -> dict[str, Any]:
        """Say how fresh the group is: rows, newest event and write, ages and lag in seconds."""
        return dict(plain(self._store.discovery.recency(self._ref)))

    def usage(self, feature: str = "") -> list[dict[str, Any]]:
        """List what uses the group or a feature: views, training sets, jobs, models, endpoints."""
        return [plain(one) for one in self._store.discovery.usage(self._ref, feature)]

    def came_from(self, name: str, files: Mapping[str, bytes]) -> None:
        """Keep small files as what the group was made from: a program, a flow."""
        self._store.ingestion.came_from(self._ref, self._session.bucket, name, files)

    def lineage(self, *, down: bool = False) -> dict[str, Any]:
        """Say what the group came from; or (``down``) what became of it: a tree of things."""
        return dict(plain(self._session.platform.lineage.tree(self._ref, down=down)))

    def __repr__(self) -> str:
        return f"FeatureGroup({self.name!r})"

    def _group(self) -> Group:
        return self._features.group(self._ref)

    def _batches(self, frame: Any) -> list[Any]:
        try:
            table = self._store.frames.table(frame)
        except InvalidInput as error:
            raise InvalidInput("frame", error.problem, legal=error.legal) from None
        return list(table.to_batches(max_chunksize=_ROWS_A_BATCH))

    def _ingest_file(self, source: str, *, partial: bool) -> Mapping[int, InvalidInput]:
        ingestion, actor = self._store.ingestion, self._session.actor
        done = ingestion.ingest(self._ref, source, partial=partial, actor=actor)
        wrong = {at - 1: error for at, error in done.wrong.items()}
        if wrong and not partial:
            at, error = next(iter(wrong.items()))
            raise InvalidInput(f"row {at}: {error.field}", error.problem, legal=error.legal)
        return wrong

    def _check(self, batches: Sequence[Any]) -> None:
        group, write_us, at = self._group(), self._features.stamp(), 0
        for batch in batches:
            for row in batch.to_pylist():
                try:
                    group.record(group.read(row), write_us)
                except InvalidInput as error:
                    field = f"row {at}: {error.field}"
                    raise InvalidInput(field, error.problem, legal=error.legal) from None
                at += 1

    def _open(self, request: JsonObject) -> None:
        try:
            present = self._features.describe(self._ref)
        except NotFound:
            self._session.send(self._session.uploads())
            with suppress(AlreadyExists):
                self._features.create(self._ref, request, actor=self._session.actor)
                return
            present = self._features.describe(self._ref)
        if asked := change(present, request):
            name = {"FeatureGroupName": self.name}
            self._features.update(self._ref, name | asked, actor=self._session.actor)
