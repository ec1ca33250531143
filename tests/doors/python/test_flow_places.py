"""Where flows read and write in Python: objects, feature groups, and the bounds of loaded ones."""

from __future__ import annotations

import io
import itertools
import sqlite3
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

import clary
from clary.doors.python.session import connect
from clary.kernel.clock import now
from clary.kernel.resource import Bucket

numbers = itertools.count()
ROWS = "id,age\n1,20\n2,40\n"


@pytest.fixture
def bucket(session):
    """Make a bucket in the session that was connected last; give its name and its objects."""
    assert connect(session.home) is session
    name = f"rows-{next(numbers)}"
    objects = session.platform.objects
    region = session.platform.config.region
    objects.create_bucket(Bucket(name, session.account, region, now()))
    return name, objects


def put(bucket, key, data):
    name, objects = bucket
    objects.put(name, key, [data if isinstance(data, bytes) else data.encode()])
    return f"s3://{name}/{key}"


def got(bucket, key):
    name, objects = bucket
    return b"".join(objects.read(name, key))


def parquet_of(table):
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def test_objects_are_read_and_written(bucket):
    uri = put(bucket, "in/people.csv", ROWS)
    flow = clary.Flow.read(uri).filter("age > 30").write(f"s3://{bucket[0]}/out/old.csv")
    [written] = flow.run()
    assert (written.path, written.rows) == (f"s3://{bucket[0]}/out/old.csv", 1)
    assert got(bucket, "out/old.csv") == b"id,age\n2,40\n"
    put(bucket, "in/more/people.csv", "id,age\n3,60\n")
    assert clary.Flow.read(f"s3://{bucket[0]}/in").to_pandas()["id"].tolist() == [3, 1, 2]
    assert got(bucket, "in/people.csv") == ROWS.encode()


def test_other_formats_and_samples_of_objects(bucket):
    table = pa.table({"id": [1, 2, 3]})
    uri = put(bucket, "a.parquet", parquet_of(table))
    assert clary.Flow.read(uri, sampling={"rows": 2}).to_arrow().to_pydict() == {"id": [1, 2]}
    clary.Flow.read(uri).write(f"s3://{bucket[0]}/b.parquet").run()
    assert parquet.read_table(io.BytesIO(got(bucket, "b.parquet"))).to_pydict() == table.to_pydict()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("s3://{}/in/nothing.csv", "there is no object at s3://"),
        ("s3://{}/in/peop", "there is no object at s3://"),
        ("s3://no-such-bucket/a.csv", "no-such-bucket"),
        ("s3://", "names nothing that can be read"),
    ],
)
def test_objects_that_there_are_not_are_named(bucket, place, said):
    put(bucket, "in/people.csv", ROWS)
    with pytest.raises(clary.InvalidInput, match=said):
        clary.Flow.read(place.format(bucket[0]), name="people").to_arrow()


def test_rows_are_not_sent_where_there_is_no_bucket_or_no_object(bucket):
    rows = clary.Flow([{"a": 1}])
    with pytest.raises(clary.ClaryError, match="no-such-bucket"):
        rows.write("s3://no-such-bucket/a.csv").run()
    for place in (f"s3://{bucket[0]}", f"s3://{bucket[0]}/a/", f"s3://{bucket[0]}/.."):
        with pytest.raises(clary.InvalidInput):
            rows.write(place).run()
    with pytest.raises(clary.NotSupported, match="partitions"):
        rows.write(f"s3://{bucket[0]}/a", partitions=["a"], format="csv").run()


@pytest.mark.parametrize("to", ["in/people.csv", "in"])
def test_objects_that_are_read_stay_as_they_are(bucket, to):
    uri = put(bucket, "in/people.csv", ROWS)
    with pytest.raises(clary.InvalidInput, match="stays as it is"):
        clary.Flow.read(uri).write(f"s3://{bucket[0]}/{to}", format="csv").run()
    with pytest.raises(clary.InvalidInput, match="stays as it is"):
        clary.Flow.read(f"s3://{bucket[0]}/in").write(f"s3://{bucket[0]}/in/new.csv").run()
    assert got(bucket, "in/people.csv") == ROWS.encode()


def test_a_flow_begins_with_a_feature_group(bucket, tmp_path):
    features = {"id": int, "at": float, "age": int}
    group = clary.FeatureGroup(
        f"people-{next(numbers)}", identifier="id", event_time="at", features=features
    )
    at = datetime(2026, 1, 2, tzinfo=UTC)
    group.put({"id": 1, "at": at, "age": 20})
    group.put({"id": 2, "at": at, "age": 40})
    group.put({"id": 2, "at": at.replace(day=3), "age": 41})
    flow = clary.Flow.read(group).filter("age > 30")
    assert flow.to_pandas()["age"].tolist() == [41]
    path = flow.save(tmp_path / "people.flow.json")
    with pytest.raises(clary.InvalidInput, match=f"feature-group:{group.name} lies where"):
        clary.Flow.load(path).to_arrow()
    allowed = clary.Flow.load(path, allow=[f"feature-group:{group.name}"])
    assert allowed.to_pandas()["age"].tolist() == [41]


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """Make a folder of a flow, one of secrets beside it, and one to work in."""
    for name in ("flow", "secret", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret/people.csv").write_text(ROWS)
    (tmp_path / "flow/people.csv").write_text("id,age\n7,7\n")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def loaded(apart, path, allow=()):
    flow = clary.Flow.read(path, name="people").filter("id > 0")
    saved = flow.save(apart / "flow/a.flow.json")
    return clary.Flow.load(saved, allow=allow)


def test_a_loaded_flow_reads_its_own_folder_and_the_current_one(apart):
    assert loaded(apart, apart / "flow/people.csv").to_arrow()["id"].to_pylist() == [7]
    (apart / "work/here.csv").write_text("id\n9\n")
    assert loaded(apart, "here.csv").to_arrow()["id"].to_pylist() == [9]
    assert loaded(apart, "../flow/people.csv").to_arrow()["id"].to_pylist() == [7]


def hidden(apart):
    (apart / "work/.env.csv").write_text(ROWS)
    return ".env.csv"


def linked(apart):
    (apart / "work/link.csv").symlink_to(apart / "secret/people.csv")
    return "link.csv"


def linked_within(apart):
    (apart / "work/rows").mkdir()
    (apart / "work/rows/a.csv").write_text(ROWS)
    (apart / "work/rows/b.csv").symlink_to(apart / "secret/people.csv")
    return "rows"


def looped(apart):
    (apart / "work/loop.csv").symlink_to("loop.csv")
    return "loop.csv"


@pytest.mark.parametrize(
    "make",
    [
        lambda apart: apart / "secret/people.csv",
        lambda _: "../secret/people.csv",
        lambda _: "../flow/../secret/people.csv",
        lambda _: "..",
        lambda _: "/",
        lambda _: "/proc/self/environ",
        lambda _: "../secret/nothing.csv",
        hidden,
        linked,
        linked_within,
        looped,
    ],
)
def test_a_loaded_flow_reads_nothing_else(apart, make):
    flow = loaded(apart, make(apart))
    with pytest.raises(clary.InvalidInput, match=r"lies where a flow|is none: "):
        flow.to_arrow()


def test_more_is_read_where_that_is_allowed(apart):
    flow = loaded(apart, "../secret/people.csv", allow=["../secret"])
    assert flow.to_arrow().num_rows == 2
    linked_within(apart)
    assert loaded(apart, "rows", allow=[apart / "secret"]).to_arrow().num_rows == 4
    with pytest.raises(clary.InvalidInput, match="allow"):
        loaded(apart, "rows", allow=[""])


def test_the_callers_own_rows_may_be_anywhere(apart):
    flow = loaded(apart, "../secret/people.csv")
    assert flow.to_arrow({"people": apart / "secret/people.csv"}).num_rows == 2
    added = loaded(apart, "../flow/people.csv").write(apart / "secret/out.csv")
    assert added.run()[0].rows == 1


def test_values_of_parameters_stay_in_the_folder_that_a_path_names(apart):
    flow = clary.Flow.read("../flow/{{name}}.csv", name="people").filter("id > 0")
    saved = flow.parameter("name", "people").save(apart / "flow/a.flow.json")
    assert clary.Flow.load(saved).to_arrow()["id"].to_pylist() == [7]
    for value in ("../secret/people", "x/../../secret/people"):
        with pytest.raises(clary.InvalidInput, match=r"leaves '\.\./flow'"):
            clary.Flow.load(saved).parameter("name", value).to_arrow()
    whole = clary.Flow.read("{{place}}", name="people").filter("id > 0")
    saved = whole.parameter("place", "../secret/people.csv").save(apart / "flow/b.flow.json")
    with pytest.raises(clary.InvalidInput, match="lies where"):
        clary.Flow.load(saved).to_arrow()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../secret/out.csv", "lies where"),
        ("out.flow.json", "called like no table"),
        ("settings.json", "called like no table"),
        ("program.py", "called like no table"),
        (".profile.csv", "lies where"),
        (".", "whole folder"),
        ("link.csv", "lies where"),
    ],
)
def test_a_loaded_flow_replaces_tables_in_its_folders_alone(apart, path, said):
    (apart / "work/link.csv").symlink_to(apart / "secret/people.csv")
    flow = clary.Flow.read("../flow/people.csv", name="people").write(path, format="csv")
    again = clary.Flow.load(flow.save(apart / "flow/a.flow.json"))
    with pytest.raises(clary.InvalidInput, match=said):
        again.run()
    assert (apart / "secret/people.csv").read_text() == ROWS
    assert sorted(one.name for one in (apart / "work").iterdir()) == ["link.csv"]


def test_a_loaded_flow_takes_no_folder_of_other_things_for_partitions(apart):
    (apart / "work/mine").mkdir()
    (apart / "work/mine/notes.txt").write_text("mine")
    flow = clary.Flow([{"a": 1, "b": 2}]).write("mine", format="csv", partitions=["a"])
    again = clary.Flow.load(flow.save(apart / "flow/a.flow.json"))
    with pytest.raises(clary.InvalidInput, match="other things than partitions"):
        again.run({"source": [{"a": 1, "b": 2}]})
    assert (apart / "work/mine/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "file", ["../outside/a.parquet", "%2E%2E/outside/a.parquet", "{}/outside/a.parquet"]
)
def test_the_log_of_a_delta_table_names_no_file_elsewhere(bucket, apart, file):
    deltalake = pytest.importorskip("deltalake")
    outside = apart / "outside"
    outside.mkdir()
    parquet.write_table(pa.table({"id": [99]}), outside / "a.parquet")
    deltalake.write_deltalake(apart / "work/delta", pa.table({"id": [1]}))
    [log] = (apart / "work/delta/_delta_log").glob("*.json")
    [real] = (apart / "work/delta").glob("*.parquet")
    size = (outside / "a.parquet").stat().st_size
    text = log.read_text().replace(real.name, file.format(apart))
    text = text.replace(f'"size":{real.stat().st_size}', f'"size":{size}')
    log.write_text(text)
    with pytest.raises(clary.ClaryError):
        loaded(apart, "delta").to_arrow()
    put(bucket, "delta/_delta_log/00000000000000000000.json", text)
    with pytest.raises(clary.ClaryError):
        clary.Flow.read_delta(f"s3://{bucket[0]}/delta", name="people").to_arrow()


def test_objects_of_a_loaded_flow_are_allowed_by_name(bucket, apart):
    uri = put(bucket, "data/people.csv", ROWS)
    put(bucket, "data/../other/people.csv", ROWS)
    with pytest.raises(clary.InvalidInput, match="lies where"):
        loaded(apart, uri).to_arrow()
    for place in (uri, f"s3://{bucket[0]}", f"s3://{bucket[0]}/data/"):
        assert loaded(apart, uri, allow=[place]).to_arrow().num_rows == 2
    for other in (f"s3://{bucket[0]}/dat", f"s3://{bucket[0]}-2", "data"):
        with pytest.raises(clary.InvalidInput, match="lies where"):
            loaded(apart, uri, allow=[other]).to_arrow()
    climbing = f"s3://{bucket[0]}/data/../other/people.csv"
    with pytest.raises(clary.InvalidInput, match="lies where"):
        loaded(apart, climbing, allow=[f"s3://{bucket[0]}/data"]).to_arrow()
    flow = clary.Flow.read(uri, name="people").write(f"s3://{bucket[0]}/out.csv")
    saved = flow.save(apart / "flow/b.flow.json")
    with pytest.raises(clary.InvalidInput, match=r"out\.csv lies where"):
        clary.Flow.load(saved, allow=[f"s3://{bucket[0]}/data"]).run()
    assert clary.Flow.load(saved, allow=[f"s3://{bucket[0]}"]).run()[0].rows == 2


def test_sqlite_files_are_read(apart):
    with sqlite3.connect(apart / "work/a.db") as connection:
        connection.execute("CREATE TABLE people (id, age)")
        connection.execute("INSERT INTO people VALUES (1, 20), (2, 40)")
    connection.close()
    flow = clary.Flow.read_sqlite("a.db", table="people").filter("age > 30")
    assert flow.to_arrow().to_pydict() == {"id": [2], "age": [40]}
    asked = clary.Flow.read_sqlite("a.db", query="SELECT max(age) AS oldest FROM people")
    assert asked.to_arrow().to_pydict() == {"oldest": [40]}
    some = {"method": "stratified", "rows": 1, "columns": ["id"]}
    sampled = clary.Flow.read_sqlite("a.db", table="people", sampling=some)
    assert sampled.to_arrow().num_rows == 2
    with pytest.raises(clary.InvalidInput, match="there is no 'peple'; legal: people"):
        clary.Flow.read_sqlite("a.db", table="peple").to_arrow()


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://me:pass%77ord@host/db",
        "POSTGRES://me:password@host/db",
        "jdbc:mysql://host/db?password=password",
        "snowflake://me:password@account",
        "sqlite:///password.db",
        "file:///etc/password",
        "https://me:password@host/a.csv",
    ],
)
def test_other_databases_are_refused_by_name_without_their_address(place):
    with pytest.raises(clary.NotSupported) as raised:
        clary.Flow.read(place, name="rows").to_arrow()
    said = f"{raised.value.message} {raised.value.hint}"
    assert place.partition(":")[0].lower() in said
    assert "pass" not in said
    with pytest.raises(clary.NotSupported) as raised:
        clary.Flow([{"a": 1}]).write(place).run()
    assert "pass" not in raised.value.message


def test_a_step_reads_files_and_no_feature_group(bucket, apart):
    features = {"id": int, "at": float}
    group = clary.FeatureGroup(
        f"people-{next(numbers)}", identifier="id", event_time="at", features=features
    )
    flow = clary.Flow.read(group).filter("id > 0")

    @clary.pipeline
    def whole() -> None:
        flow()

    with pytest.raises(clary.InvalidInput, match="no rows are given for") as raised:
        whole.start()
    assert "reads no feature group" in raised.value.hint
    outside = loaded(apart, "../secret/people.csv")

    @clary.pipeline
    def climbing() -> None:
        outside()

    with pytest.raises(clary.InvalidInput, match="lies where"):
        climbing.start()
