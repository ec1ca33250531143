"""Features may be called as the engines' own columns are, and labels' columns too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import clary
from clary.doors.python.session import connect
from clary.features import point_in_time

DAY = datetime(2026, 1, 2, tzinfo=UTC)
NAMES = [
    "asked",
    "at",
    "at_us",
    "c0",
    "e",
    "event",
    "f",
    "filename",
    "found_0",
    "id",
    "is_keyed",
    "k",
    "key",
    "known",
    "known_us",
    "label_row",
    "labels",
    "m",
    "met",
    "moment",
    "n",
    "part",
    "rows",
    "select",
    "t",
    "value",
    "write",
]


@pytest.fixture(scope="module")
def group(session):
    assert connect(session.home) is session
    made = clary.FeatureGroup(
        "names",
        identifier="who",
        event_time="when",
        features={"who": int, "when": float} | dict.fromkeys(NAMES, int),
    )
    for day in range(3):
        made.put({"who": 1, "when": DAY + timedelta(day)} | dict.fromkeys(NAMES, day))
    made.put({"who": 2, "when": DAY} | dict.fromkeys(NAMES, 9))
    return made


@pytest.mark.parametrize("fan_out", [0.0, 6.0])
def test_training_sets(group, monkeypatch, fan_out):
    monkeypatch.setattr(point_in_time, "LARGEST_FAN_OUT", fan_out)
    labels = pd.DataFrame(
        {"who": [1], "event_time": [DAY + timedelta(1)], **{name: [5] for name in NAMES}}
    )
    [found] = clary.features.training_set(labels, ["names.*"], form="arrow").to_pylist()
    assert {found[f"names.{name}"] for name in NAMES} == {1}
    assert {found[name] for name in NAMES} == {5}


def test_windows(group, session):
    view = session.views.define(
        "windows-of-names",
        {f"x{at}": f"a{at}" for at in range(len(NAMES))},
        aggregates={
            f"a{at}": {"group": "names", "function": "sum", "of": f'"{name}"', "window": "7d"}
            for at, name in enumerate(NAMES)
        },
    ).wait()
    labels = pd.DataFrame({"who": [1], "event_time": [DAY + timedelta(2)]})
    [found] = view.training_set(labels, form="arrow").to_pylist()
    assert {found[f"x{at}"] for at in range(len(NAMES))} == {3}
    known = labels.assign(known=[datetime.now(UTC)])
    [found] = view.training_set(known, known_at="known", form="arrow").to_pylist()
    assert {found[f"x{at}"] for at in range(len(NAMES))} == {3}


def test_questions_and_erasure(group):
    assert len(group.frame()) == 2
    assert len(clary.features.sql("SELECT * FROM history.names")) == 4
    assert len(group.statistics()["measured"]["features"]) == len(NAMES) + 2
    group.erase(2)
    assert group.history(2) == []
    assert group.frame()["filename"].tolist() == [2]


@pytest.mark.parametrize("name", ["row", "Event_US", "write_time"])
def test_the_store_s_own_columns_are_refused(session, name):
    assert connect(session.home) is session
    with pytest.raises(clary.InvalidInput, match=f"'{name}' is a column of every table"):
        clary.FeatureGroup("own", identifier="who", event_time="when", features={name: int})
