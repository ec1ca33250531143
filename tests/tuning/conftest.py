"""Tuning jobs over real stores; training jobs are ended by the tests, by what they were given."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from clary.adapters.files import FileObjects
from clary.adapters.logfiles import LogFiles
from clary.adapters.optuna_studies import OptunaStudies
from clary.adapters.sqlite import SqliteStore
from clary.adapters.uv import UvEnvironments
from clary.jobs import model as jobs_model
from clary.jobs.environments import Environments
from clary.jobs.service import Jobs
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Query
from clary.lineage.service import Lineage
from clary.tuning import model
from clary.tuning.service import Tuning

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ClaryRole"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.2-1"
REF = Ref(ACCOUNT, REGION, model.TUNING, "tune")


def continuous(name, low, high, scaling="Auto"):
    return {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": scaling}


def words(name, *values):
    return {"Name": name, "Values": list(values)}


def ranges(integer=(), real=(), categorical=()):
    return {
        "IntegerParameterRanges": list(integer),
        "ContinuousParameterRanges": list(real),
        "CategoricalParameterRanges": list(categorical),
    }


RANGES = ranges(real=[continuous("eta", 0.0, 1.0)], integer=[continuous("depth", 1, 8)])


def definition(static=None, **more):
    return {
        "StaticHyperParameters": {"num_round": "5"} if static is None else static,
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://data/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 9},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **more,
    }


def objective(metric="validation:rmse", direction="Minimize"):
    return {"Type": direction, "MetricName": metric}


def request(most=6, parallel=2, searched=None, trained=None, **config):
    """Compose a CreateHyperParameterTuningJob document."""
    limits = {"MaxParallelTrainingJobs": parallel}
    if most is not None:
        limits["MaxNumberOfTrainingJobs"] = most
    return {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": objective(),
            "ResourceLimits": limits,
            "ParameterRanges": RANGES if searched is None else searched,
            "RandomSeed": 7,
            **config,
        },
        "TrainingJobDefinition": definition() if trained is None else trained,
    }


def several(*definitions, most=6, parallel=1, **config):
    """Compose a document of several algorithms: (name, ranges) each."""
    whole = request(most, parallel, **config)
    del whole["TrainingJobDefinition"]
    del whole["HyperParameterTuningJobConfig"]["ParameterRanges"]
    del whole["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    whole["TrainingJobDefinitions"] = [
        definition(DefinitionName=name, TuningObjective=objective(), HyperParameterRanges=searched)
        for name, searched in definitions
    ]
    return whole


def quality(values):
    """Give what a training job with such hyperparameters would score."""
    return (float(values.get("eta", 0.3)) - 0.3) ** 2 + abs(int(values.get("depth", 4)) - 4) / 10


def environment(ref, role):
    return {}


@dataclass
class Bench:
    """A store, the services, and a hand to turn the crank."""

    home: Path
    store: SqliteStore
    objects: FileObjects
    logs: LogFiles
    tuning: Tuning
    jobs: Jobs
    score: object = quality

    def other_process(self):
        """Forget what this process knows."""
        self.tuning = opened(self.home, self.store).tuning

    def create(self, document=None, name="tune", **more):
        ref = REF.sibling(model.TUNING, name)
        self.tuning.create(ref, document or request(), actor="ada", **more)
        return ref

    def turn(self, ref=REF):
        """Let the handler go as far as it can, and describe the tuning job."""
        self.tuning.run(self.store.get(ref), threading.Event())
        return self.tuning.describe(ref)

    def trials(self, ref=REF):
        return sorted(self.tuning.training_jobs(ref), key=lambda one: one["TrainingJobName"])

    def training(self, ref=REF, statuses=("InProgress", "Stopping")):
        query = Query("training-job", parent=ref, statuses=statuses, sort_by="name", limit=1000)
        return sorted(self.store.select(query).items, key=lambda one: one.ref.name)

    def end(self, resource, status="Completed", value=None, failure=""):
        """End a training job as its worker would, without having run it."""
        job = jobs_model.read(resource)
        metrics = ()
        if value is not None:
            metrics = (jobs_model.Metric("validation:rmse", value, now()),)
        moment = now()
        started = moment - timedelta(seconds=2)
        job = jobs_model.changed(
            job,
            stage="Ended",
            metrics=metrics,
            failure=failure,
            started_at=started,
            ended_at=moment,
        )
        with self.store.begin() as change:
            change.update(replace(resource, status=status, body=jobs_model.write(job)))
            change.wake(resource.parent)

    def train(self, resource):
        """End a training job with the score of its hyperparameters; NaN: it failed."""
        value = self.score(resource.body["request"]["HyperParameters"])
        if math.isnan(value):
            self.end(resource, "Failed", failure="AlgorithmError: no")
        else:
            self.end(resource, value=value)

    def finish(self, ref=REF, most=1000):
        """Train whatever is started, until the tuning job has ended."""
        for _ in range(most):
            described = self.turn(ref)
            if described["HyperParameterTuningJobStatus"] in model.ENDED:
                return described
            for one in self.training(ref):
                self.train(one)
        raise AssertionError(f"{ref} does not end")

    def log(self, resource, *lines):
        """Write lines to a training job's log, as its process would."""
        path = self.logs.path(
            ACCOUNT,
            REGION,
            jobs_model.LOG_GROUPS["training-job"],
            jobs_model.stream(resource, "algo-1"),
        )
        with path.open("a") as file:
            for line in lines:
                file.write(f"{int(now().timestamp() * 1000)} {line}\n")


def opened(home, store):
    """Open the services over a store, as a process of its own would."""
    objects = FileObjects(home / "buckets")
    logs = LogFiles(home / "logs")
    jobs = Jobs(
        store,
        objects,
        None,  # what training jobs run on; the tests end them
        logs,
        Lineage(store),
        environment=environment,
        environments=Environments(store, UvEnvironments(home / "environments")),
    )
    return Bench(home, store, objects, logs, Tuning(store, logs, jobs, OptunaStudies()), jobs)


@pytest.fixture
def bench(tmp_path):
    with contextlib.closing(SqliteStore(tmp_path / "metadata.db")) as store:
        yield opened(tmp_path, store)
