"""Aggregates that were served are what the groups' history makes of their windows."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from tests.features.test_views import DEFINITION, HOUR, NOW, World, ref

from clary.features.fact_queries import Wanted
from clary.features.model import FEATURE_GROUP
from clary.features.views import VIEW

SPENDING = ref(VIEW, "spending")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home").make()
    yield made
    made.store.close()


def pay(world, key, hours, amount, shop="a"):
    world.put("payments", id=key, at=NOW - hours * HOUR, amount=amount, shop=shop)


def ask(world, view, key, request_id=""):
    return world.store.view_log.vector(view, {"id": key}, {"amount": 2.5}, request_id=request_id)


def skew(world, **wanted):
    assert world.store.facts.flush()
    return world.store.view_log.skew(SPENDING, Wanted(**wanted))


def test_an_unchanged_definition_has_no_skew_as_rows_come_and_go(world):
    draw = random.Random(3)
    view = world.define()
    world.refresh(view)
    for turn in range(12):
        for _ in range(8):
            amount = draw.choice([None, 0.1, 1e16, -1e16, float("nan")])
            pay(world, draw.randint(1, 3), draw.choice([0, 1, 2.5, 30, 200]), amount)
        world.put("customers", id=turn % 3 + 1, at=NOW - 9 * HOUR + turn, age=turn)
        if turn == 7:
            where = ref(FEATURE_GROUP, "payments")
            world.store.features.delete_record(where, 2, str(NOW - 40 * HOUR))
        world.refresh(view)
        for key in (1, 2, 3, 4):
            ask(world, view, key, f"r{turn}")
    report = skew(world, request_id="r11")  # nothing came after these
    assert (report.differences, report.from_source) == ([], True)
    assert report.cells == 4 * len(DEFINITION["features"])
    report = skew(world)
    assert report.requests == 48
    assert set(report.causes) == {"late"}  # what came after the others was true before them


def test_rows_that_come_late_are_told(world):
    view = world.define()
    pay(world, 1, 3, 2.0)
    world.refresh(view)
    ask(world, view, 1, "early")
    assert skew(world).is_equal
    pay(world, 1, 5, 3.0)
    report = skew(world)
    assert report.causes == {"late": 3}
    assert set(report.features) == {"share", "spent", "mean"}  # two rows are not yet keen
    told = {one.feature: one for one in report.differences}
    assert (told["spent"].served, told["spent"].replayed) == (2.0, 5.0)
    assert "spent_7d was 2.0, is 5.0: late data" in told["spent"].detail


def test_rows_that_did_not_count_yet_are_told(world):
    view = world.define()
    world.refresh(view)
    pay(world, 1, 3, 2.0)
    assert ask(world, view, 1)["spent"] is None
    assert set(skew(world).causes) == {"late"}


def test_what_the_history_has_lost_is_told(world):
    view = world.define()
    pay(world, 1, 3, 2.0)
    world.refresh(view)
    ask(world, view, 1)
    table = world.store.features.group(ref(FEATURE_GROUP, "payments")).offline_table
    world.store.offline.flush(table)
    world.store.offline.erase(table, ["1"])
    assert set(skew(world).causes) == {"source"}


def test_labels_have_moments_of_knowing_beside_aggregates(world):
    view, second = world.define(), timedelta(seconds=1)
    world.put("customers", id=1, at=NOW - 9 * HOUR, age=30)
    pay(world, 1, 3, 2.0)
    between = datetime.now(UTC)
    pay(world, 1, 3, 7.0)  # a correction
    pay(world, 1, 2, 1.0)
    moments = [datetime.fromtimestamp(NOW, UTC) - second, between, datetime.now(UTC)]
    rows = [{"id": 1, "t": moments[2], "amount": 1.0, "knew": known} for known in moments]
    found = world.batch(view, "known", rows, known_at="knew").to_pylist()
    assert [row["spent"] for row in found] == [None, 2.0, 8.0]
    assert [row["age"] for row in found] == [None, 30, 30]
