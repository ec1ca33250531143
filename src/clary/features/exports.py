"""Training sets written down where jobs read them, so that models know what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.features.training_sets import TRAINING_SET
from clary.jobs.contract import split_uri
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Event
from clary.lineage.model import of_object

if TYPE_CHECKING:
    from clary.features.point_in_time import PointInTime
    from clary.features.training_sets import TrainingSet
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.resource import ObjectInfo
    from clary.lineage.service import Lineage

_CHUNK = 1 << 20


class Exports:
    """Writes training sets as objects.

    A job that reads such an object is linked with the set by the object's content, wherever a copy
    of it lies; so is every model that the job makes.

    Parameters
    ----------
    store, lineage
        Where it is recorded.
    objects
        Where they are written.
    engine
        What writes Parquet.
    """

    def __init__(
        self, store: MetadataStore, lineage: Lineage, objects: ObjectStore, engine: PointInTime
    ) -> None:
        self._store = store
        self._lineage = lineage
        self._objects = objects
        self._engine = engine

    def write(self, made: TrainingSet, uri: str, *, actor: str) -> ObjectInfo:
        """Write a training set as Parquet.

        Raises
        ------
        InvalidInput
            The URI is none of an object, or does not end with ``.parquet``.
        NotFound
            There is no such bucket in the account.
        """
        bucket, key = split_uri(uri, field="to")
        if not key.endswith(".parquet"):
            raise InvalidInput("to", f"{uri!r}", legal="s3://bucket/….parquet")
        if all(
            (one.name, one.account) != (bucket, made.ref.account) for one in self._objects.buckets()
        ):
            raise NotFound(f"bucket {bucket}")
        data = self._engine.encode(made.table).data
        pieces = (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK))
        info = self._objects.put(bucket, key, pieces)
        with self._store.begin() as change:
            self._lineage.record(change, made.ref, outputs=[("rows", of_object(info))])
            detail = {"uri": uri, "sha256": info.sha256}
            change.append(Event(now(), actor, f"{TRAINING_SET}.written", made.ref, detail))
        return info
