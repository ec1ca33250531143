"""Views are written down, and facts audited, at the times that schedules say."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.features.test_views import HOUR, NOW, World, ref

from clary.features.fact_audits import DIFFERENT, Sampled
from clary.features.fact_queries import Wanted
from clary.features.materialization import MATERIALIZATION
from clary.features.model import FEATURE_GROUP
from clary.features.scheduled_tasks import AUDIT, FORGET, MATERIALIZE
from clary.features.schedules import FEATURE_SCHEDULE
from clary.features.views import VIEW
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.resource import Query

AGES = {"sources": {"customers": ["age"]}, "features": {"next": "age + 1"}}
VIEW_REF = ref(VIEW, "ages")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home").make()
    yield made
    made.store.close()
    made.platform.recorder.close()


def put(world, task, of=VIEW_REF, when="rate(1 hour)", **options):
    return world.store.schedules.put(of, task, when, options, actor="me").ref


def ran(world, made):
    """Run a schedule as the worker does; say when it is due again."""
    return world.store.schedules.run(world.platform.store.get(made), threading.Event())


def later(world, made, **time):
    """Let time pass for a schedule, and run it."""
    with world.platform.store.begin() as change:
        found = change.get(made)
        before = {
            name: (datetime.fromisoformat(found.body[name]) - timedelta(**time)).isoformat()
            for name in ("anchor", "handled")
        }
        change.update(replace(found, body={**found.body, **before}))
    return ran(world, made)


def work(world):
    """Do what was started."""
    store = world.platform.store
    query = Query(MATERIALIZATION, statuses=("InProgress",))
    found = [one.ref for one in store.select(query).items]
    for one in found:
        world.store.materializations.run(store.get(one), threading.Event())
    return [store.get(one) for one in found]


def test_a_view_is_written_down_again_and_again(world):
    world.put("customers", id=1, at=NOW - 5 * HOUR, age=1)
    world.define(AGES, "ages")
    made = put(world, MATERIALIZE)
    due = ran(world, made)
    assert timedelta(minutes=59) < due - now() <= timedelta(hours=1)
    (first,) = work(world)
    group = ref(FEATURE_GROUP, "ages-v1")
    assert world.store.features.get_record(group, 1)["next"] == 2
    assert ran(world, made) == due  # nothing is due
    assert work(world) == []
    world.put("customers", id=2, at=NOW - 9 * HOUR, age=5)  # late
    later(world, made, hours=3, minutes=1)
    later(world, made, hours=1)  # it goes on still
    (second,) = work(world)
    assert second.body["since_us"] == first.body["until_us"] - 10_000_000
    assert world.store.features.get_record(group, 2)["next"] == 6
    world.define({**AGES, "features": {"next": "age + 2"}}, "ages")
    later(world, made, hours=1)
    (third,) = work(world)  # another version, from its beginning
    assert (third.body["since_us"], third.body["group"]) == (None, "ages-v2")
    world.store.schedules.delete(VIEW_REF, MATERIALIZE, actor="me")
    assert world.store.schedules.get(VIEW_REF, MATERIALIZE) is None


def test_what_failed_is_done_again_from_where_it_began(world):
    world.put("customers", id=1, at=NOW - 5 * HOUR, age=1)
    world.define({**AGES, "features": {"next": "age * 4611686018427387904"}}, "ages")
    made = put(world, MATERIALIZE)
    ran(world, made)
    (first,) = work(world)
    world.put("customers", id=1, at=NOW - 4 * HOUR, age=2)
    later(world, made, hours=1)
    (second,) = work(world)
    assert (first.status, second.status) == ("Completed", "Failed")
    world.put("customers", id=1, at=NOW - 3 * HOUR, age=1)
    later(world, made, hours=1)
    (third,) = work(world)
    assert third.status == "Completed"
    assert third.body["since_us"] == second.body["since_us"]


def test_facts_are_audited_and_measured(world):
    world.put("customers", id=1, at=NOW - 5 * HOUR, age=1)
    view = world.define(AGES, "ages")
    made = put(world, AUDIT, every_h=1, sample=100)
    for _ in range(5):
        world.store.view_log.vector(view, {"id": 1})
    assert world.store.facts.flush()
    ran(world, made)
    assert memory(world)["facts"] == 0  # what came just now is looked at the next time
    found = world.store.audits.run(view, Wanted(), Sampled(sample=3))
    assert (found.facts, found.sampled, found.is_sound) == (5, 3, True)
    table = world.store.features.group(ref(FEATURE_GROUP, "customers")).offline_table
    world.store.offline.flush(table)
    world.store.offline.erase(table, ["1"])
    found = world.store.audits.run(view, Wanted(), Sampled(share=1.0))
    assert [(one.name, one.compared, one.different) for one in found.comparisons] == [("age", 5, 5)]
    assert not found.is_sound
    world.store.audits.measure(view, found)
    measured = {one.metric.name: one.tally.total for one in world.platform.recorder.totals()}
    assert measured[DIFFERENT] == 100.0


def test_other_facts_have_no_source(world):
    clicks = ref("facts", "clicks")
    with pytest.raises(NotFound, match="clicks"):
        world.store.audits.run(clicks, Wanted(), Sampled())
    world.store.facts.log(clicks, "7", {"page": "cart", "n": 2})
    assert world.store.facts.flush()
    found = world.store.audits.run(clicks, Wanted(), Sampled())
    assert ([one.name for one in found.aggregates], found.comparisons) == (["n", "page"], ())
    made = put(world, AUDIT, clicks, "cron(0 8 ? * MON-FRI *)")
    assert ran(world, made).hour == 8


def test_old_facts_are_forgotten(world):
    clicks = ref("facts", "clicks")
    world.store.facts.log(clicks, "7", {"page": "cart"})
    assert world.store.facts.flush()
    made = put(world, FORGET, clicks, days=1)
    ran(world, made)
    assert world.store.schedules.get(clicks, FORGET).memory == {"removed": 0}
    made = put(world, FORGET, clicks, days=0)
    ran(world, made)
    assert world.store.schedules.get(clicks, FORGET).memory == {"removed": 1}
    for wrong in ({}, {"days": -1}, {"days": "old"}):
        with pytest.raises(InvalidInput, match="days"):
            put(world, FORGET, clicks, **wrong)


def test_what_makes_no_sense_is_refused(world):
    with pytest.raises(NotFound, match="ages"):
        put(world, MATERIALIZE)
    world.define(AGES, "ages")
    for when in ("rate(1 second)", "daily", "at(2020-01-01T00:00:00)"):
        with pytest.raises(InvalidInput):
            put(world, MATERIALIZE, when=when)
    with pytest.raises(InvalidInput, match="audit"):
        put(world, "dance")
    with pytest.raises(InvalidInput, match="samples"):
        put(world, AUDIT, samples=3)
    with pytest.raises(InvalidInput, match="out of bounds"):
        put(world, AUDIT, share=2)
    only = {**AGES, "inputs": {"n": "Integral"}, "features": {"n": "n"}}
    world.define(only, "asked")
    with pytest.raises(InvalidInput, match="needs a request"):
        put(world, MATERIALIZE, ref(VIEW, "asked"))
    assert world.store.schedules.list(Query(FEATURE_SCHEDULE)).items == []


def test_a_view_that_is_gone_fails_and_the_schedule_goes_on(world):
    view = world.define(AGES, "ages")
    made = put(world, MATERIALIZE)
    world.views.delete(view, actor="me")
    assert ran(world, made) > now()
    assert "ages" in world.store.schedules.get(VIEW_REF, MATERIALIZE).failure
    world.define(AGES, "ages")
    later(world, made, hours=1)
    assert world.store.schedules.get(VIEW_REF, MATERIALIZE).failure == ""


def memory(world):
    return world.store.schedules.get(VIEW_REF, AUDIT).memory
