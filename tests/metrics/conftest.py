from __future__ import annotations

from dataclasses import dataclass

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.adapters.sqlite_series import SqliteSeries
from clary.kernel.names import Ref
from clary.metrics.alarms import Alarms
from clary.metrics.recorder import Recorder
from clary.metrics.service import Metrics

NEAR = Ref("123456789012", "us-east-1", "alarm", "high")


@dataclass(frozen=True)
class World:
    store: SqliteStore
    series: SqliteSeries
    recorder: Recorder
    metrics: Metrics
    alarms: Alarms
    near: Ref = NEAR


@pytest.fixture
def world(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    series = SqliteSeries(tmp_path / "series.db")
    recorder = Recorder(series)
    metrics = Metrics(series, recorder)
    yield World(store, series, recorder, metrics, Alarms(store, metrics))
    recorder.close()
    series.close()
    store.close()
