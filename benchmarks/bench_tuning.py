"""What tuning adds to each training job: between two of them, and after hundreds of trials."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from figure import Figure

from clary.config import Config
from clary.jobs import model as jobs_model
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Query
from clary.platform import open_platform
from clary.tuning import model, plans

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "tuned"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.2-1"
TRIALS, RUNS, MANY, LAST = 10, 4, 500, 50
GOAL_MS = 25.0


def channel(name):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}
    data = {"S3DataSource": source}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": data}


def request(name, most):
    bounds = {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.9", "ScalingType": "Linear"}
    limits = {"MaxNumberOfTrainingJobs": most, "MaxParallelTrainingJobs": 1}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "train:rmse"},
            "ResourceLimits": limits,
            "ParameterRanges": {"ContinuousParameterRanges": [bounds]},
            "RandomSeed": 1,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"num_round": "1", "objective": "reg:squarederror"},
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "InputDataConfig": [channel("train")],
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/ClaryRole",
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }


@contextmanager
def platform():
    with tempfile.TemporaryDirectory() as folder:
        found = open_platform(Config(home=Path(folder) / "home"))
        found.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
        rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
        found.objects.put(BUCKET, "train/rows.csv", [rows.encode()])
        yield found


def ended(found, ref):
    while (resource := found.store.get(ref)).status in {"InProgress", "Stopping"}:
        found.store.wait(0.05)
        found.store.claim([], "bench", 1.0)  # what was committed until now has been seen
    assert resource.status == "Completed", resource
    return resource


def gaps_ms(found, parent=None, prefix=""):
    """Say how long it took from each training job's end until the next was created."""
    query = Query("training-job", parent=parent, name_prefix=prefix, descending=False)
    jobs = found.store.select(query).items
    ends = [jobs_model.read(one).ended_at for one in jobs]
    pairs = zip(ends, jobs[1:], strict=False)
    return [(after.created_at - end).total_seconds() * 1000 for end, after in pairs]


def between_training_jobs():
    """Time what lies between training jobs: of tuning jobs, and of a program that makes them.

    How long the training itself takes varies more than what is measured here.
    """
    tuned, plain = [], []
    with platform() as found:
        found.worker.start()
        for number in range(RUNS + 1):
            ref = Ref(ACCOUNT, REGION, model.TUNING, f"tuned{number}")
            found.tuning.create(ref, request(ref.name, TRIALS), actor="bench")
            ended(found, ref)
            tuned.append(gaps_ms(found, ref))
            [algorithm] = plans.plan(ref, request(ref.name, TRIALS)).algorithms
            for place in range(TRIALS):
                job = ref.sibling("training-job", f"plain{number}-{place}")
                document = plans.training_request(algorithm, job.name, {"eta": "0.3"})
                found.jobs.create(job, document, actor="bench")
                ended(found, job)
            plain.append(gaps_ms(found, prefix=f"plain{number}-"))
        assert found.worker.stop()
    return [median(itertools.chain(*one[1:])) for one in (tuned, plain)]  # the first imports


def turns_ms():
    """Time the tuning job's own turns over hundreds of trials whose training costs nothing."""
    with platform() as found:
        ref = Ref(ACCOUNT, REGION, model.TUNING, "many")
        found.tuning.create(ref, request(ref.name, MANY + 1), actor="bench")
        took = []
        for _ in range(MANY):
            resource = found.store.get(ref)
            begin = time.perf_counter()
            found.tuning.run(resource, threading.Event())
            took.append((time.perf_counter() - begin) * 1000)
            query = Query("training-job", parent=ref, statuses=("InProgress",))
            [one] = found.store.select(query).items
            train(found.store, one)
    return took


def train(store, resource):
    job = jobs_model.read(resource)
    value = (float(job.request["HyperParameters"]["eta"]) - 0.3) ** 2
    metric = jobs_model.Metric("train:rmse", value, now())
    job = jobs_model.changed(job, stage="Ended", metrics=(metric,), ended_at=now())
    with store.begin(durable=False) as change:
        change.update(replace(resource, status="Completed", body=jobs_model.write(job)))


def figures():
    """Measure tuning beside the same training jobs without it."""
    tuned, plain = between_training_jobs()
    took = turns_ms()
    return [
        Figure(
            "tuning, from a training job's end to the next",
            tuned,
            "ms",
            GOAL_MS,
            "a program that creates one after the other",
            plain,
        ),
        Figure(
            f"a tuning job's turn after {MANY} trials",
            median(took[-LAST:]),
            "ms",
            GOAL_MS,
            f"its first {LAST} turns",
            median(took[1 : LAST + 1]),
        ),
    ]
