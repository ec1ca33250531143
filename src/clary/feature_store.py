"""The feature store's part of the composition root: its stores, its services, its durable work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.adapters.delta_records import DeltaRecords
from clary.adapters.duckdb_point_in_time import DuckDBPointInTime
from clary.adapters.duckdb_session import DuckDB
from clary.adapters.duckdb_sql import DuckDBSql
from clary.adapters.lmdb_records import LmdbRecords
from clary.features.executions import EXECUTION, Executions
from clary.features.model import FEATURE_GROUP
from clary.features.queries import Queries
from clary.features.service import Features
from clary.features.training_sets import TrainingSets
from clary.features.upkeep import UPKEEP, Upkeep

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
    upkeep: Upkeep
    features: Features
    training_sets: TrainingSets
    queries: Queries
    executions: Executions

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What the worker does for it, by kind."""
        return {
            FEATURE_GROUP: self.features.run,
            UPKEEP: self.upkeep.run,
            EXECUTION: self.executions.run,
        }

    @property
    def parallel(self) -> Mapping[str, int]:
        """How many of a kind are worked on at once, where it is not one."""
        return {UPKEEP: 2, EXECUTION: 2}

    def close(self) -> None:
        """Give back what it holds open."""
        self.online.close()


def open_feature_store(home: Path, store: MetadataStore, objects: ObjectStore) -> FeatureStore:
    """Open the feature store of a home; what is missing is made when it is used."""
    online = LmdbRecords(home / "online")
    offline = DeltaRecords(home / "buckets", home / "offline")
    upkeep = Upkeep(store, offline)
    upkeep.install()
    features = Features(store, objects, online, offline)
    duckdb = DuckDB(home / "scratch" / "duckdb")
    queries = Queries(features, offline, DuckDBSql(duckdb))
    return FeatureStore(
        online=online,
        offline=offline,
        upkeep=upkeep,
        features=features,
        training_sets=TrainingSets(store, objects, features, offline, DuckDBPointInTime(duckdb)),
        queries=queries,
        executions=Executions(store, objects, queries),
    )
