from __future__ import annotations

import pytest

from clary.adapters.lmdb_records import LmdbRecords
from clary.testing.online_store import OnlineStoreContract


class TestLmdbRecords(OnlineStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        made = LmdbRecords(tmp_path / "online")
        yield made
        made.close()
