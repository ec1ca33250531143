"""Feature groups in Python: opened, added to, written, read, deleted; what is refused and why."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Annotated

import pandas as pd
import polars as pl
import pytest

import clary
from clary.doors.python.session import connect

DAY = datetime(2026, 1, 2, tzinfo=UTC)
DEFINITION = {
    "identifier": "id",
    "event_time": "at",
    "features": {"id": int, "at": float, "age": int, "tags": set[str]},
}
numbers = itertools.count()


@pytest.fixture
def group(session):
    assert connect(session.home) is session
    return clary.FeatureGroup(f"group-{next(numbers)}", **DEFINITION)


def test_the_same_definition_opens_and_more_features_are_added(group):
    group.put({"id": 1, "at": DAY, "age": 30})
    again = clary.FeatureGroup(group.name, **DEFINITION)
    assert again.get(1) == group.get("1") == {"id": 1, "at": DAY.timestamp(), "age": 30}
    more = {**DEFINITION["features"], "face": Annotated[list[float], 2]}
    wider = clary.FeatureGroup(group.name, **DEFINITION | {"features": more})
    wider.put({"id": 1, "at": DAY + timedelta(1), "face": [0.5, 1], "tags": ["b", "a", "b"]})
    found = clary.FeatureGroup(group.name).get(1, ["face", "tags"])
    assert found == {"face": [0.5, 1.0], "tags": ["a", "b"]}
    assert wider.get(1, ["age"]) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": {"id": int, "at": float, "age": float}}, "age: .*legal: Integral"),
        ({"features": {"id": int, "at": float, "tags": list[str]}}, "tags: .*legal: Set of String"),
        ({"identifier": "age"}, "identifier: .*legal: id"),
        ({"offline": False}, "offline: .*legal: True"),
        ({"features": {"x": bool}}, "x: .*legal: int, float, str"),
        ({"features": {"x": Annotated[list[int], 3]}}, "x: "),
        ({"features": {"x": dict[str, int]}}, "x: "),
        ({"ttl": timedelta(seconds=0.5)}, "ttl: .*whole seconds"),
        ({"features": {"x": [float, 2]}}, r"x: \[.*float.*says no feature"),
    ],
)
def test_what_would_reinterpret_data_is_refused(group, change, said):
    with pytest.raises(clary.InvalidInput, match=said):
        clary.FeatureGroup(group.name, **DEFINITION | change)


def test_a_time_to_live_is_set_and_changed(session):
    assert connect(session.home) is session
    name = f"group-{next(numbers)}"
    short = clary.FeatureGroup(name, **DEFINITION, ttl=timedelta(hours=1))
    short.put({"id": 1, "at": DAY})
    assert short.get(1) is None
    long = clary.FeatureGroup(name, **DEFINITION, ttl=timedelta(days=36_500))
    long.put({"id": 1, "at": DAY + timedelta(1)})
    assert long.get(1) is not None


def test_a_name_alone_makes_no_group(session):
    assert connect(session.home) is session
    with pytest.raises(clary.NotFound, match="nothing-here"):
        clary.FeatureGroup("nothing-here")


@pytest.mark.parametrize("library", [pd, pl])
def test_frames_go_in_whole_or_say_which_rows_do_not(group, library):
    times = [DAY, DAY + timedelta(1)]
    right = library.DataFrame({"id": [1, 2], "at": times, "age": [None, 5]})
    if library is pd:
        right["age"] = right["age"].astype("Int64")
    assert group.ingest(right) == {}
    assert group.get_many([2, 3, "1"], ["age"]) == [{"age": 5}, None, {}]
    wrong = library.DataFrame({"id": [3, None], "at": times})
    wrong = wrong.astype({"id": "Int64"}) if library is pd else wrong
    with pytest.raises(clary.InvalidInput, match="row 1: id"):
        group.ingest(wrong)
    assert group.get(3) is None
    assert set(group.ingest(wrong, partial=True)) == {1}
    assert group.get(3) is not None


def test_what_is_no_frame_is_refused(group):
    with pytest.raises(clary.InvalidInput, match="frame: is a list"):
        group.ingest([{"id": 1}])


def test_history_keeps_what_deletions_and_later_records_hide(group):
    group.put({"id": 1, "at": DAY, "age": 30})
    group.put({"id": 1, "at": DAY - timedelta(1), "age": 29})
    group.put({"id": 2, "at": DAY, "age": 50})
    group.delete(1, at=DAY + timedelta(1))
    assert group.get(1) is None
    group.put({"id": 1, "at": DAY + timedelta(2), "age": 31})
    rows = group.history(1)
    assert [(row["age"], row["is_deleted"]) for row in rows] == [
        (29, False),
        (30, False),
        (None, True),
        (31, False),
    ]
    assert group.history("3") == []
    group.delete(1, hard=True)
    group.put({"id": 1, "at": DAY, "age": 30})
    assert group.get(1) is not None
    with pytest.raises(clary.InvalidInput, match="time zone"):
        group.delete(1, at=datetime(2026, 1, 1))


def test_keys_are_no_sql(session):
    assert connect(session.home) is session
    group = clary.FeatureGroup("Odd-Name", identifier="id", event_time="at")
    key = 'it\'s \\ "7" -- ;'
    group.put({"id": key, "at": DAY})
    assert [row["id"] for row in group.history(key)] == [key]
    latest = clary.FeatureGroup("only-now", identifier="id", event_time="at", offline=False)
    with pytest.raises(clary.InvalidInput, match="no offline store"):
        latest.history("7")


def test_groups_are_listed_asked_and_trained_on(group):
    group.put({"id": 1, "at": DAY, "age": 30})
    group.put({"id": 1, "at": DAY + timedelta(1), "age": 31})
    assert group.name in [one.name for one in clary.features.list()]
    query = f'SELECT age FROM history."{group.name}" ORDER BY age'
    assert clary.features.sql(query)["age"].tolist() == [30, 31]
    times = [DAY - timedelta(1), DAY, DAY + timedelta(2)]
    labels = pd.DataFrame({"id": [1, 1, 1], "when": times})
    feature = f"{group.name}.age"
    made = clary.features.training_set(labels, [feature], time="when", form="polars")
    assert made[feature].to_list() == [None, 30, 31]
    with pytest.raises(clary.InvalidInput, match=r"form: .*pandas, polars, arrow"):
        clary.features.sql(query, form="csv")
