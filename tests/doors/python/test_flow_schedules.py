"""Flows that are run at known times, by what works on the home."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

import clary
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Bucket, Query


@pytest.fixture
def session(tmp_path):
    with clary.connect(tmp_path / "home") as session:
        session.platform.objects.create_bucket(
            Bucket("rides", session.account, session.platform.config.region, now())
        )
        yield session


def put(session, key, text):
    session.platform.objects.put("rides", key, [text.encode()])


def test_a_flow_runs_when_its_time_has_come(session, tmp_path):
    put(session, "in/first.csv", "km,city\n2,Rome\n")
    flow = clary.Flow.read("s3://rides/in/", name="rides").standard_scale("km").one_hot("city")
    flow = flow.write("s3://rides/out/made.parquet").fit()
    put(session, "in/later.csv", "km,city\n4,Oslo\n")
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    flow.schedule(f"at({at:%Y-%m-%dT%H:%M:%S})", name="nightly")
    session.work()
    made = tmp_path / "home" / "buckets" / "rides" / "out" / "made.parquet"
    executions = Query("pipeline-execution", session.account, session.platform.config.region)
    deadline = time.monotonic() + 120
    while not made.exists():
        found = session.platform.store.select(executions).items
        assert time.monotonic() < deadline, found
        assert not [one for one in found if one.status == "Failed"], found[0].body
        time.sleep(0.1)
    rows = pq.read_table(made).to_pylist()
    assert [row["km"] for row in rows] == [0.0, 2.0]  # as was learned of the first file
    assert [row["city_Rome"] for row in rows] == [1.0, 0.0]
    flow.schedule("rate(1 day)", name="nightly")
    flow.unschedule("nightly")
    with pytest.raises(NotFound):
        flow.unschedule("nightly")


@pytest.mark.parametrize(
    ("source", "end", "problem"),
    [
        ("a.csv", "s3://rides/made.parquet", "source rides: is at a.csv"),
        ("s3://rides/a.csv", "made.parquet", "is at made.parquet, which a job does not reach"),
        ("s3://rides/a.csv", "s3://rides", "s3://rides names no object"),
        ("s3://rides/a.csv", "s3://rides/to/", "s3://rides/to/ names no object"),
        ("s3://rides/a.csv", "", "has no destination"),
        ("s3://rides/{{day}}.csv", "s3://rides/made.parquet", "{{day}}.csv"),
    ],
)
def test_what_a_job_does_not_reach_is_refused(session, source, end, problem):
    flow = clary.Flow.read(source, name="rides").parameter("day", "x")
    flow = flow.write(end) if end else flow
    with pytest.raises(InvalidInput) as error:
        flow.schedule("rate(1 day)")
    assert problem in str(error.value)
    assert session.platform.store.select(Query("pipeline", limit=1)).items == []


def test_a_scheduled_flow_fills_a_group(session):
    put(session, "in.csv", "id,at,km\n1,2026-01-02T03:04:05Z,2\n")
    group = clary.FeatureGroup(
        "rides", identifier="id", event_time="at", features={"id": int, "km": float}
    )
    flow = clary.Flow.read("s3://rides/in.csv").formula("km * 2.0", "km").write(group)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    flow.schedule(f"at({at:%Y-%m-%dT%H:%M:%S})", name="filling")
    session.work()
    executions = Query("pipeline-execution", session.account, session.platform.config.region)
    deadline = time.monotonic() + 120
    while not (row := group.get(1)):
        found = session.platform.store.select(executions).items
        assert time.monotonic() < deadline, found
        assert not [one for one in found if one.status == "Failed"], found[0].body
        time.sleep(0.1)
    assert row["km"] == 4.0
    with pytest.raises(NotFound, match="feature-group nobody"):
        flow.then("destination", {"feature_group": "nobody"}).schedule("rate(1 day)")
