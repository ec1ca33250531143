"""Schedules on a real store: what was missed is made up for once, and written down."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.names import Ref, arn
from clary.kernel.resource import Query
from clary.pipelines.deliveries import DELIVERY
from clary.pipelines.rules import RULE, Rules
from clary.pipelines.schedules import SCHEDULE, Schedule, Schedules

ACCOUNT, REGION = "123456789012", "us-east-1"
PIPELINE = Ref(ACCOUNT, REGION, "pipeline", "abalone")
REF = Ref(ACCOUNT, REGION, SCHEDULE, "default/nightly")


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    yield store
    store.close()


def request(expression, **more):
    return {"ScheduleExpression": expression, "Target": {"Arn": arn(PIPELINE)}, **more}


def age(store, ref, **members):
    """Change when a schedule began or was looked at last."""
    found = store.get(ref)
    with store.begin() as transaction:
        transaction.update(replace(found, body={**found.body, **plain(members)}))
    return store.get(ref)


def deliveries(store):
    return store.select(Query(DELIVERY)).items


def run(schedules, store):
    return schedules.run(store.get(REF), threading.Event())


def test_what_was_missed_is_started_once_and_written_down(store):
    schedules = Schedules(store)
    schedules.create(REF, request("cron(0 * * * ? *)"), actor="ada")
    handled = now() - timedelta(days=3)
    age(store, REF, handled=handled)
    due_at = run(schedules, store)
    assert now() < due_at <= now() + timedelta(hours=1)
    assert len(deliveries(store)) == 1
    (fired,) = [line for line in store.events() if line.action == "schedule.fired"]
    last = build(Schedule, store.get(REF).body).handled
    assert fired.detail["occurrence"] == plain(last)
    assert now() - timedelta(hours=1) < last <= now()
    assert plain(handled) < fired.detail["missed_since"] < plain(handled + timedelta(hours=1))
    assert run(schedules, store) == due_at
    assert len(deliveries(store)) == 1


def test_a_rate_begins_at_once_and_with_another_an_interval_later(store):
    schedules = Schedules(store)
    schedules.create(REF, request("rate(2 hours)"), actor="ada")
    made = store.get(REF).created_at
    assert run(schedules, store) == made + timedelta(hours=2)
    assert len(deliveries(store)) == 1
    schedules.put(REF, request("rate(2 hours)", StartDate=now()), actor="ada")  # as the SDK does
    assert run(schedules, store) == made + timedelta(hours=2)
    changed = schedules.put(REF, request("rate(3 hours)"), actor="ada")
    due_at = run(schedules, store)
    assert due_at == build(Schedule, changed.body).anchor + timedelta(hours=3) > now()
    assert len(deliveries(store)) == 1
    schedules.update(REF, request("rate(2 hours)", State="DISABLED"), actor="ada")
    assert run(schedules, store) is None


def test_a_start_in_the_future_is_the_first_occurrence(store):
    schedules = Schedules(store)
    start = now() + timedelta(hours=5)
    schedules.create(REF, request("rate(1 day)", StartDate=start), actor="ada")
    assert run(schedules, store) == start
    assert deliveries(store) == []


def test_a_moment_in_the_past_and_an_end_start_nothing(store):
    schedules = Schedules(store)
    schedules.create(REF, request("at(2020-01-01T00:00:00)"), actor="ada")
    assert run(schedules, store) is None
    ended = request("rate(1 minute)", EndDate=now() + timedelta(seconds=30))
    schedules.update(REF, ended, actor="ada")
    assert run(schedules, store) is None
    assert deliveries(store) == []


def test_a_rule_with_a_timetable_waits_an_interval_and_makes_up_once(store):
    rules, ref = Rules(store), Ref(ACCOUNT, REGION, RULE, "hourly")
    rules.put(ref, {"ScheduleExpression": "rate(1 hour)"}, actor="ada")
    rules.put_targets(ref, [{"Id": "a", "Arn": arn(PIPELINE)}], actor="ada")
    since = build(dict, store.get(ref).body)["since"]
    assert rules.run(store.get(ref), threading.Event()) is not None
    assert deliveries(store) == []
    early = now() - timedelta(hours=9, minutes=30)
    found = age(store, ref, since=early, handled=early)
    assert found.body["since"] != since
    due_at = rules.run(found, threading.Event())
    assert due_at == early + timedelta(hours=10)
    assert len(deliveries(store)) == 1
