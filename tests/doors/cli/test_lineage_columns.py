"""``clary lineage --columns``: what tables that flows made tell of their columns."""

from __future__ import annotations

import pandas as pd
import pytest

from clary import FeatureGroup, Flow, connect, pipeline, step
from clary.flows.recorded import _metadata

AT = "2026-01-02T03:04:05Z"
PEOPLE = [{"id": 1, "at": AT, "age": 20, "city": "Rome"}]


def told(said):
    assert said.code == 0, said.err
    return {one["column"]: one["computed from"] for one in said.json}


def test_what_is_made_of_a_flows_table_tells_of_its_columns(clary, home, tmp_path):
    flow = Flow(PEOPLE, name="people").one_hot("city").formula("age * id", "twice")
    flow = flow.drop("at", "age").called("ready")

    @step
    def total(rows: pd.DataFrame) -> float:
        return float(rows["twice"].sum())

    people = tmp_path / "people.csv"
    pd.DataFrame(PEOPLE).to_csv(people, index=False)

    @pipeline
    def wrangle() -> None:
        total(flow(people))

    with connect(home):
        run = wrangle.start().wait()
    total_job = run["total"].made
    origins = told(clary("lineage", total_job, "--columns", "--json"))
    assert origins == {
        "id": "people.id",
        "city_Rome": "people.city",
        "city_unknown": "people.city",
        "twice": "people.age, people.id",
    }
    for file in (home / "buckets").rglob("frame.parquet"):
        file.write_bytes(b"PAR1 something else PAR1")
    assert told(clary("lineage", total_job, "--columns", "--json")) == {}
    assert "no flow made any of it" in clary("lineage", total_job, "--columns").err


def test_an_ingestion_tells_where_its_columns_come_from(clary, home):
    flow = Flow(PEOPLE, name="people").formula("age * 2", "twice").drop("age", "city")
    with connect(home):
        features = {"id": int, "twice": int}
        group = FeatureGroup("people", identifier="id", event_time="at", features=features)
        assert flow.ingest(group) == {}
    thing = "arn:aws:sagemaker:us-east-1:123456789012:feature-group/people"
    origins = told(clary("lineage", thing, "--columns", "--json"))
    assert origins == {"id": "people.id", "at": "people.at", "twice": "people.age"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1PAR1PAR1",
        b"PAR1" + b"x" * 40 + (40).to_bytes(4, "little") + b"PAR1",
        b"PAR1" + b"x" * 40 + (2**31).to_bytes(4, "little") + b"PAR1",
    ],
)
def test_what_is_no_table_tells_nothing(content):
    def part(start):
        return content[start:]

    assert _metadata(part, len(content)) == b""
