"""The thread that wakes views ends when its store does, and has woken what was written."""

import threading

import pytest
from tests.features.test_views import HOUR, NOW, World

PLAIN = {
    "aggregates": {"n": {"group": "payments", "function": "count", "window": "1d"}},
    "features": {"n": "n"},
}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home").make()
    yield made
    made.store.close()


def wakers():
    return [one for one in threading.enumerate() if one.name == "views-wake"]


def test_a_closed_store_has_no_thread_and_left_nothing_undone(world):
    others = wakers()
    view = world.define(PLAIN)
    world.refresh(view)
    for turn in range(3):
        world.put("payments", id=1, at=NOW - HOUR - turn, amount=1.0, shop="a")
        assert len(wakers()) == len(others) + 1
        world.store.freshness.close()
        assert wakers() == others
    world.store.freshness.close()  # again is no harm
    world.platform.worker.start()
    try:
        while world.views.vector(view, {"id": 1}) != {"n": 3}:
            world.platform.store.wait(0.02)
    finally:
        world.platform.worker.stop()
