"""Where flows of the shell read and write: homes, and what is allowed."""

from __future__ import annotations

import json

import pytest

import clary as library
from clary.config import Config
from clary.doors.python.session import connect
from clary.kernel.clock import now
from clary.kernel.resource import Bucket
from clary.platform import open_platform

ACCOUNT, REGION = "123456789012", "us-east-1"
ROWS = b"id,age\n1,20\n2,40\n"


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """Make a folder of a flow, one of secrets beside it, and one to work in."""
    for name in ("flow", "secret", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "people.csv").write_bytes(ROWS)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def platform(home):
    opened = open_platform(Config(home=home))
    opened.objects.create_bucket(Bucket("sea", ACCOUNT, REGION, now()))
    opened.objects.put("sea", "in/people.csv", [ROWS])
    return opened


def flow_of(apart, source, to="out.csv"):
    path = apart / "flow/people.flow.json"
    nodes = [
        {"id": "people", "operator": "source", "with": source},
        {"id": "written", "operator": "destination", "with": {"path": to}, "inputs": ["people"]},
    ]
    path.write_text(json.dumps({"nodes": nodes}))
    return path


def test_a_flow_stays_in_its_folder_and_the_current_one(clary, apart):
    flow = flow_of(apart, {"path": "../secret/people.csv"})
    for command in (("run",), ("preview",), ("fit",), ("report", "-o", "report.html")):
        refused = clary("flow", command[0], flow, *command[1:])
        assert refused.code == 1
        assert "../secret/people.csv lies where a flow that was loaded from a file" in refused.err
        assert "--allow" in refused.err
    assert clary("flow", "run", flow, "--allow", apart / "secret").code == 0
    assert clary("flow", "run", flow, "--source", "people=../secret/people.csv").code == 0
    assert (apart / "work/out.csv").read_bytes() == ROWS


def test_what_is_written_on_the_command_line_may_be_anywhere(clary, apart):
    flow = flow_of(apart, {"path": "people.csv"}, to="../secret/people.csv")
    refused = clary("flow", "run", flow)
    assert "../secret/people.csv lies where" in refused.err
    elsewhere = apart / "secret/rows.json"
    assert clary("flow", "run", flow, "--to", elsewhere).code == 0
    assert [json.loads(one)["id"] for one in elsewhere.read_text().splitlines()] == [1, 2]
    assert (apart / "secret/people.csv").read_bytes() == ROWS


def test_objects_of_a_home_are_read_and_written(clary, apart, platform):
    flow = flow_of(apart, {"uri": "s3://sea/in/people.csv"}, to="s3://sea/out/people.csv")
    refused = clary("flow", "run", flow)
    assert "s3://sea/in/people.csv lies where" in refused.err
    done = clary("flow", "run", flow, "--allow", "s3://sea", "--json")
    assert done.code == 0, done.err
    assert done.json == [{"node": "written", "path": "s3://sea/out/people.csv", "rows": 2}]
    assert b"".join(platform.objects.read("sea", "out/people.csv")) == ROWS
    given = ("--source", "people=s3://sea/in/people.csv", "--to", "s3://sea/out/again.csv")
    assert clary("flow", "run", flow, *given).code == 0
    assert b"".join(platform.objects.read("sea", "out/again.csv")) == ROWS
    nowhere = clary("flow", "run", flow, *given, "--home", apart / "nowhere")
    assert nowhere.code == 1
    assert "a home at" in nowhere.err
    missing = clary("flow", "preview", flow, "--source", "people=s3://sea/nothing.csv")
    assert "there is no object at s3://sea/nothing.csv" in missing.err


def test_feature_groups_of_a_home_are_read(clary, apart, home):
    with connect(home):
        features = {"id": int, "at": float, "age": int}
        group = library.FeatureGroup("people", identifier="id", event_time="at", features=features)
        group.put({"id": 1, "at": 0.0, "age": 20})
    flow = flow_of(apart, {"feature_group": "people"})
    refused = clary("flow", "preview", flow)
    assert "feature-group:people lies where" in refused.err
    shown = clary("flow", "preview", flow, "--allow", "feature-group:people", "--json")
    assert (shown.code, [row["age"] for row in shown.json]) == (0, [20]), shown.err
    other = flow_of(apart, {"feature_group": "nobody"})
    said = clary("flow", "preview", other, "--allow", "feature-group:nobody").err
    assert "`clary features list`" in said


def test_the_address_of_a_database_is_not_repeated(clary, apart):
    flow = flow_of(apart, {"path": "people.csv"})
    refused = clary("flow", "run", flow, "--source", "people=postgresql://me:secret@host/db")
    assert (refused.code, "secret" in refused.err) == (1, False)
    assert "flows do not read or write postgresql" in refused.err
