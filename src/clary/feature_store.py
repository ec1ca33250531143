"""The feature store's part of the composition root: its stores, its services, its durable work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.adapters.delta_records import DeltaRecords
from clary.adapters.lmdb_records import LmdbRecords
from clary.features.model import FEATURE_GROUP
from clary.features.service import Features

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.work import Handler


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """What the feature store consists of."""

    online: LmdbRecords
    offline: DeltaRecords
    features: Features

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What the worker does for it, by kind."""
        return {FEATURE_GROUP: self.features.run}

    def close(self) -> None:
        """Give back what it holds open."""
        self.online.close()


def open_feature_store(home: Path, store: MetadataStore, objects: ObjectStore) -> FeatureStore:
    """Open the feature store of a home; what is missing is made when it is used."""
    online = LmdbRecords(home / "online")
    offline = DeltaRecords(home / "buckets", home / "offline")
    return FeatureStore(online, offline, Features(store, objects, online, offline))
