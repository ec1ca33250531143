import json
import threading
from dataclasses import dataclass, field

import pytest

from clary.adapters.files import FileObjects
from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.errors import NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Resource
from clary.kernel.steps import ImmediateStep, StepResult, job_name
from clary.pipelines.service import Pipelines
from clary.pipelines.steps import ConditionStep, FailStep

ACCOUNT, REGION = "123456789012", "us-east-1"
PIPELINE = Ref(ACCOUNT, REGION, "pipeline", "abalone")
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"


def anything(step_type, path):
    """Know every property: the kinds of these tests describe nothing."""


class EchoStep(ImmediateStep):
    """Succeeds at once; its properties are its arguments, and ``report`` is a file of them."""

    def check(self, step):
        pass

    def start(self, run, transaction):
        if run.arguments.get("Bug"):
            raise ZeroDivisionError("bug")
        return StepResult(
            "Succeeded", properties=run.arguments, files={"report": json.dumps(run.arguments)}
        )


@dataclass
class SlowStep:
    """Runs a job that is a resource of its own, until the test says how it ended."""

    store: SqliteStore
    stopped: list[Ref] = field(default_factory=list)
    world: dict[str, str] = field(default_factory=dict)

    def check(self, step):
        pass

    def start(self, run, transaction):
        job = run.execution.sibling("training-job", run.name)
        at = now()
        transaction.insert(Resource(job, {}, at, at, "InProgress", run.execution))
        return StepResult("Executing", job=job, metadata={"TrainingJob": {"Arn": job.name}})

    def poll(self, job):
        found = self.store.get(job)
        if found is None:
            raise NotFound(job)
        states = {"InProgress": "Executing", "Completed": "Succeeded"}
        return StepResult(
            states.get(found.status, found.status),
            job=job,
            properties={"Name": job.name},
            reason=found.body.get("reason", ""),
            error=found.body.get("error", ""),
        )

    def stop(self, job):
        self.stopped.append(job)

    def key(self, run):
        return {"arguments": dict(run.arguments), "world": dict(self.world)}

    def made(self, job):
        return dict(self.store.get(job).body.get("made", {}))


@dataclass
class Bench:
    """A store, a service and a hand to turn the crank."""

    store: SqliteStore
    objects: FileObjects
    slow: SlowStep
    pipelines: Pipelines
    kinds: dict

    def another(self):
        """Another process's service on the same store."""
        return Pipelines(self.store, self.objects, self.kinds, known=anything)

    def create(self, *steps, parameters=(), name="abalone", **more):
        ref = PIPELINE.sibling("pipeline", name)
        self.pipelines.create(
            ref, request(*steps, parameters=parameters, name=name, **more), actor="ada"
        )
        return ref

    def start(self, ref=PIPELINE, **values):
        parameters = [{"Name": name, "Value": value} for name, value in values.items()]
        return self.pipelines.start(ref, {"PipelineParameters": parameters}, actor="ada").ref

    def turn(self, execution):
        """Let the engine go as far as it can, and describe the execution."""
        self.pipelines.run(self.store.get(execution), threading.Event())
        return self.pipelines.describe_execution(execution)

    def run(self, *steps, parameters=(), **values):
        self.create(*steps, parameters=parameters)
        execution = self.start(**values)
        return execution, self.turn(execution)

    def end(self, execution, step, status="Completed", *, attempt=0, **body):
        job = execution.sibling("training-job", job_name(execution, step, attempt))
        with self.store.begin() as change:
            found = change.get(job)
            change.update(
                Resource(job, body, found.created_at, now(), status, execution, found.revision)
            )

    def statuses(self, execution):
        return {step["StepName"]: step["StepStatus"] for step in self.pipelines.steps(execution)}

    def step(self, execution, name):
        return self.store.get(execution.sibling("pipeline-step", f"{execution.name}/{name}"))


@pytest.fixture
def bench(tmp_path):
    store = SqliteStore(tmp_path / "metadata.db")
    objects = FileObjects(tmp_path / "buckets")
    objects.create_bucket(Bucket("data", ACCOUNT, REGION, now()))
    slow = SlowStep(store)
    kinds = {
        "Processing": EchoStep(),
        "Training": slow,
        "Condition": ConditionStep(),
        "Fail": FailStep(),
    }
    yield Bench(store, objects, slow, Pipelines(store, objects, kinds, known=anything), kinds)
    store.close()


def definition(*steps, parameters=(), **more):
    document = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)}
    return json.dumps(document | more)


def request(*steps, parameters=(), name="abalone", **more):
    text = definition(*steps, parameters=parameters)
    return {"PipelineName": name, "RoleArn": ROLE, "PipelineDefinition": text, **more}


def echo(name, depends_on=(), **arguments):
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": arguments,
        "DependsOn": list(depends_on),
        "PropertyFiles": [
            {"PropertyFileName": "report", "OutputName": "out", "FilePath": "report.json"}
        ],
    }


def slow(name, depends_on=(), **arguments):
    return echo(name, depends_on, **arguments) | {"Type": "Training", "PropertyFiles": []}


def condition(name, conditions, if_steps=(), else_steps=(), depends_on=()):
    arguments = {
        "Conditions": list(conditions),
        "IfSteps": list(if_steps),
        "ElseSteps": list(else_steps),
    }
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": arguments,
        "DependsOn": list(depends_on),
    }


def fail(name, message, depends_on=()):
    arguments = {"ErrorMessage": message}
    return {"Name": name, "Type": "Fail", "Arguments": arguments, "DependsOn": list(depends_on)}


def at_most(left, right):
    return {"Type": "LessThanOrEqualTo", "LeftValue": left, "RightValue": right}


def get(path):
    return {"Get": path}
