"""Executions: what they look at, the job they make, and what they say of its end."""

import threading
import time
from datetime import timedelta

from tests.monitoring.world import BUCKET, REF, VIOLATED, request

from clary.jobs.model import read
from clary.kernel.clock import now
from clary.kernel.codec import from_json
from clary.monitoring.alert_states import history
from clary.monitoring.model import execution

HOUR = {"DataAnalysisStartTime": "-PT1H"}


def begin(world):
    """Let the newest execution take its turn."""
    world.executions.run(world.made()[-1], threading.Event())
    return world.made()[-1]


def settled(world):
    """Wait until the newest execution has ended, with the worker at work."""
    world.platform.worker.start()
    while world.made()[-1].status in {"Pending", "InProgress", "Stopping"}:
        world.store.wait(0.05)
        time.sleep(0.01)
    return world.made()[-1]


def test_nothing_to_look_at_is_reported_and_no_failure(world):
    world.schedules.create(REF, request("NOW", times=HOUR), actor="ada")
    ended = begin(world)
    assert ended.status == "Completed"
    assert execution(ended).reason.startswith("No data from ")
    assert execution(ended).job is None


def test_a_batch_of_the_window_is_looked_at_and_its_violations_are_told(world):
    world.captured(now() - timedelta(minutes=30))
    world.captured(now() - timedelta(hours=3))
    world.schedules.create(REF, request("NOW", VIOLATED, HOUR), actor="ada")
    ended = settled(world)
    value = execution(ended)
    assert (ended.status, value.violations) == ("CompletedWithViolations", 1)
    job = read(world.platform.jobs.get(value.job))
    [given] = job.request["ProcessingInputs"]
    uri = given["S3Input"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    assert from_json(b"".join(world.objects.read(BUCKET, uri))) == [
        {"prefix": f"s3://{BUCKET}/"},
        "batch/rows.csv",
    ]
    told = job.request["Environment"]
    assert told["dataset_format"] == '{"csv":{"header":false}}'
    assert told["monitoring_input_type"] == "BATCH_TRANSFORM_INPUT"
    assert value.output.startswith(f"s3://{BUCKET}/reports/monthly/")
    assert world.actions()[-1] == "monitoring-execution.completedwithviolations"
    links = world.store.links(ended.ref, incoming=False)
    assert [one.target for one in links] == [value.job]
    [turn] = history(world.store, world.store.get(REF))
    assert turn.status == "InAlert"


def test_an_input_that_cannot_be_had_fails_with_words(world):
    world.put(f"captured/input/{now():%Y/%m/%d/%H}/00-00-job-algo-1.jsonl", b"{}\n")
    world.schedules.create(REF, request("NOW", times={"DataAnalysisStartTime": "-PT2H"}), actor="a")
    ended = begin(world)
    assert ended.status == "Failed"
    assert "is no manifest" in execution(ended).reason


def test_a_failed_program_is_a_failed_execution(world):
    world.captured(now() - timedelta(minutes=30))
    world.schedules.create(REF, request("NOW", "raise SystemExit('no way')", HOUR), actor="ada")
    ended = settled(world)
    assert ended.status == "Failed"
    assert "no way" in execution(ended).reason


def test_a_stopped_execution_stops_its_job(world):
    world.captured(now() - timedelta(minutes=30))
    world.schedules.create(REF, request("NOW", "import time; time.sleep(600)", HOUR), actor="ada")
    running = begin(world)
    assert running.status == "InProgress"
    world.executions.stop(running.ref, actor="bob")
    assert settled(world).status == "Stopped"
    assert world.platform.jobs.get(execution(running).job).status == "Stopped"
