from __future__ import annotations

import secrets
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.adapters.sqlite_metrics import SqliteMetrics
from clary.experiments.ports import Point
from clary.kernel.errors import NotSupported, Unavailable
from clary.testing.metric_store import AT, point

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from clary.adapters.sqlite_metrics import SqliteMetrics
from clary.testing.metric_store import point
store = SqliteMetrics(Path(sys.argv[1]))
n = 0
while True:
    store.append("run", [point(float(n), n), point(float(n), n, name="acc")])
    n += 1
    print(n, flush=True)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    store = SqliteMetrics(tmp_path_factory.mktemp("metrics") / "metrics.db")
    yield store
    store.close()


BATCHES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["loss", "acc"]),
            st.floats(-1e6, 1e6),
            st.integers(0, 5),
            st.none() | st.integers(0, 5),
        ),
        max_size=4,
    ),
    max_size=4,
)


@given(BATCHES)
def test_summaries_are_those_of_all_points(shared, batches):
    owner = secrets.token_hex(8)
    for batch in batches:
        points = [Point(n, v, AT + timedelta(seconds=s), step) for n, v, s, step in batch]
        shared.append(owner, points)
    every = [one for batch in batches for one in batch]
    found = {one.name: one for one in shared.summaries([owner]).get(owner, ())}
    assert found.keys() == {name for name, *_ in every}
    for name, summary in found.items():
        mine = [one for one in every if one[0] == name]
        values = [value for _, value, _, _ in mine]
        assert (summary.count, summary.minimum, summary.maximum) == (
            len(values),
            min(values),
            max(values),
        )
        assert summary.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
        assert summary.deviation == pytest.approx(statistics.pstdev(values), abs=1e-3)
        latest = max(range(len(mine)), key=lambda n: (mine[n][2], _rank(mine[n][3]), n))
        assert (summary.last, summary.last_step) == (mine[latest][1], mine[latest][3])


def _rank(step):
    return -1 if step is None else step


def test_threads_and_stores_write_at_once(tmp_path):
    stores = [SqliteMetrics(tmp_path / "metrics.db") for _ in range(2)]

    def write(store):
        for n in range(50):
            store.append("run", [point(float(n), n)])

    threads = [threading.Thread(target=write, args=(stores[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].summaries(["run"])["run"][0].count == 200
    assert len(list(stores[1].points("run", "loss"))) == 200


def test_a_batch_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "metrics.db"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, path], stdout=subprocess.PIPE, text=True
    )
    acknowledged = [process.stdout.readline() for _ in range(40)][-1]
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    last = int((rest or [acknowledged])[-1])
    store = SqliteMetrics(path)
    acc, loss = store.summaries(["run"])["run"]
    assert acc.count == loss.count
    assert loss.count in (last, last + 1)
    assert len(list(store.points("run", "loss"))) == loss.count


def test_a_newer_file_is_left_alone(tmp_path):
    path = tmp_path / "metrics.db"
    SqliteMetrics(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NotSupported, match="schema 99"):
        SqliteMetrics(path)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(Unavailable, match="cannot be read or written"):
        SqliteMetrics(tmp_path / "no" / "such" / "folder.db")
