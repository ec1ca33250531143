"""What the engine costs: planning, a step's way through it, a full database, cached results."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

from figure import Figure, interleaved_s

import clary
from clary.adapters.sqlite import SqliteStore
from clary.config import Config
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource
from clary.kernel.steps import StepResult
from clary.kernel.work import Worker
from clary.pipelines.model import parse
from clary.pipelines.planner import Planner, State
from clary.pipelines.service import Pipelines
from clary.platform import open_platform

ABALONE = Path(__file__).resolve().parent.parent / "examples/abalone"
PIPELINE = Ref("123456789012", "us-east-1", "pipeline", "bench")
WHERE = (PIPELINE.account, PIPELINE.region)
STEPS = 1000
OLD = 100_000
ENDED = {"Succeeded", "Failed", "Stopped"}


def figures() -> list[Figure]:
    """Measure all of it."""
    return [planned(), *engine(), *full(), jobs(), cached()]


def graph(depends_on, kind="Training", **members) -> str:
    steps = [
        {"Name": f"s{i}", "Type": kind, "DependsOn": [f"s{k}" for k in depends_on(i)], **members}
        for i in range(STEPS)
    ]
    return json.dumps({"Version": "2020-12-01", "Steps": steps})


def grid(i):
    return [k for k in (i - 10, i - 11) if k >= 0]


def planned() -> Figure:
    """Plan a graph from its first step to its last, ten steps at a time."""
    steps = parse(graph(grid)).steps

    def plan():
        planner = Planner(steps)
        while not (next_ := planner.plan(limit=10)).finished:
            for status in ("Executing", "Succeeded"):
                for name in next_.ready:
                    planner.note(name, State(status))

    def sort():
        list(TopologicalSorter({x.name: x.dependencies for x in steps.values()}).static_order())

    ours_s, sort_s = interleaved_s(20, plan, sort)
    return Figure(f"plan {STEPS} steps", ours_s, "s", 0.2, "graphlib alone", sort_s)


class Nothing:
    """A step whose job does nothing: what is left is the engine."""

    def __init__(self, store):
        self.store = store

    def check(self, _):
        pass

    def key(self, _):
        return None

    def made(self, _):
        return {}

    def stop(self, _):
        pass

    def start(self, run, transaction):
        job, at = run.execution.sibling("training-job", run.name), now()
        transaction.insert(Resource(job, {}, at, at, "InProgress", run.execution), due=True)
        return StepResult("Executing", job=job)

    def poll(self, job):
        done = self.store.get(job).status == "Completed"
        return StepResult("Succeeded" if done else "Executing", job=job)

    def finish(self, job, _):
        with self.store.begin(durable=False) as change:
            change.update(replace(job, status="Completed"))
            change.wake(job.parent)


def engine() -> list[Figure]:
    """Time the engine's own turns, for steps side by side and one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        disk_s = commit_s(Path(folder) / "bare.db")
        shapes = {"side by side": lambda _: [], "one by one": lambda i: [i - 1] if i else []}
        return [
            Figure(
                f"engine, a step {shape}",
                turns_s(Path(folder) / f"{place}.db", graph(depends_on)) / STEPS * 1e3,
                "ms",
                2,
                "one commit of a row",
                disk_s * 1e3,
            )
            for place, (shape, depends_on) in enumerate(shapes.items())
        ]


def commit_s(path) -> float:
    bare = sqlite3.connect(path, isolation_level=None)
    bare.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (x)")
    [took] = interleaved_s(200, lambda: bare.execute("INSERT INTO t VALUES (1)"))
    bare.close()
    return took


def turns_s(path, text) -> float:
    store = SqliteStore(path)
    kind = Nothing(store)
    pipelines = Pipelines(store, None, {"Training": kind}, known=lambda *_: None)
    create(pipelines, PIPELINE, text)
    execution = pipelines.start(PIPELINE, {}, actor="bench").ref
    took = []

    def turn(resource, stopping):
        begun = time.perf_counter()
        try:
            return pipelines.run(resource, stopping)
        finally:
            took.append(time.perf_counter() - begun)

    handlers = {"pipeline-execution": turn, "training-job": kind.finish}
    with working(Worker(store, handlers, {"training-job": 2})):
        await_end(store, execution)
    store.close()
    return sum(took)


def full() -> list[Figure]:
    """Compare start and list in a home with 100,000 finished executions and in an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({"Version": "2020-12-01", "Steps": [{"Name": "A", "Type": "Fail"}]})
        homes = [open_platform(Config(home=Path(folder) / name)) for name in ("full", "empty")]
        for platform in homes:
            create(platform.pipelines, PIPELINE, text)
            for _ in range(100):
                platform.pipelines.start(PIPELINE, {}, actor="bench")
        fill(homes[0].store)
        os.sync()
        verbs = {
            "start": lambda platform: platform.pipelines.start(PIPELINE, {}, actor="bench"),
            "list": lambda platform: platform.pipelines.list(
                Query("pipeline-execution", *WHERE, parent=PIPELINE)
            ),
        }
        found = []
        for name, verb in verbs.items():
            many_s, none_s = interleaved_s(300, lambda: verb(homes[0]), lambda: verb(homes[1]))  # noqa: B023 - called at once
            title = f"{name} beside {OLD} executions"
            found.append(
                Figure(title, many_s * 1e3, "ms", 1.5 * none_s * 1e3, "beside 100", none_s * 1e3)
            )
        return found


def fill(store):
    body = store.select(Query("pipeline-execution", limit=1)).items[0].body
    for first in range(0, OLD, 2000):
        with store.begin(durable=False) as change:
            for number in range(first, first + 2000):
                at = now() - timedelta(seconds=OLD - number)
                ref = PIPELINE.sibling("pipeline-execution", f"bench/old{number:09d}")
                change.insert(Resource(ref, body, at, at, "Succeeded", PIPELINE))
                step = ref.sibling("pipeline-step", f"{ref.name}/A")
                change.insert(Resource(step, {}, at, at, "Succeeded", ref))


def jobs() -> Figure:
    """Run 1,000 steps that are jobs of a whole home, each isolated in processes of its own."""
    resources = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "x", "VolumeSizeInGB": 1}}
    arguments = {
        "AppSpecification": {
            "ImageUri": "python:3",
            "ContainerEntrypoint": ["python3", "-c", "pass"],
        },
        "ProcessingResources": resources,
        "RoleArn": "arn:aws:iam::123456789012:role/ClaryRole",
    }
    with tempfile.TemporaryDirectory() as folder:
        platform = open_platform(Config(home=Path(folder)))
        create(platform.pipelines, PIPELINE, graph(grid, "Processing", Arguments=arguments))
        with working(platform.worker):
            begun = time.perf_counter()
            execution = platform.pipelines.start(PIPELINE, {}, actor="bench").ref
            await_end(platform.store, execution)
            took_s = time.perf_counter() - begun
        assert platform.store.get(execution).status == "Succeeded"
    begun = time.perf_counter()
    for _ in range(50):
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    bare_s = (time.perf_counter() - begun) / 50 * STEPS
    title = f"run {STEPS} steps that are jobs"
    return Figure(title, took_s, "s", 25, "bare Pythons, one by one", bare_s)


def cached() -> Figure:
    """Run the Abalone pipeline again, with every step but the registration found."""
    sys.path.insert(0, str(ABALONE))
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ABALONE / "data.py", folder], check=True)
        os.chdir(folder)
        session = clary.connect(Path(folder) / "home")
        try:
            first_s, *again_s = abalone_s(session.platform)
        finally:
            session.close()
            os.chdir(before)
    return Figure("Abalone again, cached", median(again_s), "s", 0.3, "the first run", first_s)


def abalone_s(platform):
    """Time the first run and 20 more."""
    from pipeline import abalone  # noqa: PLC0415 - it lies in the example's folder

    document = abalone.definition()
    for step in inner(document["Steps"]):
        if step["Type"] in {"Processing", "Training"}:
            step["CacheConfig"] = {"Enabled": True}
    begun = time.perf_counter()
    ran = abalone.start().wait()
    yield time.perf_counter() - begun
    create(platform.pipelines, PIPELINE, json.dumps(document))
    asked = {"PipelineParameters": platform.pipelines.parameters(ran.ref)}
    for number in range(21):
        begun = time.perf_counter()
        execution = platform.pipelines.start(PIPELINE, asked, actor="bench").ref
        await_end(platform.store, execution)
        took_s = time.perf_counter() - begun
        if number:  # the first keeps the results
            steps = platform.pipelines.steps(execution)
            assert sum("CacheHitResult" in step for step in steps) >= 8, steps
            yield took_s


def inner(steps):
    for step in steps:
        yield step
        for branch in ("IfSteps", "ElseSteps") if step["Type"] == "Condition" else ():
            yield from inner(step["Arguments"].get(branch, []))


def create(pipelines, ref, text):
    request = {"PipelineName": ref.name, "RoleArn": "r", "PipelineDefinition": text}
    pipelines.create(ref, request, actor="bench")


@contextmanager
def working(worker):
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def await_end(store, execution):
    moment = threading.Event()
    while store.get(execution).status not in ENDED:
        moment.wait(0.002)
