"""The public describe documents of jobs: the request echoed, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.jobs import requests, training
from clary.jobs.model import ENDED, PROCESSING, TRAINING, Job, read
from clary.kernel.names import arn

if TYPE_CHECKING:
    from datetime import datetime

    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_PREFIX = {PROCESSING: "ProcessingJob", TRAINING: "TrainingJob"}
_LONGEST_REASON = 1024
_TUNING = "hyper-parameter-tuning-job"
"""The kind of what makes training jobs of its own."""
_MONITORING = "monitoring-execution"
"""The kind of what makes processing jobs of its own; its name begins with its schedule's."""


def prefix(kind: str) -> str:
    """Return what a kind's members start with: ``TrainingJob``."""
    return _PREFIX.get(kind, "TransformJob")


def describe(resource: Resource) -> JsonObject:
    """Write the document that Describe answers with; times are datetimes, absent members absent."""
    job = read(resource)
    ref = resource.ref
    word = prefix(ref.kind)
    echoed = {name: value for name, value in job.request.items() if name != "Tags"}
    document: JsonObject = {
        **echoed,
        f"{word}Name": ref.name,
        f"{word}Arn": arn(ref),
        f"{word}Status": resource.status,
        "CreationTime": resource.created_at,
        "FailureReason": job.failure[:_LONGEST_REASON] or None,
        **_times(word, job),
    }
    if ref.kind == PROCESSING:
        document |= _processing(resource, job)
    elif ref.kind == TRAINING:
        document |= _training(resource, job)
    return {name: value for name, value in document.items() if value is not None}


def summary(resource: Resource) -> JsonObject:
    """Write a job's line in a list."""
    job = read(resource)
    word = prefix(resource.ref.kind)
    line: JsonObject = {
        f"{word}Name": resource.ref.name,
        f"{word}Arn": arn(resource.ref),
        f"{word}Status": resource.status,
        "CreationTime": resource.created_at,
        "LastModifiedTime": resource.modified_at,
        f"{word.removesuffix('Job')}EndTime": job.ended_at,
    }
    if resource.ref.kind == TRAINING:
        line["SecondaryStatus"] = job.secondary
    else:
        line["FailureReason"] = job.failure[:_LONGEST_REASON] or None
        line["ExitMessage"] = job.exit_message or None
    if resource.ref.kind not in _PREFIX:
        del line["ExitMessage"]
    return {name: value for name, value in line.items() if value is not None}


def _times(word: str, job: Job) -> dict[str, datetime | None]:
    verb = word.removesuffix("Job")
    return {f"{verb}StartTime": job.started_at, f"{verb}EndTime": job.ended_at}


def _processing(resource: Resource, job: Job) -> JsonObject:
    limit = job.request.get("StoppingCondition") or {"MaxRuntimeInSeconds": requests.DAY_S}
    made_by, schedule = resource.parent, None
    if made_by is not None and made_by.kind == _MONITORING:
        schedule = arn(made_by.sibling("monitoring-schedule", made_by.name.partition("/")[0]))
    return {
        "MonitoringScheduleArn": schedule,
        "StoppingCondition": limit,
        "LastModifiedTime": resource.modified_at,
        "ExitMessage": job.exit_message or None,
    }


def _training(resource: Resource, job: Job) -> JsonObject:
    view = requests.training(job.request)
    seconds = None
    if job.started_at is not None and job.ended_at is not None:
        seconds = max(1, round((job.ended_at - job.started_at).total_seconds()))
    made_by = resource.parent
    return {
        "TuningJobArn": arn(made_by) if made_by is not None and made_by.kind == _TUNING else None,
        "SecondaryStatus": job.secondary,
        "SecondaryStatusTransitions": _transitions(resource, job),
        "LastModifiedTime": resource.modified_at,
        "ModelArtifacts": {"S3ModelArtifacts": training.model_uri(resource.ref, view)},
        # Estimator.attach reads the key, which is empty where none was given
        "OutputDataConfig": {"KmsKeyId": "", **job.request["OutputDataConfig"]},
        "StoppingCondition": job.request.get("StoppingCondition")
        or {"MaxRuntimeInSeconds": requests.DAY_S},
        "EnableNetworkIsolation": view.enable_network_isolation,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
        "FinalMetricDataList": [
            {"MetricName": one.name, "Value": one.value, "Timestamp": one.at} for one in job.metrics
        ]
        or None,
    }


def _transitions(resource: Resource, job: Job) -> list[JsonObject]:
    ends = [one.at for one in job.transitions[1:]]
    last = job.ended_at if resource.status in ENDED else None
    return [
        {"Status": one.status, "StartTime": one.at, "StatusMessage": one.message}
        | ({"EndTime": end} if end is not None else {})
        for one, end in zip(job.transitions, [*ends, last], strict=True)
    ]
