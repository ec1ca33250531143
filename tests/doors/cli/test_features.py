"""``clary features`` on a home's groups."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import pytest

import clary as library
from clary.doors.python.session import connect


@pytest.fixture
def customers(home):
    with connect(home):
        library.FeatureGroup(
            "customers",
            identifier="id",
            event_time="at",
            features={"age": int, "face": Annotated[list[float], 2]},
        )


def test_groups_are_listed_shown_and_changed(customers, clary, monkeypatch):
    [row] = clary("features", "list", "--json").json
    assert (row["feature group"], row["features"], row["stores"]) == (
        "customers",
        4,
        "online, offline",
    )
    shown = {row["feature"]: row for row in clary("features", "show", "customers", "--json").json}
    assert shown["face"]["type"] == "Vector of Fractional"
    assert shown["id"]["role"] == "identifier"
    assert "OfflineStoreConfig" in clary("features", "show", "customers", "--whole").out
    record = '{"id": "7", "at": "2026-01-02T00:00:00Z", "age": 30}'
    assert clary("features", "put", "customers", record).code == 0
    assert clary("features", "get", "customers", "7", "--feature", "age", "--json").json == {
        "age": 30
    }
    lines = record.replace("7", "8") + "\n" + record.replace("30", '"old"').replace("7", "9")
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    said = clary("features", "put", "customers")
    assert said.code == 1
    assert "row 1: age" in said.err
    assert clary("features", "get", "customers", "8").code == 1


def test_what_there_is_not_is_said(customers, clary):
    assert "does not exist" in clary("features", "show", "nothing").err
    assert "`clary features list`" in clary("features", "show", "nothing").err
    said = clary("features", "get", "customers", "7")
    assert (said.code, said.err.count("\n")) == (1, 1)
    said = clary("features", "put", "customers", "[1]")
    assert "line 1" in said.err
    assert said.code == 1
