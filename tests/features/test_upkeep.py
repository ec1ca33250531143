import threading

import pytest

from clary.adapters.delta_records import DeltaRecords
from clary.adapters.sqlite import SqliteStore
from clary.features import upkeep
from clary.features.model import Backlog
from clary.features.upkeep import UPKEEP, Upkeep, is_due
from clary.kernel.names import Ref
from clary.kernel.work import Worker
from clary.testing.offline_store import SCHEMA, TABLE, record, rows

LOST = "bucket/lost/data"


@pytest.fixture
def metadata(tmp_path):
    return SqliteStore(tmp_path / "metadata.db")


@pytest.fixture
def tables(tmp_path):
    return DeltaRecords(tmp_path / "buckets", tmp_path / "offline")


def resource(metadata, name):
    return metadata.get(Ref("", "", UPKEEP, name))


def test_a_worker_flushes_what_waits(metadata, tables, monkeypatch):
    monkeypatch.setattr(upkeep, "OLDEST_US", 0)
    flushed = threading.Event()
    keeper = Upkeep(metadata, tables)
    keeper.install()
    keeper.install()
    tables.append(TABLE, SCHEMA, [record("a")])

    def run(found, stopping):
        due = keeper.run(found, stopping)
        if found.ref.name == "flush":
            flushed.set()
        return due

    worker = Worker(metadata, {UPKEEP: run}, {UPKEEP: 2})
    worker.start()
    assert flushed.wait(30)
    assert worker.stop()
    assert len(rows(tables)) == 1


def test_small_files_are_merged(metadata, tables, monkeypatch):
    monkeypatch.setattr(upkeep, "MOST_FILES", 3)
    keeper = Upkeep(metadata, tables)
    keeper.install()
    for count in range(1, 5):
        tables.append(TABLE, SCHEMA, [record(str(count))])
        tables.flush(TABLE)
        keeper.run(resource(metadata, "compaction"), threading.Event())
        assert len(tables.files(TABLE)) == (count if count < 4 else 1)
    assert len(rows(tables)) == 4


def test_a_table_that_fails_does_not_stop_the_others(metadata, tables, monkeypatch, tmp_path):
    monkeypatch.setattr(upkeep, "OLDEST_US", 0)
    keeper = Upkeep(metadata, tables)
    keeper.install()
    for table in (LOST, TABLE):
        tables.append(table, SCHEMA, [record("a")])
    (tmp_path / "buckets" / "bucket").mkdir(parents=True)
    (tmp_path / "buckets" / "bucket" / "lost").write_text("in the way")
    keeper.run(resource(metadata, "flush"), threading.Event())
    assert len(rows(tables)) == 1
    assert len(tables.snapshot(LOST).unflushed) == 1


def test_it_rests_where_nothing_is_written(metadata, tables, monkeypatch):
    monkeypatch.setattr(upkeep, "OLDEST_US", 0)
    monkeypatch.setattr(upkeep, "QUIET_S", 0.0)
    keeper = Upkeep(metadata, tables)
    keeper.install()
    for name in ("flush", "compaction"):
        assert keeper.run(resource(metadata, name), threading.Event()) is None
    monkeypatch.setattr(upkeep, "QUIET_S", 60.0)
    tables.append(TABLE, SCHEMA, [record("a")])
    assert keeper.run(resource(metadata, "flush"), threading.Event()) is not None
    assert len(rows(tables)) == 1
    assert keeper.run(resource(metadata, "flush"), threading.Event()) is not None


def test_a_write_wakes_it(metadata, tables):
    keeper = Upkeep(metadata, tables)
    keeper.install()
    for name in ("flush", "compaction"):
        metadata.release(metadata.claim([UPKEEP], name, 60), None)
    assert metadata.claim([UPKEEP], "nobody", 60) is None
    keeper.written(None)
    keeper.written(None)
    assert metadata.claim([UPKEEP], "one", 60).resource.ref.name in {"flush", "compaction"}


def test_when_a_flush_is_due():
    assert not is_due(Backlog("t", 0, None, 1), 1 << 60)
    assert not is_due(Backlog("t", 10, 1_000, 1), 60_000_999)
    assert is_due(Backlog("t", 10, 1_000, 1), 60_001_000)
    assert is_due(Backlog("t", 64 << 20, 1_000, 1), 1_000)
