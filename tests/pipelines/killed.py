"""Runs executions in child processes that are killed, and says what is left: one JSON line each.

Usage: killed.py DIRECTORY SCENARIO POINT... where a point is ``<transaction>.<moment>`` (0: before
it, 1: inside it, before the commit, 2: after it) or ``t<milliseconds>``. The scenarios: ``plain``;
``cached``, a second execution that finds all results; ``retried``, whose Train fails once and has a
policy; ``selected``, Train and Eval alone; ``resumed``, whose Train failed and is retried by hand.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource
from clary.kernel.steps import ImmediateStep, StepResult
from clary.kernel.work import Worker
from clary.pipelines.planner import ENDED
from clary.pipelines.service import Pipelines
from clary.pipelines.steps import ConditionStep, FailStep

PIPELINE = Ref("123456789012", "us-east-1", "pipeline", "abalone")
COUNTER = PIPELINE.sibling("counter", "effects")


def step(name, kind, depends_on=(), **arguments):
    return {"Name": name, "Type": kind, "DependsOn": list(depends_on), "Arguments": arguments}


DECIDE = step(
    "Decide",
    "Condition",
    Conditions=[{"Type": "Equals", "LeftValue": {"Get": "Steps.Eval.Made"}, "RightValue": "Eval"}],
    IfSteps=[
        step("Register", "Model", x={"Get": "Steps.Eval.Made"}),
        step("Batch", "Training", ["Register"]),
    ],
    ElseSteps=[step("Reject", "Fail")],
)
STEPS = [
    step("Prepare", "Training"),
    step("Side", "Training"),
    step("Train", "Training", ["Prepare"]),
    step("Eval", "Training", ["Train"]),
    DECIDE,
]
POLICY = {"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "IntervalSeconds": 0}
MORE = {
    "cached": {"CacheConfig": {"Enabled": True}},
    "retried": {"RetryPolicies": [POLICY]},
}
SELECTED = {"SelectedSteps": [{"StepName": "Train"}, {"StepName": "Eval"}]}
TOKEN = {"ClientRequestToken": "t" * 32}


def definition(scenario):
    steps = json.loads(json.dumps(STEPS))
    for one in [*steps, *steps[-1]["Arguments"]["IfSteps"]]:
        if one["Type"] == "Training":
            one.update(MORE.get(scenario, {}))
        if one["Name"] == "Train" and scenario in {"retried", "resumed"}:
            one["Arguments"]["Fails"] = 1
    return json.dumps({"Version": "2020-12-01", "Steps": steps})


class Mortal(SqliteStore):
    """Kills its process at one moment of one transaction."""

    def __init__(self, path, point):
        super().__init__(path)
        self._point = point
        self._count = count()

    @contextmanager
    def begin(self):
        number = next(self._count)
        self._die(number, 0)
        with super().begin() as transaction:
            yield transaction
            self._die(number, 1)
        self._die(number, 2)

    def _die(self, number, moment):
        if self._point == f"{number}.{moment}":
            os.kill(os.getpid(), signal.SIGKILL)


class JobStep:
    """Inserts a job that is due; ``finish`` ends it."""

    def __init__(self, store):
        self._store = store

    def check(self, step):
        pass

    def start(self, run, transaction):
        job = run.execution.sibling("training-job", run.name)
        at = now()
        fails = run.attempt < run.arguments.get("Fails", 0)
        body = {"made": run.step["Name"], "end": "Failed" if fails else "Completed"}
        transaction.insert(Resource(job, body, at, at, "InProgress", run.execution), due=True)
        return StepResult("Executing", job=job)

    def poll(self, job):
        found = self._store.get(job)
        status = {"Completed": "Succeeded", "InProgress": "Executing"}.get(found.status, "Failed")
        error = "SageMaker.JOB_INTERNAL_ERROR"
        return StepResult(status, job=job, properties={"Made": found.body["made"]}, error=error)

    def key(self, run):
        return {"arguments": dict(run.arguments)}

    def made(self, job):
        return {}

    def stop(self, job):
        raise AssertionError("nobody stops it")

    def finish(self, job, stopping):
        if job.status == "InProgress":
            with self._store.begin() as change:
                change.update(replace(job, status=job.body["end"]))
                change.wake(job.parent)


class CountStep(ImmediateStep):
    """Adds one to a counter, in the step's transaction."""

    def check(self, step):
        pass

    def start(self, run, transaction):
        counter = transaction.get(COUNTER)
        transaction.update(replace(counter, body={"count": counter.body["count"] + 1}))
        return StepResult("Succeeded")


def services(store):
    jobs = JobStep(store)
    kinds = {
        "Training": jobs,
        "Model": CountStep(),
        "Condition": ConditionStep(),
        "Fail": FailStep(),
    }
    return Pipelines(store, None, kinds, known=lambda kind, path: None), jobs


def live(path, scenario, execution, point):
    """Work until the execution has ended, in a child; dies at ``point``."""
    store = Mortal(path, point)
    pipelines, jobs = services(store)
    if scenario == "resumed":
        pipelines.retry(execution, TOKEN, actor="ada")
    handlers = {"pipeline-execution": pipelines.run, "training-job": jobs.finish}
    worker = Worker(store, handlers, {"training-job": 2}, lease_s=0.2, poll_s=0.01)
    worker.start()
    while store.get(execution).status not in ENDED:
        store.wait(0.02)
    worker.stop()


def fork(path, scenario, execution, point):
    child = os.fork()
    if child == 0:
        try:
            live(path, scenario, execution, point)
        finally:
            os._exit(0)
    if point.startswith("t"):
        time.sleep(int(point[1:]) / 1000)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def prepare(path, scenario):
    """Make the pipeline, run what has to be there before, and start the execution to look at."""
    store = SqliteStore(path)
    pipelines, _ = services(store)
    with store.begin() as change:
        change.insert(Resource(COUNTER, {"count": 0}, now(), now()))
    text = definition(scenario)
    request = {"PipelineName": "abalone", "RoleArn": "r", "PipelineDefinition": text}
    pipelines.create(PIPELINE, request, actor="ada")
    execution = pipelines.start(PIPELINE, {}, actor="ada").ref
    store.close()
    if scenario in {"plain", "retried"}:
        return execution
    fork(path, "plain", execution, "never")
    if scenario == "resumed":
        return execution
    store = SqliteStore(path)
    selection = {"SelectiveExecutionConfig": SELECTED} if scenario == "selected" else {}
    execution = services(store)[0].start(PIPELINE, selection, actor="ada").ref
    store.close()
    return execution


def outcome(path, execution):
    store = SqliteStore(path)
    pipelines, _ = services(store)
    told = [
        event.action.removeprefix("pipeline-step.") + " " + event.ref.name.rpartition("/")[2]
        for event in store.events()
        if event.ref.kind == "pipeline-step" and event.ref.name.startswith(execution.name)
    ]
    found = {
        "status": store.get(execution).status,
        "steps": {x["StepName"]: x["StepStatus"] for x in pipelines.steps(execution)},
        "attempts": {x["StepName"]: x["AttemptCount"] for x in pipelines.steps(execution)},
        "jobs": len(store.select(Query("training-job")).items),
        "results": len(store.select(Query("step-result")).items),
        "count": store.get(COUNTER).body["count"],
        "told": sorted(told),
    }
    store.close()
    return found


def main(directory, scenario, points):
    for point in points:
        path = Path(directory) / scenario / point / "metadata.db"
        execution = prepare(path, scenario)
        killed = fork(path, scenario, execution, point)
        fork(path, scenario, execution, "never")
        found = outcome(path, execution)
        print(json.dumps({"point": point, "killed": killed, **found}), flush=True)
    assert threading.active_count() == 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
