"""Feature groups that the steps of pipelines fill."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - a step's annotations are read when it is defined

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import clary

AT = "2026-01-02T03:04:05Z"
SAME = "2026-01-02T03:04:05.000000Z"
FEATURES = {"id": int, "twice": float}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with clary.connect(tmp_path_factory.mktemp("ingest") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "people.csv"
    rows = "".join(f"{n},{AT},{n}.5,x\n" for n in range(25_000))
    path.write_text(f"id,at,age,city\n{rows}")
    return path


def grouped(name):
    return clary.FeatureGroup(name, identifier="id", event_time="at", features=FEATURES)


def doubled():
    flow = clary.Flow("people").formula("age * 2.0", "twice").drop("age", "city")
    return flow.called("ready")


def test_a_flow_in_a_pipeline_fills_a_group(home, people):
    group = grouped("filled")

    @clary.pipeline
    def fill(data: clary.File = people) -> None:
        doubled().ingest(group, {"people": data}, name="into")

    run = fill.start().wait()
    assert group.get(24_999) == {"id": 24_999, "at": SAME, "twice": 49_999.0}
    assert group.freshness()["rows"] == 25_000
    rows = parquet.read_table(run["into"].result())
    assert rows.num_rows == 25_000
    assert "clary.origins" in {name.decode() for name in rows.schema.metadata}
    [read] = group.lineage()["children"]
    assert (read["role"], read["ref"]["kind"]) == ("ingest", "artifact")
    [job] = read["children"]
    assert job["ref"]["kind"] == "processing-job"
    [event] = [
        one
        for one in home.platform.store.events()
        if one.action == "feature-group.ingested" and one.ref.name == "filled"
    ]
    assert event.detail["rows"] == 25_000


def test_what_another_step_gives_fills_a_group(home, people):
    group = grouped("handed")

    @clary.step
    def read(path: Path) -> pa.Table:
        return pa.Table.from_pandas(pd.read_csv(path).head(3))

    @clary.pipeline
    def hand_on(data: clary.File = people) -> None:
        learned = doubled().fit_step(name="fit")(data)
        doubled().ingest("handed", {"people": read(data)}, learned=learned)

    hand_on.start().wait()
    assert group.get(2)["twice"] == 5.0
    assert group.get(3) is None


def test_any_step_fills_a_group(home):
    group = grouped("made")

    @clary.step(feature_group="made")
    def make() -> pd.DataFrame:
        return pd.DataFrame({"id": [1, 2], "at": AT, "twice": [1.5, None]})

    @clary.pipeline
    def making() -> None:
        make()

    making.start().wait()
    assert [group.get(1), group.get(2)] == [
        {"id": 1, "at": AT, "twice": 1.5},
        {"id": 2, "at": AT},
    ]


def test_nothing_is_written_where_a_row_is_wrong(home, tmp_path):
    group, rows = grouped("refused"), tmp_path / "rows.csv"
    rows.write_text(
        "id,at,twice\n" + f"1,{AT},1.5\n" * 10_050 + "2,yesterday,2.5\n", encoding="utf-8"
    )

    @clary.pipeline
    def refuse(data: clary.File = rows) -> None:
        clary.Flow("rows").ingest(group, {"rows": data}, name="into")

    with pytest.raises(clary.JobFailed, match=r"rows.parquet, row 10051: at: .*yesterday"):
        refuse.start().wait()
    assert group.get(1) is None
    assert group.freshness()["rows"] == 0


def test_what_cannot_be_written_is_refused_while_a_pipeline_is_defined(home, people):
    grouped("strict")
    right = doubled().fit({"people": people})

    def defining(flow, group="strict", other="people", **given):
        @clary.pipeline
        def fill(data: clary.File = people) -> None:
            flow.ingest(group, {other: data}, **given)

        fill.upsert()

    with pytest.raises(clary.NotFound, match="feature-group nobody"):
        defining(right, "nobody")
    with pytest.raises(clary.InvalidInput, match=r"more.*no feature of strict.*id, at, twice"):
        defining(right.formula("id + 1", "more").fit({"people": people}))
    with pytest.raises(clary.InvalidInput, match=r"at: the rows have no such column.*id, twice"):
        defining(right.drop("at").fit({"people": people}))
    with pytest.raises(clary.InvalidInput, match="is done each time"):
        defining(right, cache=True)
    with pytest.raises(clary.InvalidInput, match=r"no source 'animals'.*people"):
        defining(right, other="animals")
    with pytest.raises(clary.InvalidInput, match="learned is for the step"):
        right.ingest("strict", {"people": people}, learned={})

    @clary.step(feature_group="strict")
    def count() -> int:
        return 1

    @clary.pipeline
    def counting() -> None:
        count()

    with pytest.raises(clary.InvalidInput, match="step count: its result cannot fill strict"):
        counting.upsert()


def test_a_group_that_is_not_there_is_told_before_the_program_runs(home):
    @clary.step(feature_group="nobody")
    def make() -> pd.DataFrame:
        raise AssertionError("it runs")

    @clary.pipeline
    def late() -> None:
        make()

    with pytest.raises(clary.JobFailed, match="feature-group nobody does not exist"):
        late.start().wait()


def test_a_definition_is_one_of_the_public_schema(home, people):
    grouped("public")

    @clary.pipeline
    def written(data: clary.File = people) -> None:
        doubled().ingest("public", {"people": data}, name="into")

    written.upsert()
    found = home.platform.pipelines.describe(home.ref("pipeline", "written"))
    [step] = json.loads(found["PipelineDefinition"])["Steps"]
    [output] = step["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert output["FeatureStoreOutput"] == {"FeatureGroupName": "public"}
    assert output["S3Output"]["LocalPath"] == "/opt/ml/processing/output/result"


def test_a_group_is_a_destination_of_a_flow(home, people, tmp_path):
    group = grouped("written")
    flow = doubled().write(group).write(tmp_path / "rows.csv")
    written = flow.run({"people": people})
    assert [(one.path, one.rows) for one in written] == [
        ("feature-group:written", 25_000),
        (str(tmp_path / "rows.csv"), 25_000),
    ]
    assert group.get(7) == {"id": 7, "at": SAME, "twice": 15.0}
    kept = [one["role"] for one in group.lineage()["children"]]
    assert kept == ["flow flow.json", "flow fitted.json", "flow columns.json"]
    assert "clary.FeatureGroup(" in flow.to_python()
    for name in ("people.flow.json", "people.flow"):
        file = flow.save(tmp_path / name)
        loaded = clary.Flow.load(file)
        with pytest.raises(clary.InvalidInput, match="feature-group:written lies where a flow"):
            loaded.run({"people": people})
        allowed = clary.Flow.load(file, allow=["feature-group:written"])
        assert {one.rows for one in allowed.run({"people": people})} == {25_000}
    with pytest.raises(clary.InvalidInput, match="a group is no file"):
        doubled().write(group, header=False).run({"people": people})
    with pytest.raises(clary.InvalidInput, match=r"row 0: age: is no feature of written"):
        clary.Flow("people").write(group).run({"people": people})
