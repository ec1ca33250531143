from functools import partial

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.testing.metadata_store import MetadataStoreContract


class TestSqlite(MetadataStoreContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return partial(SqliteStore, tmp_path / "metadata.db")

    @pytest.fixture
    def store(self, opener):
        store = opener()
        yield store
        store.close()
