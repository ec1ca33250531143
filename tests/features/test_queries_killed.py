"""Workers are killed anywhere in a query: the next one ends it, with one whole result."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading

import pytest

import clary
from clary.config import Config
from clary.doors.python.session import connect
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.platform import open_platform

PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from clary.config import Config
from clary.kernel.names import Ref
from clary.platform import open_platform

platform = open_platform(Config(home=Path(sys.argv[1])))
executions = platform.feature_store.executions
found = executions.describe(
    Ref(platform.config.account, platform.config.region, "query-execution", sys.argv[2])
)
left = int(sys.argv[3])


def count(frame, event, argument):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


sys.setprofile(count)
executions.run(found, threading.Event())
"""
ROWS = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("killed") / "home"
    with connect(path) as session:
        session.platform.objects.create_bucket(
            Bucket("answers", session.account, session.platform.config.region, now())
        )
        group = clary.FeatureGroup(
            "people", identifier="id", event_time="at", features={"id": int, "at": float}
        )
        for at in range(ROWS):
            group.put({"id": at, "at": float(at)})
    return path


def asked(platform):
    near = Ref(platform.config.account, platform.config.region, "query-execution", "")
    [group] = platform.features.groups(near.account, near.region)
    request = {
        "QueryString": f'SELECT id, count(*) AS n FROM "{group.catalog_table}" GROUP BY id',
        "QueryExecutionContext": {"Database": "sagemaker_featurestore"},
        "ResultConfiguration": {"OutputLocation": "s3://answers/here"},
    }
    return platform.feature_store.executions.start(near, request, actor="test").ref


def points(seed):
    """Draw calls of Python code at which a worker dies, sooner and sooner."""
    return [int(7_000 / 1.9**step) + seed * 61 for step in range(0, 10, 3)]


def check(platform, ref):
    executions, objects = platform.feature_store.executions, platform.objects
    found = executions.describe(ref)
    executions.run(found, threading.Event())
    assert executions.describe(ref).status == "SUCCEEDED"
    data = b"".join(objects.read("answers", f"here/{ref.name}.csv")).decode()
    header, *rows = csv.reader(data.splitlines())
    assert header == ["id", "n"]
    assert sorted(int(one[0]) for one in rows) == list(range(ROWS))
    assert {one[1] for one in rows} == {"1"}
    keys = [one.key for one in objects.list("answers", prefix=f"here/{ref.name}").objects]
    assert keys == [f"here/{ref.name}.csv", f"here/{ref.name}.csv.metadata"]
    links = platform.store.links(ref, incoming=True)
    assert [link.source.name for link in links] == ["people"]
    scratch = platform.config.home / "scratch" / "duckdb"
    assert not [one for one in scratch.iterdir() if not one.name.startswith(str(os.getpid()))]


def killed(home, seed):
    platform = open_platform(Config(home=home))
    deaths = 0
    try:
        ref = asked(platform)
        for point in points(seed):
            argv = [sys.executable, "-c", PROGRAM, str(home), ref.name, str(point)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.returncode in (0, -signal.SIGKILL), done.stderr
            deaths += done.returncode != 0
        check(platform, ref)
    finally:
        platform.feature_store.close()
        platform.recorder.close()
    return deaths


def test_a_query_survives_its_workers(home):
    assert killed(home, 0) >= 3


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 25))
def test_a_query_survives_its_workers_anywhere(home, seed):
    assert killed(home, seed) >= 2
