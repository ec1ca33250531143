from __future__ import annotations

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.governance.service import Governance


@pytest.fixture
def store(tmp_path):
    return SqliteStore(tmp_path / "clary.db")


@pytest.fixture
def governance(store, tmp_path):
    return Governance(store, tmp_path)
