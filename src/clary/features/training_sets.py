"""Training sets: labels with the features that were true at their times, made again at will."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clary.features.model import FEATURE_GROUP, Schema
from clary.features.point_in_time import Question, Source
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput
from clary.kernel.resource import Bucket, Event, Link, Resource, existing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.features.point_in_time import Encoded, Form, PointInTime
    from clary.features.ports import OfflineStore
    from clary.features.records import Group
    from clary.features.retention import Retention
    from clary.features.service import Features
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore
    from clary.kernel.resource import Page, Query

TRAINING_SET = "training-set"
_BUCKET = "clary-training-sets-{account}"
_EVERY = "*"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for beside the labels.

    Parameters
    ----------
    features
        ``group.feature`` each, or ``group.*`` for all but the identifier and the event time.
    time
        The column of the labels that holds their times; see ``Question.time``.
    keys
        By group, the column that holds its identifier; else it is called as the identifier is.
    known_at
        Only what had been written until then counts: a moment, or the column of the labels that
        holds each one's own; None: all that is known now.
    """

    features: Sequence[str]
    time: str = "event_time"
    keys: Mapping[str, str] | None = None
    known_at: datetime | str | None = None


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A training set at hand.

    Parameters
    ----------
    ref
        Its name, under which it can be made again.
    digest
        SHA-256 of its cells, types and names, as Parquet.
    table
        An Arrow table: the labels' columns, then the features, in the order of the labels.
    """

    ref: Ref
    digest: str
    table: Any
    engine: PointInTime

    def to(self, form: Form) -> Any:
        """Give it as ``arrow``, ``pandas`` or ``polars``."""
        return self.engine.convert(self.table, form)


class TrainingSets:
    """Makes, keeps and repeats training sets.

    Parameters
    ----------
    store, objects
        Where they and their labels are kept.
    features, offline
        The groups and their rows.
    engine
        What joins.
    retention
        What was removed of groups.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        features: Features,
        offline: OfflineStore,
        engine: PointInTime,
        retention: Retention,
    ) -> None:
        self._store = store
        self._objects = objects
        self._features = features
        self._offline = offline
        self._engine = engine
        self._retention = retention

    def make(self, ref: Ref, labels: Any, wanted: Wanted, *, actor: str) -> TrainingSet:
        """Join labels with features, and remember what was read.

        Everything that was acknowledged until now is read. The labels are kept, so that the set
        can be made again from the same versions of the tables.

        Parameters
        ----------
        ref
            The name of the training set.
        labels
            An Arrow table, a pandas or a Polars frame; any columns, among them the time and keys.

        Raises
        ------
        InvalidInput
            A feature is none of its group, a column is missing, a value cannot be read, or what
            was true at a label's time was removed by a group's retention.
        NotFound
            There is no such group.
        AlreadyExists
            There is a training set of this name.
        LimitExceeded
            It does not fit the memory there is for it.
        """
        if self._store.get(ref) is not None:
            raise AlreadyExists(ref)
        table = self._engine.table(labels)
        uid = secrets.token_hex(8)
        read, question = self._question(ref, uid, wanted)
        try:
            made = self._engine.join(table, question)
            digest = self._record(ref, uid, (table, made), _written(question, read), actor)
        except BaseException:
            self._hold(uid, read, is_kept=False)
            raise
        return TrainingSet(ref, digest, made, self._engine)

    def _record(
        self, ref: Ref, uid: str, tables: tuple[Any, Any], question: JsonObject, actor: str
    ) -> str:
        """Remember a training set with its labels; give the result's digest."""
        kept, result = map(self._engine.encode, tables)
        bucket, key = self._keep(ref, uid, kept)
        moment, facts = now(), _facts(result)
        body = {
            "uid": uid,
            "question": question,
            "labels": {"bucket": bucket, "key": key, **_facts(kept)},
            "result": {**facts, "columns": list(tables[1].column_names)},
            "engine": self._engine.version(),
        }
        read = [(one["source"]["name"], one["version"]) for one in question["sources"]]
        try:
            with self._store.begin() as change:
                change.insert(Resource(ref, body, moment, moment, "Created"))
                for group, version in read:
                    role = version_role(version)
                    change.link(Link(_group_ref(ref, group), "ContributedTo", ref, role))
                change.append(Event(moment, actor, f"{TRAINING_SET}.created", ref))
        except BaseException:
            self._objects.delete(bucket, key)
            raise
        return str(facts["sha256"])

    def reproduce(self, ref: Ref) -> TrainingSet:
        """Make a training set again from the labels and the versions of tables it was made of.

        Raises
        ------
        NotFound
            There is no such training set, or a version of a table that it read is gone.
        Conflict
            The result differs from what it was: rows were erased since, or the engine changed.
        """
        body = self._get(ref).body
        place = body["labels"]
        labels = b"".join(self._objects.read(place["bucket"], place["key"]))
        if hashlib.sha256(labels).hexdigest() != place["sha256"]:
            raise Conflict(f"the labels of {ref} were changed")
        made = self._engine.join(self._engine.decode(labels), self._read(body["question"]))
        result = _facts(self._engine.encode(made))
        if result["sha256"] != body["result"]["sha256"]:
            raise Conflict(
                f"{ref} came out as {result['sha256']}, and was {body['result']['sha256']}",
                hint="rows may have been erased, or the engine changed: see its description",
            )
        return TrainingSet(ref, result["sha256"], made, self._engine)

    def describe(self, ref: Ref) -> Resource:
        """Give what is remembered of a training set. Raises NotFound."""
        return self._get(ref)

    def list(self, query: Query) -> Page:
        """List training sets."""
        return self._store.select(query)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Forget a training set and its labels. Raises NotFound."""
        body = self._get(ref).body
        with self._store.begin() as change:
            change.delete(ref)
            change.append(Event(now(), actor, f"{TRAINING_SET}.deleted", ref))
        self._objects.delete(body["labels"]["bucket"], body["labels"]["key"])
        read = [(one["table"], one["version"]) for one in body["question"]["sources"]]
        self._hold(body["uid"], read, is_kept=False)

    def _hold(self, uid: str, read: Sequence[tuple[str, int]], *, is_kept: bool) -> None:
        for table, version in read:
            self._offline.hold(table, f"{TRAINING_SET} {uid}", version if is_kept else None)

    def _get(self, ref: Ref) -> Resource:
        return existing(self._store.get, ref)

    def _question(
        self, ref: Ref, uid: str, wanted: Wanted
    ) -> tuple[Sequence[tuple[str, int]], Question]:
        """Read what is wanted; hold and name the versions of the tables it is asked of."""
        names = _by_group(wanted.features)
        keys = wanted.keys or {}
        for name in keys:
            if name not in names:
                raise InvalidInput("keys", f"{name!r} is not asked for", legal=", ".join(names))
        groups = [_offline(self._features.group(_group_ref(ref, name))) for name in names]
        read = [(group.offline_table, self._offline.flush(group.offline_table)) for group in groups]
        self._hold(uid, read, is_kept=True)
        sources = [
            replace(
                _source(group, features, keys.get(group.ref.name), self._offline.files(*place)),
                since_us=self._retention.of(group).removed_before_us,
            )
            for group, features, place in zip(groups, names.values(), read, strict=True)
        ]
        return read, _asked(wanted, sources)

    def _read(self, written: Mapping[str, Any]) -> Question:
        sources = [
            build(
                Source, one["source"] | {"files": self._offline.files(one["table"], one["version"])}
            )
            for one in written["sources"]
        ]
        return Question(sources, written["time"], written["known_at_us"], written["known_at"])

    def _keep(self, ref: Ref, uid: str, labels: Encoded) -> tuple[str, str]:
        bucket = _BUCKET.format(account=ref.account)
        with suppress(AlreadyExists):
            self._objects.create_bucket(Bucket(bucket, ref.account, ref.region, now()))
        key = f"{ref.region}/{ref.name}-{uid}/labels.parquet"
        data = labels.data
        pieces = (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK))
        self._objects.put(bucket, key, pieces)
        return bucket, key


def new_name() -> str:
    """Make the name of a training set whose author gave none."""
    return f"training-set-{now():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def version_role(version: int) -> str:
    """Say as what a group's table was used."""
    return f"table version {version}"


def _group_ref(near: Ref, name: str) -> Ref:
    return near.sibling(FEATURE_GROUP, name)


def _offline(group: Group) -> Group:
    if not group.is_offline:
        raise InvalidInput("features", f"{group.ref.name} has no offline store")
    return group


def _by_group(features: Sequence[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for one in features:
        group, dot, feature = one.partition(".")
        if not (group and dot and feature):
            raise InvalidInput("features", f"{one!r} names none", legal="group.feature, group.*")
        if feature in names.setdefault(group, []):
            raise InvalidInput("features", f"{one!r} is named twice")
        names[group].append(feature)
    if not names:
        raise InvalidInput("features", "there are none", legal="group.feature, group.*")
    return names


def _source(group: Group, features: Sequence[str], key: str | None, files: Sequence[str]) -> Source:
    schema = group.schema
    own = (schema.identifier, schema.event_time)
    if _EVERY in features:
        features = [one.name for one in schema.features if one.name not in own]
    for feature in features:
        group.place(feature)
    needed = {*own, *features}
    cut = Schema(
        tuple(one for one in schema.features if one.name in needed), *own, version=schema.version
    )
    return Source(group.ref.name, cut, files, features, key or schema.identifier, group.ttl_us)


def _asked(wanted: Wanted, sources: Sequence[Source]) -> Question:
    match wanted.known_at:
        case datetime() as moment:
            return Question(sources, wanted.time, microseconds(moment))
        case str() as column:
            return Question(sources, wanted.time, known_at=column)
    return Question(sources, wanted.time)


def microseconds(moment: datetime) -> int:
    """Count the microseconds since 1970; UTC where the moment has no zone."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = zoned - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _written(question: Question, versions: Sequence[tuple[str, int]]) -> dict[str, Any]:
    sources = [
        {"table": table, "version": version, "source": plain(replace(source, files=()))}
        for source, (table, version) in zip(question.sources, versions, strict=True)
    ]
    return {
        "sources": sources,
        "time": question.time,
        "known_at_us": question.known_at_us,
        "known_at": question.known_at,
    }


def _facts(made: Encoded) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(made.data).hexdigest(), "rows": made.rows}
