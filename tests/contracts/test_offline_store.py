import pytest

from clary.adapters.delta_records import DeltaRecords
from clary.testing.offline_store import OfflineStoreContract


class TestDeltaRecords(OfflineStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return DeltaRecords(tmp_path / "buckets", tmp_path / "offline")
