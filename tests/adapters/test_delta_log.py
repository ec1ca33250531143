import deltalake
import pyarrow as pa
import pytest

from clary.adapters import delta_log
from clary.adapters.delta_files import columns
from clary.adapters.delta_log import DeltaLog
from clary.adapters.delta_records import DeltaRecords
from clary.adapters.delta_table import DeltaTable
from clary.kernel.errors import Conflict
from clary.testing.offline_store import SCHEMA, TABLE, record, rows


@pytest.fixture
def store(tmp_path):
    return DeltaRecords(tmp_path / "buckets", tmp_path / "offline")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "buckets" / TABLE


def put(store, *names):
    store.append(TABLE, SCHEMA, [record(name) for name in names])
    return store.flush(TABLE)


def append_as_another_program(folder):
    """Append what another writer of Delta tables may: a row of nothing."""
    row = pa.Table.from_pylist([{}], schema=columns(SCHEMA))
    deltalake.write_deltalake(str(folder), row, mode="append")


def test_delta_rs_sees_what_was_written_and_is_seen(store, folder):
    for n in range(45):
        put(store, str(n))
        if n % 10 == 5:
            append_as_another_program(folder)
    theirs = deltalake.DeltaTable(str(folder))
    ours = DeltaLog(folder, "clary-log")
    assert ours.follow()
    assert (ours.version, sorted(ours.files)) == (theirs.version(), sorted(theirs.file_uris()))
    assert ours.done == theirs.transaction_version("clary-log")
    assert ours.columns == {field.name for field in theirs.schema().fields}
    assert theirs.version() == 49
    assert [one["engineInfo"] for one in theirs.history(1)] == ["clary"]
    assert store.files(TABLE, 20) == deltalake.DeltaTable(str(folder), version=20).file_uris()
    assert len(store.files(TABLE)) == 49


def test_a_commit_takes_the_next_free_version(store, folder):
    put(store, "a")
    table = DeltaTable(folder)
    before = table.newest()[0]
    log = DeltaLog(folder, "clary-log")
    log.follow()
    append_as_another_program(folder)
    assert not log.commit([{"commitInfo": {}}])
    assert table.commit({}) == before + 2


def test_files_that_somebody_else_removed_are_not_removed_again(store, folder):
    put(store, "a")
    table = DeltaTable(folder)
    _, files, _ = table.newest()
    follow = table._log.follow

    def overtaken():
        found = follow()
        if table._log.files == list(files):
            deltalake.DeltaTable(str(folder)).delete()
        return found

    table._log.follow = overtaken
    with pytest.raises(Conflict, match="another program"):
        table.commit({}, list(files))


def test_a_table_made_anew_in_its_place_is_opened_anew(store, folder):
    for n in range(5):
        put(store, str(n))
    log = DeltaLog(folder, "clary-log")
    assert log.follow()
    store.drop(TABLE)
    assert not log.follow()
    put(store, "new")
    assert log.follow()
    assert (log.version, len(log.files)) == (1, 1)


def test_what_a_dead_writer_left_is_overwritten(store, folder):
    put(store, "a")
    (folder / "_delta_log" / ".next").write_bytes(b"half a line")
    put(store, "b")
    assert len(rows(store)) == 2
    assert not (folder / "_delta_log" / ".next").exists()


def test_who_has_not_looked_for_long_opens_the_table_anew(store, folder, monkeypatch):
    put(store, "a")
    log = DeltaLog(folder, "clary-log")
    assert log.follow()
    put(store, "b")
    put(store, "c")
    deltalake.DeltaTable(str(folder)).create_checkpoint()
    log.path(2).unlink()  # as what is old is cleaned up
    assert log.follow()
    assert log.version == 1
    monkeypatch.setattr(delta_log, "_LONGEST_LOOK_S", -1.0)
    assert log.follow()
    assert (log.version, len(log.files)) == (3, 3)
