from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys

import pytest

from clary.adapters import sqlite_series
from clary.adapters.sqlite_series import SqliteSeries
from clary.kernel.errors import LimitExceeded, NotSupported, Unavailable
from clary.testing.series_store import EVER, METRIC, hour, names, replace, selection, slot


def test_what_was_added_survives_and_is_private(tmp_path) -> None:
    path = tmp_path / "series.db"
    store = SqliteSeries(path)
    store.add([slot(hour(), 1.0, 2.0)])
    store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (found,) = SqliteSeries(path).read(METRIC, length_s=3600, start=0, end=EVER)
    assert found.tally.total == 3.0


def test_a_killed_process_loses_nothing_that_was_added(tmp_path) -> None:
    path = tmp_path / "series.db"
    program = (
        "import os, pathlib, sys\n"
        "from clary.adapters.sqlite_series import SqliteSeries\n"
        "from clary.testing.series_store import hour, slot\n"
        "store = SqliteSeries(pathlib.Path(sys.argv[1]))\n"
        "store.add([slot(hour(), 1.0)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
        assert ended.returncode == -9
    (found,) = SqliteSeries(path).read(METRIC, length_s=60, start=0, end=EVER)
    assert found.tally.count == 2


def test_what_is_no_longer_kept_goes_while_values_come(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_series, "_PRUNE_FIRST_S", 0)
    path = tmp_path / "series.db"
    store = SqliteSeries(path)
    store.add([slot(hour(), 1.0)])
    with sqlite3.connect(path) as file:
        file.execute("UPDATE slot SET at = at - 1000000")
    file.close()
    again = SqliteSeries(path)
    again.add([slot(hour(), 2.0, metric=replace(METRIC, name="other"))])
    assert not again.read(METRIC, length_s=10, start=0, end=EVER)
    assert again.read(METRIC, length_s=60, start=0, end=EVER)


def test_too_many_metrics_are_refused_whole(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_series, "MOST_METRICS", 2)
    store = SqliteSeries(tmp_path / "series.db")
    more = [slot(hour(), 1.0, metric=replace(METRIC, name=f"m{n}")) for n in range(3)]
    with pytest.raises(LimitExceeded):
        store.add(more)
    assert store.list(selection()) == []
    store.add(more[:2])
    with pytest.raises(LimitExceeded):
        store.add(more)
    store.add(more[:1])
    assert names(store.list(selection())) == ["m0", "m1"]
    assert store.read(more[0].metric, length_s=60, start=0, end=EVER)[0].tally.count == 2


def test_a_newer_or_broken_file_is_refused(tmp_path) -> None:
    newer = sqlite3.connect(tmp_path / "newer.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(NotSupported, match="newer clary"):
        SqliteSeries(tmp_path / "newer.db")
    with pytest.raises(Unavailable):
        SqliteSeries(tmp_path / "none" / "series.db")
