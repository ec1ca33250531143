"""What Python says of groups: statistics, freshness, usage, search, time travel, deletion."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import clary
from clary.doors.python.session import connect
from clary.features.model import RETENTION, STATISTICS
from clary.kernel.resource import Query

DAY = datetime(2026, 1, 2, tzinfo=UTC)
numbers = itertools.count()


@pytest.fixture
def group(session):
    assert connect(session.home) is session
    made = clary.FeatureGroup(
        f"shop-{next(numbers)}",
        identifier="id",
        event_time="at",
        features={"id": int, "at": float, "age": int, "city": str},
    )
    for n in range(4):
        made.put({"id": n % 2, "at": DAY + timedelta(n), "age": 30 + n, "city": "Bern"})
    return made


def test_statistics_are_counted_once_for_a_version(group):
    found = group.statistics()
    age = next(one for one in found["measured"]["features"] if one["feature"] == "age")
    assert (age["present"], age["minimum"], age["maximum"], age["mean"]) == (4, 30, 33, 31.5)
    assert group.statistics() == found
    group.put({"id": 9, "at": DAY, "city": "Bonn"})
    again = group.statistics()
    assert again["version"] > found["version"]
    assert again["measured"]["rows"] == 5
    city = next(one for one in again["measured"]["features"] if one["feature"] == "city")
    assert city["frequent"] == [{"value": "Bern", "count": 4}, {"value": "Bonn", "count": 1}]


def test_freshness_counts_what_is_not_flushed(group):
    found = group.freshness()
    newest = (DAY + timedelta(3)).timestamp() * 1e6
    assert (found["rows"], found["entities"], found["newest_event_us"]) == (4, 2, newest)
    assert found["write_age_s"] < found["event_age_s"]
    group.statistics()
    assert group.freshness()["rows"] == 4


def test_usage_names_views_and_training_sets_with_their_features(group, session):
    labels = pd.DataFrame({"id": [0], "event_time": [DAY]})
    clary.features.training_set(labels, [f"{group.name}.age"], name=f"set-{group.name}")
    session.views.define(
        f"view-{group.name}", {"twice": "city || city"}, sources={group.name: ["city"]}
    )
    found = {one["kind"]: one for one in group.usage()}
    assert found["training-set"]["features"] == ["age"]
    assert found["feature-view"]["features"] == ["city"]
    assert [one["kind"] for one in group.usage("city")] == ["feature-view"]
    with pytest.raises(clary.InvalidInput, match="nothing"):
        group.usage("nothing")
    tree = group.lineage(down=True)
    assert {one["ref"]["kind"] for one in tree["children"]} == {"training-set", "feature-view"}


def test_what_is_said_is_found(group):
    word = f"retail-{group.name}"
    group.annotate(description=f"Customers of {word}", owner="sales", tags={"domain": word})
    group.annotate("age", description=f"Years {word}", owner="research", tags={"pii": "yes"})
    found = clary.features.search(word.upper())
    assert [(one["group"], one["feature"]) for one in found] == [
        (group.name, ""),
        (group.name, "age"),
    ]
    assert [one["owner"] for one in found] == ["sales", "research"]
    [tagged] = clary.features.search(tags={"domain": word})
    assert tagged["feature"] == ""
    [owned] = clary.features.search("age", owner="Research", tags={"pii": "yes"})
    assert owned["group"] == group.name
    assert clary.features.search(f"{word} nowhere") == []
    group.annotate(tags={"domain": None})
    assert clary.features.search(tags={"domain": word}) == []
    told = group.describe()
    assert (told["description"], told["owner"]) == (f"Customers of {word}", "sales")
    assert told["freshness"]["rows"] == 4
    with pytest.raises(clary.InvalidInput, match="legal: 128"):
        group.annotate(description="x" * 129)


def test_a_frame_is_as_of_a_time(group):
    assert group.frame()["age"].tolist() in ([32, 33], [33, 32])
    then = group.frame(at=DAY + timedelta(1.5), form="arrow").sort_by("id").to_pylist()
    assert [(row["id"], row["age"]) for row in then] == [(0, 30), (1, 31)]
    group.delete(0, at=DAY + timedelta(5))
    assert group.frame(at=DAY + timedelta(6))["id"].tolist() == [1]
    assert group.frame(at=DAY - timedelta(1)).empty
    assert group.frame(known_at=DAY).empty


def test_an_erased_entity_is_nowhere(group):
    group.statistics()
    group.erase(1)
    assert group.get(1) is None
    assert group.history(1) == []
    assert group.frame()["id"].tolist() == [0]
    assert group.statistics()["measured"]["entities"] == 1


def test_a_group_is_deleted_with_what_was_counted_of_it(group, session):
    group.statistics()
    group.keep(timedelta(days=30))
    clary.features.delete(group.name)
    for kind in (STATISTICS, RETENTION):
        kept = session.platform.store.select(Query(kind, parent=group._ref)).items
        assert not kept
    assert group.name not in {one.name for one in clary.features.list()}
    with pytest.raises(clary.NotFound):
        clary.features.delete(group.name)
