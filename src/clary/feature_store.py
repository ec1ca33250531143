"""The feature store's part of the composition root: its stores, its services, its durable work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.adapters.arrow_frames import parquet_rows
from clary.adapters.delta_records import DeltaRecords
from clary.adapters.duckdb_fact_source import GroupSource
from clary.adapters.duckdb_point_in_time import DuckDBPointInTime
from clary.adapters.duckdb_replay import DuckBatch
from clary.adapters.duckdb_session import DuckDB
from clary.adapters.duckdb_sql import DuckDBSql
from clary.adapters.duckdb_statistics import DuckDBStatistics
from clary.adapters.duckdb_views import DuckViews
from clary.adapters.fact_files import FactFiles
from clary.adapters.online_records import online_records
from clary.adapters.record_log import locked
from clary.features.annotations import Annotations
from clary.features.discovery import Discovery
from clary.features.erasure import Erasure
from clary.features.executions import EXECUTION, Executions
from clary.features.expiry import EXPIRY, Expiry
from clary.features.exports import Exports
from clary.features.fact_audits import Audits
from clary.features.fact_queries import FactQueries
from clary.features.fact_upkeep import FACT_UPKEEP, FactUpkeep
from clary.features.facts import Facts
from clary.features.freshness import Freshness
from clary.features.histories import Histories
from clary.features.ingestion import Ingestion
from clary.features.materialization import MATERIALIZATION, Materializations
from clary.features.model import FEATURE_GROUP
from clary.features.queries import Queries
from clary.features.quick_records import QuickRecords
from clary.features.retention import Retention
from clary.features.scheduled_tasks import (
    AUDIT,
    FORGET,
    MATERIALIZE,
    AuditTask,
    ForgetTask,
    MaterializeTask,
)
from clary.features.schedules import FEATURE_SCHEDULE, FeatureSchedules
from clary.features.service import Features
from clary.features.skew import Skew
from clary.features.statistics import Statistics
from clary.features.throughput import Throughput
from clary.features.traces import Traces
from clary.features.training_sets import TrainingSets
from clary.features.updates import Updates
from clary.features.upkeep import UPKEEP, Upkeep
from clary.features.view_log import ViewLog
from clary.features.views import VIEW, Tools, Views
from clary.kernel.errors import InvalidInput
from clary.lineage.service import Lineage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.config import Config
    from clary.features.point_in_time import PointInTime
    from clary.features.ports import OnlineStore
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.work import Handler
    from clary.metrics.recorder import Recorder

_DURABILITIES = ("disk", "process")


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """What the feature store consists of."""

    online: OnlineStore
    offline: DeltaRecords
    upkeep: Upkeep
    erasure: Erasure
    features: Features
    quick_records: QuickRecords
    throughput: Throughput
    updates: Updates
    frames: PointInTime
    training_sets: TrainingSets
    queries: Queries
    executions: Executions
    exports: Exports
    ingestion: Ingestion
    views: Views
    freshness: Freshness
    materializations: Materializations
    facts: Facts
    fact_queries: FactQueries
    fact_upkeep: FactUpkeep
    view_log: ViewLog
    audits: Audits
    schedules: FeatureSchedules
    statistics: Statistics
    discovery: Discovery
    annotations: Annotations
    retention: Retention
    histories: Histories
    expiry: Expiry

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What the worker does for it, by kind."""
        return {
            FEATURE_GROUP: self.features.run,
            UPKEEP: self.upkeep.run,
            EXPIRY: self.expiry.run,
            FACT_UPKEEP: self.fact_upkeep.run,
            EXECUTION: self.executions.run,
            VIEW: self.freshness.run,
            MATERIALIZATION: self.materializations.run,
            FEATURE_SCHEDULE: self.schedules.run,
        }

    @property
    def parallel(self) -> dict[str, int]:
        """How many of a kind are worked on at once, where it is not one."""
        return {UPKEEP: 2, EXECUTION: 2}

    def close(self) -> None:
        """Give back what it holds open."""
        self.freshness.close()
        self.facts.close()
        self.online.close()


def open_feature_store(
    config: Config, store: MetadataStore, objects: ObjectStore, recorder: Recorder
) -> FeatureStore:
    """Open the feature store of a home; what is missing is made when it is used."""
    home = config.home
    is_synced = _is_synced(config.durability)
    online = online_records(config.online, home / "online", is_relaxed=not is_synced)
    offline = DeltaRecords(home / "buckets", home / "offline", is_synced=is_synced)
    features = Features(store, objects, online, offline)
    upkeep = Upkeep(store, offline)
    features.watch(upkeep.written)
    duckdb = DuckDB(home / "scratch" / "duckdb")
    queries = Queries(features, offline, DuckDBSql(duckdb))
    joins = DuckDBPointInTime(duckdb)
    counts = DuckDBStatistics(duckdb)
    retention = Retention(store, features, offline, counts)
    training_sets = TrainingSets(store, objects, features, offline, joins, retention)
    tools = Tools(store, features, online, offline, training_sets, joins, DuckViews(duckdb))
    views = Views(tools)
    freshness = Freshness(tools, views)
    features.watch(freshness.written)
    fact_files = FactFiles(home / "facts")
    facts, fact_queries = Facts(fact_files, recorder), FactQueries(fact_files)
    replays = DuckBatch(duckdb)
    view_log = ViewLog(
        views,
        facts,
        Skew(fact_queries, replays),
        replays,
        lambda checked, batch: GroupSource(checked, batch, joins),
    )
    materializations = Materializations(tools, views, objects)
    audits = Audits(view_log, fact_queries, recorder)
    expiry = Expiry(store, online, retention)
    lineage, statistics = Lineage(store), Statistics(store, features, offline, counts)
    discovery = Discovery(store, lineage, features, online, offline, counts)
    made = FeatureStore(
        online=online,
        offline=offline,
        upkeep=upkeep,
        erasure=Erasure(
            store,
            features,
            online,
            offline,
            Traces(store, views, facts, fact_queries, view_log),
            statistics,
        ),
        features=features,
        quick_records=QuickRecords(features, online),
        throughput=Throughput(),
        updates=Updates(features, lambda number: locked(home / "turns" / f"{number:02}")),
        frames=joins,
        training_sets=training_sets,
        queries=queries,
        executions=Executions(store, objects, queries, lineage),
        exports=Exports(store, lineage, objects, joins),
        ingestion=Ingestion(store, lineage, objects, features, parquet_rows),
        views=views,
        freshness=freshness,
        materializations=materializations,
        facts=facts,
        fact_queries=fact_queries,
        fact_upkeep=FactUpkeep(store, fact_files),
        view_log=view_log,
        audits=audits,
        schedules=FeatureSchedules(
            store,
            {
                MATERIALIZE: MaterializeTask(views, materializations),
                AUDIT: AuditTask(views, audits),
                FORGET: ForgetTask(fact_queries),
            },
        ),
        statistics=statistics,
        discovery=discovery,
        annotations=Annotations(store, features, discovery, retention),
        retention=retention,
        histories=Histories(features, queries, retention),
        expiry=expiry,
    )
    for work in (upkeep, freshness, made.expiry, made.fact_upkeep):
        work.install()
    return made


def _is_synced(durability: str) -> bool:
    """Say whether records are on the disk when they are acknowledged. Raises InvalidInput."""
    if durability not in _DURABILITIES:
        raise InvalidInput("durability", f"{durability!r}", legal=", ".join(_DURABILITIES))
    return durability == "disk"
