"""Erasure of an entity reaches what views keep: facts, tiles, and what they are written down in."""

import threading
from datetime import UTC, datetime

import pytest
from tests.features.test_views import HOUR, NOW, World, ref

from clary.features.model import FEATURE_GROUP
from clary.features.views import VIEW

SPENDING = {
    "sources": {"customers": ["age"]},
    "aggregates": {
        "spent": {"group": "payments", "function": "sum", "of": "amount", "window": "7d"}
    },
    "features": {"age": "age", "spent": "spent"},
}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home").make()
    yield made
    made.store.close()


def erase(world, group, key):
    world.store.erasure.erase(ref(FEATURE_GROUP, group), [key], actor="me")


def entities(world, view):
    assert world.store.facts.flush()
    return [fact.entity for fact in world.store.fact_queries.each(view)]


def test_views_forget_who_is_erased(world, tmp_path):
    view = world.define(SPENDING)
    for key in (111111, 222222):
        world.put("customers", id=key, at=NOW - HOUR, age=30)
        world.put("payments", id=key, at=NOW - HOUR, amount=1.5, shop="a")
        world.put("payments", id=key, at=NOW - 200 * HOUR, amount=4.0, shop="a")
    world.refresh(view)
    for key in (111111, 222222):
        world.store.view_log.vector(view, {"id": key})
    written = ref(FEATURE_GROUP, world.materialize(view).body["group"])
    assert world.store.features.get_record(written, 111111)["spent"] == 1.5
    assert entities(world, ref(VIEW, "spending")) == ["111111", "222222"]

    erase(world, "payments", 111111)
    assert world.views.vector(view, {"id": 111111}) == {"age": 30, "spent": None}
    assert world.views.vector(view, {"id": 222222}) == {"age": 30, "spent": 1.5}
    assert entities(world, ref(VIEW, "spending")) == ["222222"]
    assert world.store.features.get_record(written, 111111) is None
    assert world.store.features.get_record(written, 222222)["spent"] == 1.5
    erase(world, "customers", 111111)
    world.refresh(view)
    assert world.views.describe(view).body["erased"] == {}
    found = {one.key for one in listed(world, view)}
    assert {key.partition("/")[2] for key in found} == {"222222"}

    world.put("payments", id=111111, at=NOW - HOUR, amount=9.0, shop="a")  # a new customer
    world.refresh(view)
    assert world.views.vector(view, {"id": 111111})["spent"] == 9.0


def listed(world, view):
    tiles = world.views.open(view).tiles
    return [one for each in tiles for one in world.store.online.list(each._table)]


def test_who_is_erased_while_tiles_are_made_is_erased_again(world):
    view = world.define(SPENDING)
    world.put("payments", id=111111, at=NOW - HOUR, amount=1.5, shop="a")
    opened = world.views.open(view)
    stream, tiles = opened.checked.streams[0], opened.tiles[0]
    snapshot = world.store.offline.snapshot(stream.group.offline_table)
    changes = list(world.store.freshness._changes(stream, snapshot, {"row": -1, "version": 0}))
    erase(world, "payments", 111111)
    for each in changes:  # whoever had read them before adds them now
        tiles.add(each)
    assert listed(world, view) != []
    world.refresh(view)
    assert listed(world, view) == []


def test_entities_of_several_keys_and_old_versions(world):
    world.group("shops", "shop", size="Integral")
    one = world.define({"sources": {"shops": ["size"]}, "features": {"size": "size"}}, "both")
    two = world.define(
        {
            "sources": {"shops": ["size"], "customers": ["age"]},
            "features": {"size": "size", "age": "age"},
        },
        "both",
    )
    world.store.view_log.vector(one, {"shop": 7})
    world.store.view_log.vector(two, {"shop": 7, "id": 8})
    world.store.view_log.vector(two, {"shop": 8, "id": 7})
    view = ref(VIEW, "both")
    erase(world, "customers", 7)
    assert entities(world, view) == ["7", '{"id":"8","shop":"7"}']
    erase(world, "shops", 7)
    assert entities(world, view) == []


def test_what_writes_at_the_same_time_loses_nothing(world):
    view = world.define(SPENDING)
    ended = threading.Event()

    def write():
        for at in range(40):
            world.put("payments", id=222222, at=NOW - HOUR - at, amount=1.0, shop="a")
            world.refresh(view)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not ended.is_set():
        erase(world, "payments", 111111)
    thread.join()
    world.refresh(view)
    assert world.views.vector(view, {"id": 222222})["spent"] == 40.0
    rows = [{"id": 222222, "t": datetime.now(UTC)}]
    assert world.batch(view, "same", rows).to_pylist()[0]["spent"] == 40.0
