from __future__ import annotations

import pytest

from clary.adapters.sqlite_metrics import SqliteMetrics
from clary.testing.metric_store import MetricStoreContract


class TestSqliteMetrics(MetricStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        made = SqliteMetrics(tmp_path / "metrics.db")
        yield made
        made.close()
