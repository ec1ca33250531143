"""Monitors in child processes that are killed; one JSON line a point.

Usage: killed.py schedule|check DIRECTORY POINT... : makes up for missed executions of a schedule,
or runs a pipeline whose step checks data. A point is ``<transaction>.<moment>`` (0: before it,
1: inside it, before the commit, 2: after it).
"""

import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.monitoring.world import MONTH, REF, VIOLATED, World, check_step, request

from clary import platform
from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.resource import Query
from clary.monitoring.model import ENDED, execution
from clary.monitoring.steps import CHECK

MISSED = 2
PIPELINE = REF.sibling("pipeline", "checked")


class Mortal(SqliteStore):
    """Kills its process at one moment of one transaction, of those after its awakening."""

    point = "never"
    awake = False

    def __init__(self, path):
        super().__init__(path)
        self._count = count()

    @contextmanager
    def begin(self, **options):
        number = next(self._count) if self.awake else -1
        self._die(number, 0)
        with super().begin(**options) as transaction:
            yield transaction
            self._die(number, 1)
        self._die(number, 2)

    def _die(self, number, moment):
        if self.point == f"{number}.{moment}":
            os.kill(os.getpid(), signal.SIGKILL)


def prepare(home):
    world = World(home)
    world.bucket()
    world.schedules.create(REF, request(program=VIOLATED), actor="ada")
    world.schedules.stop(REF, actor="ada")  # until a child has it go on
    month = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for number in range(MISSED):
        world.captured(month - timedelta(days=10 + 31 * number))
    world.close()


def live(home, point):
    """Make up for all that was missed, as far as that is still to do."""
    Mortal.point = point
    platform.SqliteStore = Mortal
    world = World(home, lease_s=0.3)
    if world.store.get(REF).status == "Stopped":
        world.age(handled=now() - MISSED * MONTH)
        with world.store.begin() as change:
            found = change.get(REF)
            change.update(replace(found, status="Scheduled"))
            change.wake(REF)
    Mortal.awake = True
    world.platform.worker.start()
    while len(ended(world)) < MISSED:
        time.sleep(0.02)
    world.close()


def prepare_check(home):
    world = World(home)
    world.bucket()
    world.put("before/constraints.json", b"{}")
    definition = {"Version": "2020-12-01", "Steps": [check_step(VIOLATED)]}
    world.platform.pipelines.create(
        PIPELINE,
        {
            "PipelineName": PIPELINE.name,
            "PipelineDefinition": json.dumps(definition),
            "RoleArn": "arn:aws:iam::123456789012:role/monitor",
            "ClientRequestToken": "t" * 32,
        },
        actor="ada",
    )
    world.close()


def live_check(home, point):
    """Run the pipeline, whatever of that has not been asked for yet, to its end."""
    Mortal.point = point
    platform.SqliteStore = Mortal
    world = World(home, lease_s=0.3)
    Mortal.awake = True
    world.platform.worker.start()
    token = "start-this-once-please-and-never-again"
    asked = {"PipelineName": PIPELINE.name, "ClientRequestToken": token}
    world.platform.pipelines.start(PIPELINE, asked, actor="ada")
    while found(world, "pipeline-execution")[0].status == "Executing":
        time.sleep(0.02)
    world.close()


def outcome_check(home):
    world = World(home)
    (execution,), (step,) = found(world, "pipeline-execution"), found(world, "pipeline-step")
    jobs = found(world, "processing-job")
    told = {
        "status": execution.status,
        "reason": step.body["reason"],
        "jobs": [one.ref.name for one in jobs],
        "checks": [one.ref.name for one in found(world, CHECK)],
        "ended": world.ends_of_steps(),
    }
    world.close()
    return told


def found(world, kind):
    return world.store.select(Query(kind)).items


def ended(world):
    return [one for one in world.made() if one.status in ENDED]


def fork(run, home, point):
    child = os.fork()
    if not child:
        run(home, point)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(home):
    world = World(home)
    made = world.made()
    jobs = world.store.select(Query("processing-job")).items
    found = {
        "statuses": [one.status for one in made],
        "violations": [execution(one).violations for one in made],
        "jobs": sorted(one.ref.name for one in jobs),
        "named": sorted(execution(one).job.name for one in made),
        "actions": [x for x in world.actions() if x.startswith("monitoring-execution")],
        "windows": [[str(moment) for moment in one] for one in world.windows()],
        "ran": [one.body["attempt"] for one in jobs],
    }
    world.close()
    return found


SCENARIOS = {
    "schedule": (prepare, live, outcome),
    "check": (prepare_check, live_check, outcome_check),
}


def main():
    scenario, directory, *points = sys.argv[1:]
    begin, run, tell = SCENARIOS[scenario]
    for point in points:
        home = Path(directory) / point
        if os.fork() == 0:
            begin(home)
            os._exit(0)
        os.wait()
        killed = fork(run, home, point) != 0
        if killed:
            fork(run, home, "never")
        sys.stdout.write(json.dumps({"point": point, "killed": killed, **tell(home)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
