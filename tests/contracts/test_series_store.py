from __future__ import annotations

import pytest

from clary.adapters.sqlite_series import SqliteSeries
from clary.testing.series_store import SeriesStoreContract


class TestSqliteSeries(SeriesStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        made = SqliteSeries(tmp_path / "series.db")
        yield made
        made.close()
