import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from clary.adapters import record_log
from clary.adapters.delta_records import DeltaRecords
from clary.adapters.files import FileObjects
from clary.adapters.record_log import RecordLog
from clary.features.model import Record
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound, NotSupported
from clary.kernel.resource import Bucket
from clary.testing.offline_store import SCHEMA, TABLE, keys, record, rows

WRITER = """
import sys
from pathlib import Path
from clary.adapters.delta_records import DeltaRecords
from clary.testing.offline_store import SCHEMA, TABLE, record
store = DeltaRecords(Path(sys.argv[1]) / "buckets", Path(sys.argv[1]) / "offline")
for n in range(30):
    store.append(TABLE, SCHEMA, [record(f"{sys.argv[2]}-{n}")])
    if n % 7 == 3:
        store.flush(TABLE)
    if n == 20:
        store.compact(TABLE, is_whole=sys.argv[2] == "0")
"""


@pytest.fixture
def store(tmp_path):
    return DeltaRecords(tmp_path / "buckets", tmp_path / "offline")


@pytest.fixture
def forgetful(tmp_path):
    return DeltaRecords(tmp_path / "buckets", tmp_path / "offline", history_s=0)


def put(store, *names):
    store.append(TABLE, SCHEMA, [record(name) for name in names])
    return store.flush(TABLE)


def segments(tmp_path):
    return sorted((tmp_path / "offline").glob("*/*.log"))


def test_processes_at_once_lose_and_double_nothing(store, tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(3)
    ]
    assert [one.wait() for one in started] == [0, 0, 0]
    found = [one.key for _, one in store.snapshot(TABLE).unflushed] + keys(rows(store))
    assert sorted(found) == sorted(f"{a}-{b}" for a in range(3) for b in range(30))


def test_a_segment_that_outlived_its_commit_is_not_committed_again(store, tmp_path):
    store.append(TABLE, SCHEMA, [record("a")])
    (segment,) = segments(tmp_path)
    content = segment.read_bytes()
    version = store.flush(TABLE)
    segment.write_bytes(content)
    again = DeltaRecords(tmp_path / "buckets", tmp_path / "offline")
    assert not again.snapshot(TABLE).unflushed
    assert again.flush(TABLE) == version
    assert keys(rows(again)) == ["a"]
    assert segment not in segments(tmp_path)


@pytest.mark.parametrize("cut", [1, 5, 9, 30])
def test_a_torn_end_is_cut_off(store, tmp_path, cut):
    store.append(TABLE, SCHEMA, [record("whole")])
    (segment,) = segments(tmp_path)
    whole = segment.stat().st_size
    store.append(TABLE, SCHEMA, [record("torn")])
    os.truncate(segment, segment.stat().st_size - cut)
    again = DeltaRecords(tmp_path / "buckets", tmp_path / "offline")
    assert [one.key for _, one in again.snapshot(TABLE).unflushed] == ["whole"]
    again.append(TABLE, SCHEMA, [record("next")])
    assert segment.stat().st_size > whole
    again.flush(TABLE)
    assert keys(rows(again)) == ["whole", "next"]


def test_a_torn_beginning_is_cut_off(store, tmp_path):
    store.append(TABLE, SCHEMA, [record("a")])
    (segment,) = segments(tmp_path)
    os.truncate(segment, 3)
    again = DeltaRecords(tmp_path / "buckets", tmp_path / "offline")
    again.append(TABLE, SCHEMA, [record("b")])
    again.flush(TABLE)
    assert keys(rows(again)) == ["b"]


def test_a_changed_byte_ends_what_can_be_read(tmp_path):
    log = RecordLog(tmp_path / "log")
    log.append([b"first", b"second"])
    (path,) = (tmp_path / "log").glob("*.log")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert list(log.read(1)) == [b"first"]


def test_long_logs_have_many_segments(tmp_path, monkeypatch):
    monkeypatch.setattr(record_log, "SEGMENT_BYTES", 100)
    log = RecordLog(tmp_path / "log")
    for n in range(10):
        log.append([bytes([n]) * 60])
    numbers = log.seal()
    assert len(numbers) == 5
    found = [frame for number in numbers for frame in log.read(number)]
    assert found == [bytes([n]) * 60 for n in range(10)]
    size, oldest = log.waiting()
    assert size > 600
    assert oldest > 0


@pytest.mark.parametrize("is_empty", [False, True])
def test_nothing_is_appended_before_a_reserved_segment(tmp_path, is_empty):
    slow, quick = (RecordLog(tmp_path / "log") for _ in range(2))
    slow.append([b"first"])
    if is_empty:
        slow.seal()
    reserved = quick.reserve()
    slow.append([b"later"])
    assert [one for number in range(1, reserved) for one in quick.read(number)] == [b"first"]
    assert list(quick.read(reserved)) == []
    assert list(quick.read(reserved + 1)) == [b"later"]


def test_a_full_disk_is_said_and_leaves_no_torn_frame(tmp_path):
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from clary.adapters.record_log import RecordLog\n"
        "from clary.kernel.errors import LimitExceeded\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))\n"
        "log = RecordLog(Path(sys.argv[1]))\n"
        "log.append([b'x' * 3_000])\n"
        "try:\n"
        "    log.append([b'y' * 3_000])\n"
        "except LimitExceeded:\n"
        "    log.append([b'z' * 1_000])\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "log")], check=True)
    assert [len(one) for one in RecordLog(tmp_path / "log").read(1)] == [3_000, 1_000]


def test_a_failed_write_is_told_to_all_that_wait(tmp_path):
    log = RecordLog(tmp_path / "log")
    log.append([b"a"])
    (tmp_path / "log" / "lock").unlink()
    (tmp_path / "log" / "lock").mkdir()
    with pytest.raises(LimitExceeded, match="log of records"):
        log.append([b"b"])


def test_s3_shows_the_files_of_tables(store, tmp_path):
    objects = FileObjects(tmp_path / "buckets")
    objects.create_bucket(Bucket("bucket", "123456789012", "us-east-1", datetime.now(UTC)))
    put(store, "a")
    found = {one.key for one in objects.list("bucket", prefix="group/data/").objects}
    (path,) = store.files(TABLE)
    key = f"group/data/{Path(path).name}"
    assert found == {
        key,
        f"group/data/_delta_log/{0:020}.json",
        f"group/data/_delta_log/{1:020}.json",
    }
    content = b"".join(objects.read("bucket", key))
    assert len(content) == objects.stat("bucket", key).size_bytes
    assert content[:4] == b"PAR1"


def test_delta_readers_read_the_table(store, tmp_path):
    deltalake = pytest.importorskip("deltalake")
    versions = [put(store, name) for name in "abc"]
    store.compact(TABLE)
    table = deltalake.DeltaTable(tmp_path / "buckets" / TABLE)
    assert sorted(keys(table.to_pyarrow_table().to_pylist())) == ["a", "b", "c"]
    table.load_as_version(versions[0])
    assert keys(table.to_pyarrow_table().to_pylist()) == ["a"]


def test_old_files_go_but_those_that_are_held(forgetful):
    store = forgetful
    versions = [put(store, name) for name in "abc"]
    store.hold(TABLE, "training set", versions[1])
    store.compact(TABLE)
    assert keys(rows(store, version=versions[1])) == ["a", "b"]
    with pytest.raises(NotFound, match=f"version {versions[2]}"):
        store.files(TABLE, versions[2])
    put(store, "d")
    store.hold(TABLE, "training set", None)
    store.compact(TABLE)
    with pytest.raises(NotFound, match=f"version {versions[1]}"):
        store.files(TABLE, versions[1])
    assert sorted(keys(rows(store))) == ["a", "b", "c", "d"]


def test_a_version_that_is_gone_cannot_be_held(forgetful):
    version = put(forgetful, "a")
    put(forgetful, "b")
    forgetful.compact(TABLE)
    with pytest.raises(NotFound):
        forgetful.hold(TABLE, "late", version)


def test_what_a_crash_left_behind_goes(forgetful, tmp_path):
    put(forgetful, "a", "b")
    (path,) = forgetful.files(TABLE)
    orphan = tmp_path / "buckets" / TABLE / "log-0000000099.parquet"
    erasing = orphan.with_name("_erasing-0")
    for left in (orphan, erasing):
        left.write_bytes(Path(path).read_bytes())
    forgetful.erase(TABLE, ["b"])
    assert pyarrow.parquet.read_table(orphan).column("id").to_pylist() == ["a"]
    assert not erasing.exists()
    put(forgetful, "c")
    forgetful.compact(TABLE)
    assert not orphan.exists()


def test_many_records_are_committed_at_once_after_those_that_wait(store, tmp_path):
    store.append(TABLE, SCHEMA, [record("waits")])
    store.append(TABLE, SCHEMA, [record(str(n)) for n in range(25_000)])
    assert not store.snapshot(TABLE).unflushed
    store.append(TABLE, SCHEMA, [record("later")])
    store.flush(TABLE)
    assert keys(rows(store)) == ["waits", *map(str, range(25_000)), "later"]
    bad = [record(str(n)) for n in range(25_000)] + [Record("bad", 1, 1, ("bad", 1.0, 1 << 70))]
    with pytest.raises(InvalidInput):
        store.append(TABLE, SCHEMA, bad)
    store.append(TABLE, SCHEMA, [record("still")])
    store.flush(TABLE)
    assert len(rows(store)) == 25_003


def test_backlogs_tell_what_waits(store):
    put(store, "a")
    (empty,) = store.backlogs()
    assert (empty.table, empty.size_bytes, empty.oldest_us, empty.files) == (TABLE, 0, None, 1)
    store.append(TABLE, SCHEMA, [record("b")])
    (found,) = store.backlogs()
    assert found.size_bytes > 0
    assert found.oldest_us is not None


def test_threads_share_a_write(tmp_path, monkeypatch):
    log = RecordLog(tmp_path / "log")
    syncs = []
    real = os.fdatasync
    first, release = threading.Event(), threading.Event()

    def slow(file):
        syncs.append(file)
        first.set()
        release.wait(10)
        real(file)

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [threading.Thread(target=log.append, args=([b"x"],)) for _ in range(9)]
    threads[0].start()
    first.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(log._queued) < 8:
        pass
    release.set()
    for thread in threads:
        thread.join()
    assert len(syncs) == 2
    assert len(list(log.read(1))) == 9


def test_many_commits_are_summed_up(store, tmp_path):
    log = tmp_path / "buckets" / TABLE / "_delta_log"
    for n in range(105):
        put(store, str(n))
    assert json.loads((log / "_last_checkpoint").read_text())["version"] == 100
    again = DeltaRecords(tmp_path / "buckets", tmp_path / "offline")
    assert len(rows(again)) == 105


def test_without_the_engine_a_sentence_says_so(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    store.append(TABLE, SCHEMA, [record("a")])
    with pytest.raises(NotSupported, match="not installed") as raised:
        store.flush(TABLE)
    assert "clary[features]" in raised.value.hint


def test_a_dead_writer_holds_nothing_up(store, tmp_path):
    program = WRITER + "\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), "1"], check=False)
    assert done.returncode == -signal.SIGKILL
    put(store, "alive")
    assert len(rows(store)) == 31
