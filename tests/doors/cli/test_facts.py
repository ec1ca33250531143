"""``clary facts`` and ``clary views`` on a real store."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from tests.doors.cli.test_skew import GROUP, RISK, World

from clary.features.model import FEATURE_GROUP
from clary.kernel.clock import now_us
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref

CLICKS = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "facts", "clicks")


@pytest.fixture
def world(home):
    made = World(home)
    yield made
    made.close()


def serve(world, *keys):
    for key in keys:
        world.store.view_log.vector(
            RISK, {"id": key}, {"amount": 2.0}, context={"model": "m"}, request_id=f"r{key}"
        )
    assert world.store.facts.flush()


def test_facts_are_listed_by_what_they_were_used_for(world, clary):
    world.define()
    world.put(3, now_us() / 1e6 - 9, age=30, spent=4.0)
    serve(world, 3, 4)
    found = clary("facts", "list", "risk", "--request", "r3", "--json").json
    assert [(one["entity"], one["served"]["ratio"]) for one in found] == [("3", 2.0)]
    assert found[0]["known"] == {"age": 30, "spent": 4.0, "city": None, "amount": 2.0}
    said = clary("facts", "list", "risk", "--context", "model=m", "--hours", "1")
    assert '"ratio":2.0' in said.out
    assert len(clary("facts", "list", "risk", "--limit", "1", "--json").json) == 1
    assert "legal: NAME=TEXT" in clary("facts", "list", "risk", "--context", "m").err
    assert "no facts" in clary("facts", "list", "nothing").err


def test_facts_are_audited(world, clary):
    world.define()
    world.put(3, now_us() / 1e6 - 9, age=30, spent=4.0)
    serve(world, 3, 4)
    said = clary("facts", "audit", "risk", "--json")
    assert (said.code, said.json["facts"], said.json["sampled"]) == (0, 2, 2)
    (spent,) = [one for one in said.json["aggregates"] if one["fact"] == "spent"]
    assert (spent["count"], spent["missing"], spent["mean"]) == (2, 1, 4.0)
    table = world.store.features.group(GROUP).offline_table
    world.store.offline.flush(table)
    world.store.offline.erase(table, ["3"])
    said = clary("facts", "audit", "risk", "--share", "1")
    assert said.code == 1
    assert "2 facts; 2 held against their source" in said.err
    assert "out of bounds" in clary("facts", "audit", "risk", "--share", "2").err
    assert "does not exist" in clary("facts", "audit", "nothing").err

    assert "rate(1 day)" in clary("facts", "audit", "risk", "--every", "rate(1 day)").err
    assert world.store.schedules.get(RISK, "audit").expression == "rate(1 day)"
    assert clary("facts", "audit", "risk", "--stop").code == 0
    assert clary("facts", "audit", "risk", "--stop").code == 1


def test_facts_become_tables_and_are_removed(world, clary):
    for key in ("7", "8", "7"):
        world.store.facts.log(CLICKS, key, {"page": "cart"})
    assert world.store.facts.flush()
    assert "no tables yet" in clary("facts", "tables", "clicks").err
    (found,) = clary("facts", "tables", "clicks", "--whole", "--json").json
    assert pq.read_table(found["file"])["known.page"].to_pylist() == ["cart"] * 3
    assert clary("facts", "erase", "clicks", "7", "--json").json == {"removed": 2}
    assert clary("facts", "forget", "clicks", "--days", "1", "--json").json == {"removed": 0}
    assert clary("facts", "forget", "clicks", "--days", "0", "--json").json == {"removed": 1}
    assert clary("facts", "list", "clicks", "--json").json == []
    words = ("facts", "forget", "clicks", "--days", "90")
    assert "after 90 days" in clary(*words, "--every", "rate(1 day)").err
    assert [clary(*words, "--stop").code for _ in range(2)] == [0, 1]


def test_views_are_listed_and_written_down(world, clary):
    assert "no feature views" in clary("views", "list").err
    world.define()
    world.put(3, now_us() / 1e6 - 9, age=30, spent=4.0)
    said = clary("views", "materialize", "risk", "--json")
    assert said.json == {"feature group": "risk-v1", "records": 1}
    written = world.store.features.get_record(GROUP.sibling(FEATURE_GROUP, "risk-v1"), 3)
    assert written["decade"] == 3
    assert clary("views", "materialize", "risk", "--every", "rate(1 hour)").code == 0
    (row,) = clary("views", "list", "--json").json
    assert (row["view"], row["groups"], row["inputs"]) == ("risk", "customers", "amount")
    assert row["written down"] == "rate(1 hour)"
    shown = clary("views", "show", "risk/1", "--json").json
    assert shown["features"]["asked"] == "amount"
    assert clary("views", "materialize", "risk", "--stop").code == 0
    assert clary("views", "materialize", "risk", "--stop").code == 1
    said = clary("views", "show", "nothing")
    assert "clary views list" in said.err
