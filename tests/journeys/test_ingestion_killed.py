"""A session killed while it fills a group from a step: another one goes on where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import clary
from clary.config import Config
from clary.jobs.model import PROCESSING, read
from clary.kernel.resource import Query
from clary.platform import open_platform

ROWS, BATCH = 60_000, 10_000
PROGRAM = """
    import sys
    import pandas as pd
    import clary

    clary.connect(sys.argv[1])
    clary.FeatureGroup("rides", identifier="id", event_time="at",
                       features={"id": int, "at": float, "km": float})

    @clary.step(feature_group="rides")
    def make() -> pd.DataFrame:
        return pd.DataFrame({"id": range(60_000), "at": 1.7e9, "km": 2.5})

    @clary.pipeline
    def fill() -> None:
        make()

    fill.start().wait()
"""


def job(store):
    found = store.select(Query(PROCESSING, limit=1)).items
    return found[0] if found else None


def begun(store):
    found = job(store)
    return sum(read(found).ingested.values()) if found else 0


def test_a_killed_ingestion_goes_on(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    home = tmp_path / "home"
    store = open_platform(Config(home=home)).store
    child = subprocess.Popen([sys.executable, str(program), str(home)])
    while not begun(store):
        assert child.poll() is None
        store.wait(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert job(store).status == "InProgress"
    assert begun(store) < ROWS
    with clary.connect(home):
        while job(store).status == "InProgress":
            store.wait(0.1)
        assert job(store).status == "Completed"
        assert begun(store) == ROWS
        group = clary.FeatureGroup("rides")
        assert [group.get(n)["km"] for n in (0, BATCH, ROWS - 1)] == [2.5] * 3
        assert len(group.frame()) == ROWS
        assert ROWS <= group.freshness()["rows"] <= ROWS + BATCH
        [used] = group.lineage()["children"]
        assert used["role"] == "ingest"
