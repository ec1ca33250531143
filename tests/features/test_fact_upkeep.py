"""The worker makes tables of full files of facts, which are found as before."""

import threading

import pytest
from tests.features.test_views import World, ref

from clary.features.fact_upkeep import FACT_UPKEEP
from clary.kernel.clock import now
from clary.kernel.names import Ref

CLICKS = ref("facts", "clicks")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home")
    yield made
    made.store.close()


def test_full_files_become_tables(world, tmp_path):
    for key in ("7", "8"):
        world.store.facts.log(CLICKS, key, {"page": "cart"})
    assert world.store.facts.flush()
    assert world.store.fact_queries.tables(CLICKS) == []
    (path,) = (tmp_path / "home" / "facts").glob("*/*.facts")
    path.rename(path.with_name(f"{0:020d}-{path.name.partition('-')[2]}"))
    found = world.platform.store.get(Ref("", "", FACT_UPKEEP, "hourly"))
    assert world.store.fact_upkeep.run(found, threading.Event()) > now()
    (table,) = world.store.fact_queries.tables(CLICKS)
    world.store.facts.log(CLICKS, "9", {"page": "home"})
    assert world.store.facts.flush()
    assert [one.entity for one in world.store.fact_queries.each(CLICKS)] == ["7", "8", "9"]
    assert world.store.fact_queries.erase(CLICKS, "8") == 1
    assert [one.entity for one in world.store.fact_queries.find(CLICKS)] == ["7", "9"]
    tables = world.store.fact_queries.tables(CLICKS, is_whole=True)
    assert (tables[0], len(tables)) == (table, 2)
