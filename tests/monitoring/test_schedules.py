"""Schedules make executions: on time, one at a time, what was missed too, and on demand."""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.monitoring.world import MONTH, REF, request

from clary.kernel.clock import now
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.monitoring.model import execution
from clary.monitoring.schedules import MOST_MISSED, SETTLING


def test_an_execution_looks_at_what_came_since_the_occurrence_before(world):
    world.schedules.create(REF, request("cron(0 * ? * * *)"), actor="ada")
    first = world.turn()
    assert first.minute == 0
    assert first.second == SETTLING.seconds
    hour = first - SETTLING - timedelta(hours=2)
    world.age(handled=hour - timedelta(seconds=1))
    assert world.turn() is None
    assert world.windows() == [(hour - timedelta(hours=1), hour)]
    assert world.turn() is None, "one runs"
    assert len(world.made()) == 1


def test_what_was_missed_is_made_up_for_one_after_the_other(world):
    world.schedules.create(REF, request(), actor="ada")
    world.age(handled=now() - 3 * MONTH)
    while world.turn() is None:
        world.end()
    windows = world.windows()
    assert len(windows) == 3
    assert all(one[1] == other[0] for one, other in pairwise(windows))
    assert windows[-1][1].day == 1


def test_what_was_missed_long_ago_is_left_out_and_written_down(world):
    world.schedules.create(REF, request("rate(1 minute)"), actor="ada")
    made = world.store.get(REF)
    world.age(handled=made.created_at - timedelta(minutes=100))
    assert world.turn() is not None, "a rate has no occurrences before its schedule"
    world.schedules.update(REF, request("cron(* * ? * * *)"), actor="ada")
    world.age(handled=now() - timedelta(minutes=100))
    while world.turn() is None:
        world.end()
    ends = [execution(one).scheduled_at for one in world.made()]
    assert len(ends) in {MOST_MISSED, MOST_MISSED + 1}
    assert ends == sorted(ends)
    assert world.actions().count("monitoring-schedule.skipped") == 1


def test_now_runs_at_once_and_again_when_started(world):
    times = {"DataAnalysisStartTime": "-PT2H", "DataAnalysisEndTime": "-PT1H"}
    world.schedules.create(REF, request("NOW", times=times), actor="ada")
    [one] = world.made()
    value = execution(one)
    assert (value.scheduled_at - value.start, value.scheduled_at - value.end) == (
        timedelta(hours=2),
        timedelta(hours=1),
    )
    assert world.turn() is None
    world.schedules.start(REF, actor="ada")
    assert len(world.made()) == 1, "one runs"
    world.end()
    world.schedules.start(REF, actor="ada")
    assert len(world.made()) == 2


def test_a_stopped_schedule_makes_nothing_and_begins_anew(world):
    world.schedules.create(REF, request(), actor="ada")
    world.schedules.stop(REF, actor="ada")
    world.age(handled=now() - 3 * MONTH)
    assert world.turn() is None
    world.schedules.start(REF, actor="ada")
    assert world.turn() > now()
    assert world.made() == []


def test_an_execution_on_demand(world):
    world.schedules.create(REF, request(), actor="ada")
    start, end = now() - timedelta(days=2), now() - timedelta(days=1)
    ref = world.schedules.execute(REF, actor="bob", start=start, end=end)
    value = execution(world.store.get(ref))
    assert (value.start, value.end, value.actor) == (start, end, "bob")
    with pytest.raises(Conflict, match="runs"):
        world.schedules.execute(REF, actor="bob")
    with pytest.raises(InvalidInput, match="window"):
        world.schedules.execute(REF, actor="bob", start=end, end=start)


def test_a_deleted_schedule_leaves_its_executions(world):
    world.schedules.create(REF, request("NOW"), actor="ada")
    world.schedules.delete(REF, actor="ada")
    assert len(world.made()) == 1
    world.schedules.create(REF, request("NOW"), actor="ada")
    assert len(world.made()) == 2
    with pytest.raises(NotFound):
        world.schedules.get(REF.sibling("monitoring-schedule", "other"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expression": "cron(0 * * * * *)"}, "day-of-month"),
        ({"expression": "at(2030-01-01T00:00:00)"}, "NOW, cron"),
        ({"expression": "rate(0 minutes)"}, "rate"),
        ({"times": {"DataAnalysisStartTime": "yesterday"}}, "no moment"),
        ({"times": {"DataAnalysisStartTime": "PT1H"}}, "no window"),
        ({"StartTimeOffset": "1 hour"}, "no offset"),
        ({"LocalPath": "/etc"}, "below /opt/ml"),
    ],
)
def test_what_can_never_run_is_refused(world, changes, message):
    with pytest.raises(InvalidInput, match=message):
        world.schedules.create(REF, request(**changes), actor="ada")


def test_a_schedule_needs_one_definition_and_an_endpoint_that_is_there(world):
    asked = request()
    config = asked["MonitoringScheduleConfig"]
    both = {"MonitoringScheduleConfig": {**config, "MonitoringJobDefinitionName": "other"}}
    with pytest.raises(InvalidInput, match="exactly one definition"):
        world.schedules.create(REF, asked | both, actor="ada")
    given = {"EndpointName": "nowhere", "LocalPath": "/opt/ml/processing/input/endpoint"}
    config["MonitoringJobDefinition"]["MonitoringInputs"] = [{"EndpointInput": given}]
    with pytest.raises(NotFound, match="endpoint nowhere"):
        world.schedules.create(REF, asked, actor="ada")
    assert world.actions() == []


def test_an_alert_needs_so_many_of_so_many(world):
    world.schedules.create(REF, request(), actor="ada")
    with pytest.raises(InvalidInput, match="3 of 2"):
        world.schedules.set_alert(REF, datapoints=3, period=2, actor="ada")


def test_a_window_that_time_has_made_wrong_fails_its_execution_alone(world):
    times = {"DataAnalysisStartTime": "-PT2H", "DataAnalysisEndTime": "2026-01-01T00:00:00Z"}
    world.schedules.create(REF, request("NOW", times={}), actor="ada")
    world.end()
    config = {"ScheduleExpression": "NOW", **times}
    before = world.store.get(REF).body["request"]["MonitoringScheduleConfig"]
    changed = {"MonitoringScheduleConfig": {**before, "ScheduleConfig": config}}
    world.age(request={**world.store.get(REF).body["request"], **changed})
    world.schedules.start(REF, actor="ada")
    world.executions.run(world.made()[-1], threading.Event())
    ended = world.made()[-1]
    assert ended.status == "Failed"
    assert "is no window" in execution(ended).reason
