"""``clary.FeatureGroup``: what is known of entities, now and ever."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from clary.doors.python.feature_types import definitions
from clary.doors.python.session import session
from clary.features.model import FEATURE_GROUP
from clary.features.values import event_time_us
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.model import Value
    from clary.features.records import Group
    from clary.kernel.ports import JsonObject

_ROWS_A_BATCH = 10_000
_CASTS = {"Integral": "BIGINT", "Fractional": "DOUBLE", "String": "VARCHAR"}
_SAME = ("FeatureType", "CollectionType", "CollectionConfig")


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
            request["OnlineStoreConfig"] = {"EnableOnlineStore": True, **_ttl(ttl)}
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

        They are written 10,000 rows at a time. Writing the same rows again changes nothing that
        is read online; history then has them twice.

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
        event_time = _written(self._group(), now() if at is None else at)
        self._features.delete_record(self._ref, key, event_time, hard=hard)

    def history(self, key: object) -> list[dict[str, Any]]:
        """Read every record there ever was of an entity, the earliest first.

        By feature, and ``write_time`` and ``is_deleted``. Raises InvalidInput when the group has
        no offline store.
        """
        group = self._group()
        if not group.is_offline:
            raise InvalidInput("history", f"{self.name} has no offline store")
        schema, ref = group.schema, self._ref
        kind = schema.features[group.place(schema.identifier)].kind
        text = (
            f"SELECT * EXCLUDE (api_invocation_time) FROM history.{_quoted(self.name)} "  # noqa: S608 - quoted
            f"WHERE {_quoted(schema.identifier)} = "
            f"CAST({_literal(group.key(key))} AS {_CASTS[kind]})"
        )
        queries = self._session.platform.feature_store.queries
        rows = queries.run(text, account=ref.account, region=ref.region).to_pylist()
        return sorted(
            rows, key=lambda row: (event_time_us(row[schema.event_time]), row["write_time"])
        )

    def __repr__(self) -> str:
        return f"FeatureGroup({self.name!r})"

    def _group(self) -> Group:
        return self._features.group(self._ref)

    def _batches(self, frame: Any) -> list[Any]:
        try:
            table = self._session.platform.feature_store.frames.table(frame)
        except InvalidInput as error:
            raise InvalidInput("frame", error.problem, legal=error.legal) from None
        return list(table.to_batches(max_chunksize=_ROWS_A_BATCH))

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
        change = _change(present, request)
        if change:
            name = {"FeatureGroupName": self.name}
            self._features.update(self._ref, name | change, actor=self._session.actor)


def _change(present: JsonObject, request: JsonObject) -> JsonObject:
    """Say what is to change of a group that is there. Raises InvalidInput."""
    _refuse_others(present, request)
    known = {one["FeatureName"]: one for one in present["FeatureDefinitions"]}
    added = []
    for one in request["FeatureDefinitions"]:
        before = known.get(one["FeatureName"])
        if before is None:
            added.append(one)
        elif any(before.get(member) != one.get(member) for member in _SAME):
            was = " of ".join(before[member] for member in _SAME[1::-1] if before.get(member))
            raise InvalidInput(one["FeatureName"], "is in the group with another type", legal=was)
    change: JsonObject = {"FeatureAdditions": added} if added else {}
    ttl = request.get("OnlineStoreConfig", {}).get("TtlDuration")
    if ttl and ttl != present["OnlineStoreConfig"].get("TtlDuration"):
        change["OnlineStoreConfig"] = {"TtlDuration": ttl}
    return change


def _refuse_others(present: JsonObject, request: JsonObject) -> None:
    """Refuse another identifier, event time or stores than those of the group that is there."""
    members = {
        "identifier": "RecordIdentifierFeatureName",
        "event_time": "EventTimeFeatureName",
    }
    for word, member in members.items():
        if present[member] != request[member]:
            raise InvalidInput(
                word, f"{request[member]!r} is not the group's", legal=present[member]
            )
    for word, is_there in _stores(present).items():
        if is_there != _stores(request)[word]:
            raise InvalidInput(word, f"{not is_there} is not the group's", legal=str(is_there))


def _stores(document: JsonObject) -> dict[str, bool]:
    online = document.get("OnlineStoreConfig", {})
    return {
        "online": bool(online.get("EnableOnlineStore")),
        "offline": "OfflineStoreConfig" in document,
    }


def _ttl(ttl: timedelta | None) -> JsonObject:
    if ttl is None:
        return {}
    if ttl % timedelta(seconds=1) or ttl < timedelta(seconds=1):
        raise InvalidInput("ttl", f"{ttl} is none", legal="whole seconds, 1 or more")
    return {"TtlDuration": {"Unit": "Seconds", "Value": ttl // timedelta(seconds=1)}}


def _written(group: Group, moment: datetime | str | float) -> str:
    """Write a time as the group's event times are written. Raises InvalidInput."""
    if isinstance(moment, str):
        return moment
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidInput("at", f"{moment} has no time zone", legal="a datetime with one")
        at = group.place(group.schema.event_time)
        if group.schema.features[at].kind == "String":
            return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        moment = moment.timestamp()
    return str(moment)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
