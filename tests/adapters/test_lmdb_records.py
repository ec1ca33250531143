from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from clary.adapters.lmdb_records import LmdbRecords
from clary.features.model import Record
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported, Unavailable
from clary.testing.online_store import AT_US, record

PROGRAM = """
import sys
from pathlib import Path
from clary.adapters.lmdb_records import LmdbRecords
from clary.features.model import Record
AT_US = 1_790_000_000_000_000
store = LmdbRecords(Path(sys.argv[1]))
def say(line):
    print(line, flush=True)
"""
DEADLINE_S = 30.0


@pytest.fixture
def store(tmp_path):
    made = LmdbRecords(tmp_path / "online")
    yield made
    made.close()


def child(store, program):
    """Start a process on the same folder."""
    argv = [sys.executable, "-c", PROGRAM + program, str(store._path)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def raw(store):
    """The LMDB environment below a store."""
    return store._environment()._lmdb


def wait_until(is_true):
    until = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_processes_write_and_read_at_once(store):
    program = """
me = sys.argv[0] + sys.stdin.readline().strip()
for n in range(60):
    mine = Record(f"{me}-{n}", AT_US + n, AT_US, (n,))
    store.write("t", [mine, Record("all", AT_US + n, AT_US + int(me[2:]), (me,))])
    assert store.read([("t", f"{me}-{n}")])[0].values == (n,)
say("done")
"""
    processes = [child(store, program) for _ in range(3)]
    for number, process in enumerate(processes):
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate(timeout=DEADLINE_S)[0] == "done\n"
    assert store.count("t") == 3 * 60 + 1
    (latest,) = store.read([("t", "all")])
    assert (latest.event_us, latest.write_us) == (AT_US + 59, AT_US + 2)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_outlives_a_kill(store, seed):
    draw = random.Random(seed)
    program = """
n = 0
while True:
    n += 1
    rows = [Record(f"{n}-{m}", AT_US, AT_US, (n, m)) for m in range(20)]
    store.write("t", [*rows, Record("all", AT_US + n, AT_US, (n,))])
    say(n)
"""
    process = child(store, program)
    said = [process.stdout.readline() for _ in range(draw.randint(1, 60))]
    time.sleep(draw.random() / 500)  # anywhere in the life of a write
    process.kill()
    rest, _ = process.communicate()
    last = max(int(line) for line in [*said, *rest.splitlines()])
    keys = [(n, m) for n in range(1, last + 1) for m in range(20)]
    found = store.read([("t", f"{n}-{m}") for n, m in keys])
    assert [one.values for one in found] == keys
    (latest,) = store.read([("t", "all")])
    assert latest.values[0] in {last, last + 1}  # written, and killed before it could say so
    assert store.count("t") == 20 * latest.values[0] + 1
    store.write("t", [record("after")])
    assert store.read([("t", "after")]) == [record("after")]


def test_what_a_killed_reader_held_is_given_back(store):
    program = """
store.read([])
held = store._environment().begin()
say("reading")
sys.stdin.read()
"""
    store.write("t", [record("a")])
    process = child(store, program)
    assert process.stdout.readline() == "reading\n"
    assert str(process.pid) in raw(store).readers()
    process.kill()
    process.communicate()
    store.close()
    assert store.read([("t", "a")]) == [record("a")]
    assert str(process.pid) not in raw(store).readers()


def test_writers_that_wait_share_a_commit(store):
    store.write("t", [record("first")])
    environment = store._environment()
    before = raw(store).info()["last_txnid"]
    with environment._writing:
        threads = [
            threading.Thread(target=store.write, args=("t", [record(str(n))])) for n in range(40)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(environment._waiting) == 40)
    for thread in threads:
        thread.join()
    assert raw(store).info()["last_txnid"] == before + 1
    assert store.count("t") == 41


def test_one_that_fails_fails_alone(tmp_path):
    store = LmdbRecords(tmp_path / "online", limit_bytes=1 << 20)
    store.write("t", [record("before")])
    environment = store._environment()
    huge = Record("huge", AT_US, AT_US, ("x" * (2 << 20),))
    failed = []

    def write(one):
        try:
            store.write("t", [one])
        except LimitExceeded as error:
            failed.append((one.key, error.message))

    writers = [record("a"), huge, record("b")]
    with environment._writing:
        threads = [threading.Thread(target=write, args=(one,)) for one in writers]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(environment._waiting) == 3)
    for thread in threads:
        thread.join()
    assert [key for key, _ in failed] == ["huge"]
    assert "1,048,576 bytes, which is its limit" in failed[0][1]
    asked = [("t", key) for key in ("before", "a", "b", "huge")]
    assert store.read(asked) == [record("before"), record("a"), record("b"), None]
    store.close()


def test_a_full_store_keeps_what_it_has_and_grows_by_a_larger_limit(tmp_path):
    small = LmdbRecords(tmp_path / "online", limit_bytes=1 << 18)
    written = []

    def fill():
        for n in range(1000):
            small.write("t", [Record(str(n), AT_US, AT_US, ("x" * 3000,))])
            written.append(str(n))

    with pytest.raises(LimitExceeded):
        fill()
    assert written
    assert all(small.read([("t", key) for key in written]))
    assert small.count("t") == len(written)
    small.close()
    large = LmdbRecords(tmp_path / "online", limit_bytes=1 << 24)
    large.write("t", [Record(str(n), AT_US, AT_US, ("x" * 3000,)) for n in range(1000)])
    assert large.count("t") == 1000
    large.close()


def test_disk_is_taken_for_what_is_held_alone(store):
    store.write("t", [record("a")])
    assert (store._path / "data.mdb").stat().st_size < 1 << 20


def test_stores_of_one_folder_are_one_in_a_process(tmp_path, store):
    store.write("t", [record("a")])
    (tmp_path / "link").symlink_to(store._path)
    other = LmdbRecords(tmp_path / "link")
    assert other.read([("t", "a")]) == [record("a")]
    store.close()
    other.write("t", [record("b")])
    assert store.count("t") == 2
    other.close()


def test_a_folder_made_anew_is_another(tmp_path, store):
    store.write("t", [record("a")])
    store._path.rename(tmp_path / "gone")
    other = LmdbRecords(tmp_path / "online")
    assert other.count("t") == 0
    other.write("t", [record("b")])
    assert store.read([("t", "a"), ("t", "b")]) == [record("a"), None]
    other.close()


def test_a_forked_process_is_refused(store):
    store.write("t", [record("a")])
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = []
        other = LmdbRecords(store._path)
        for one in (store, other):
            for ask in (lambda s: s.read([("t", "a")]), lambda s: s.write("t", [record("b")])):
                try:
                    ask(one)
                except NotSupported as error:
                    said.append(error.hint)
        os.write(writing, repr(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read() == repr(["start processes that read features by `spawn`"] * 4)
    os.waitpid(pid, 0)
    assert store.read([("t", "a"), ("t", "b")]) == [record("a"), None]


def test_a_fork_does_not_end_what_its_parent_reads(store):
    store.write("t", [record("a")])
    with raw(store).begin() as held:
        held.get(b"t\0a")
        pid = os.fork()
        if pid == 0:
            store.close()
            os._exit(0)
        os.waitpid(pid, 0)
        assert str(os.getpid()) in raw(store).readers()


def test_records_are_private_to_their_owner(store):
    store.write("t", [record("a")])
    assert stat.S_IMODE(store._path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store._path.iterdir()} == {0o600}


def test_what_is_no_environment_is_unavailable(store):
    store._path.mkdir()
    (store._path / "data.mdb").write_bytes(b"no environment" * 1000)
    with pytest.raises(Unavailable, match="cannot be read or written"):
        store.count("t")


def test_a_file_in_its_place_is_unavailable(tmp_path):
    (tmp_path / "online").write_text("")
    with pytest.raises(Unavailable, match="cannot be opened"):
        LmdbRecords(tmp_path / "online").count("t")


def test_it_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(NotSupported) as raised:
        store.count("t")
    assert raised.value.hint == "install clary[features]"


def test_a_key_of_any_length_is_kept(store):
    sizes = [510 - 2, 511 - 2, 512 - 2, 350_000]
    store.write("t", [record("k" * size) for size in sizes])
    assert [len(one.key) for one in store.read([("t", "k" * size) for size in sizes])] == sizes
    store.remove("t", ["k" * 350_000])
    assert store.count("t") == 3


def test_a_batch_with_a_bad_record_writes_nothing(store):
    with pytest.raises(InvalidInput):
        store.write("t", [record("a"), Record("b", AT_US, AT_US, ("\udfff",))])
    assert store.count("t") == 0


def test_pages_of_old_versions_are_used_again(store):
    for n in range(60):
        store.write("t", [record(str(key), n) for key in range(200)])
    assert (store._path / "data.mdb").stat().st_size < 1 << 20


def test_signals_do_not_lose_a_write(store):
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        for n in range(100):
            store.write("t", [record(str(n))])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert store.count("t") == 100
