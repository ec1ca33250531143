"""``clary features``: files in, records out, what is known of groups."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

import clary as library
from clary.doors.python.session import connect

CSV = """id,at,age,tags
7,2026-01-01T00:00:00Z,41,"[""a"", ""b""]"
8,2026-01-02T00:00:00Z,old,
9,yesterday,1,[
"""
LINES = """{"id": "20", "at": "2026-01-03T00:00:00Z", "age": 5, "tags": ["x"]}

[1]
{"id": "21", "at": "2026-01-03T00:00:00Z"}
"""


@pytest.fixture
def people(home):
    with connect(home):
        library.FeatureGroup(
            "people",
            identifier="id",
            event_time="at",
            features={"age": int, "tags": list[str]},
        )


def test_files_say_which_rows_are_wrong(people, clary, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    said = clary("features", "ingest", "people", path, "--json")
    assert (said.code, said.json["written"], said.json["failed"]) == (1, 0, 2)
    wrong = {one["row"]: one["feature"] for one in said.json["wrong"]}
    assert wrong == {2: "age", 3: "tags"}
    assert clary("features", "get", "people", "7").code == 1
    said = clary("features", "ingest", "people", path, "--partial")
    assert "1 of 3 rows written to people; 2 are wrong" in said.err
    found = clary("features", "get", "people", "7", "--json").json
    assert (found["age"], found["tags"]) == (41, ["a", "b"])
    lines = tmp_path / "people.jsonl"
    lines.write_text(LINES)
    said = clary("features", "ingest", "people", lines, "--partial", "--json").json
    assert (said["rows"], said["written"], said["wrong"][0]["row"]) == (3, 2, 2)
    frame = pd.DataFrame({"id": ["30"], "at": [datetime(2026, 1, 4, tzinfo=UTC)], "tags": [["q"]]})
    frame.to_parquet(tmp_path / "people.parquet")
    assert clary("features", "ingest", "people", tmp_path / "people.parquet").code == 0
    assert clary("features", "get", "people", "30", "--json").json["tags"] == ["q"]
    tree = clary("features", "lineage", "people", "--json").json
    assert {one["role"] for one in tree["children"]} == {"ingest"}
    assert len(tree["children"]) == 3


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.txt", "", r".csv, .parquet"),
        ("x.csv", 'id,at\n"7', "no CSV"),
        ("x.csv", "id,nothing\n7,8\n", "is no feature of people"),
        ("x.csv", "id\n7,8\n", "more cells"),
        ("x.parquet", "text", "no Parquet"),
        ("s3://nowhere/x.csv", None, "no bucket"),
    ],
)
def test_files_that_cannot_be_read_are_refused(people, clary, tmp_path, name, content, said):
    path = name if content is None else tmp_path / name
    if content is not None:
        path.write_text(content)
    found = clary("features", "ingest", "people", path)
    assert found.code == 1
    assert said in found.err + found.out


def test_records_are_deleted_erased_and_their_history_is_told(people, clary):
    for day, age in (("01", 30), ("02", 31)):
        record = f'{{"id": "7", "at": "2026-01-{day}T00:00:00Z", "age": {age}, "tags": ["a", "b"]}}'
        assert clary("features", "put", "people", record).code == 0
    assert clary("features", "delete", "people", "7").code == 0
    assert clary("features", "get", "people", "7").code == 1
    told = clary("features", "history", "people", "7", "--json").json
    assert [(one["age"], one["is_deleted"]) for one in told] == [
        (30, False),
        (31, False),
        (None, True),
    ]
    assert "a, b" in clary("features", "history", "people", "7").out
    assert clary("features", "erase", "people", "7").code == 0
    assert "nothing was ever written" in clary("features", "history", "people", "7").err


def test_groups_are_found_counted_and_kept_for_a_time(people, clary):
    record = '{"id": "7", "at": "2026-01-01T00:00:00Z", "age": 30}'
    assert clary("features", "put", "people", record).code == 0
    [row] = clary("features", "list", "--json").json
    assert (row["rows"], row["newest event"]) == (1, "2026-01-01T00:00:00Z")
    said = ("--owner", "sales", "--description", "Who buys", "--tag", "pii=yes")
    assert clary("features", "annotate", "people", *said).code == 0
    assert clary("features", "annotate", "people", "--feature", "age", "--tag", "unit=y").code == 0
    assert "owner: sales" in clary("features", "show", "people").err
    [found] = clary("features", "search", "buys", "--tag", "pii=yes", "--json").json
    assert (found["group"], found["owner"]) == ("people", "sales")
    [found] = clary("features", "search", "age", "--owner", "sales", "--json").json
    assert (found["feature"], found["tags"]) == ("age", {"unit": "y"})
    counted = clary("features", "stats", "people", "--json").json
    assert counted["measured"]["rows"] == 1
    assert "30 (1)" in clary("features", "stats", "people").out
    assert "█" in clary("features", "stats", "people", "--feature", "age").out
    assert clary("features", "stats", "people", "--feature", "x").code == 1
    assert "nothing uses it" in clary("features", "usage", "people").err
    assert clary("features", "retain", "people", "--days", "30", "--json").json["days"] == 30
    assert clary("features", "retain", "people", "--json").json["days"] == 30
    assert clary("features", "retain", "people", "--forever", "--json").json["days"] == "for ever"
    assert clary("features", "remove", "people").code == 0
    assert [one["status"] for one in clary("features", "list", "--json").json] == ["Deleting"]
