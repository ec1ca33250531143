"""The public documents of tuning jobs: the request echoed and completed, and what became of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from clary.jobs import model as jobs_model
from clary.kernel.names import arn
from clary.tuning import model, plans
from clary.tuning.plans import OBJECTIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.tuning.model import Trial, TuningJob
    from clary.tuning.plans import Algorithm, Plan

_NAME = "HyperParameterTuningJob"
_LONGEST_REASON = 1024
_RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


def describe(resource: Resource, best: Trial | None) -> JsonObject:
    """Write the document that Describe answers with; times are datetimes, absent members absent.

    Parameters
    ----------
    resource
        The tuning job.
    best
        Its best trial, if any.
    """
    job = model.read(resource)
    plan = plans.plan(resource.ref, job.request)
    echoed = {name: value for name, value in job.request.items() if name != "Tags"}
    document: JsonObject = {
        **echoed,
        **_completed(job.request, plan),
        **_heading(resource, job),
        "FailureReason": job.failure[:_LONGEST_REASON] or None,
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": job.stale,
            **({"ConvergenceDetectedTime": job.converged_at} if job.converged_at else {}),
        },
        "ConsumedResources": {"RuntimeInSeconds": math.ceil(job.runtime_s)},
    }
    if best is not None:
        document["BestTrainingJob"] = trial_summary(resource, plan, best)
    if model.is_identical(job.request):
        overall = _overall(plan, best, job.inherited)
        if overall is not None:
            document["OverallBestTrainingJob"] = trial_summary(resource, plan, overall)
    return {name: value for name, value in document.items() if value is not None}


def summary(resource: Resource) -> JsonObject:
    """Write a tuning job's line in a list."""
    job = model.read(resource)
    config = job.request["HyperParameterTuningJobConfig"]
    return {
        **_heading(resource, job),
        "Strategy": config["Strategy"],
        "ResourceLimits": config["ResourceLimits"],
    }


def trial_summary(
    tuning: Resource, plan: Plan, trial: Trial, training: Resource | None = None
) -> JsonObject:
    """Write a training job's line in the list of a tuning job's.

    Parameters
    ----------
    tuning, plan, trial
        What ran, where.
    training
        The training job as it is now, for a trial that has not ended.
    """
    algorithm = plan.algorithms[trial.algorithm]
    started = trial.started_at
    if training is not None:
        started = jobs_model.read(training).started_at
    document: JsonObject = {
        "TrainingJobDefinitionName": algorithm.name or None,
        "TrainingJobName": trial.job,
        "TrainingJobArn": arn(tuning.ref.sibling(jobs_model.TRAINING, trial.job)),
        "TuningJobName": trial.tuning,
        "CreationTime": trial.created_at,
        "TrainingStartTime": started,
        "TrainingEndTime": trial.ended_at,
        "TrainingJobStatus": training.status if training is not None else trial.status,
        "TunedHyperParameters": trial.parameters,
        "FailureReason": trial.failure[:_LONGEST_REASON] or None,
        "ObjectiveStatus": _objective_status(trial),
    }
    if trial.value is not None:
        document["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "Type": "Maximize" if plan.maximize else "Minimize",
            "MetricName": algorithm.metric,
            "Value": trial.value,
        }
    return {name: value for name, value in document.items() if value is not None}


def best_first(plan: Plan, trials: Iterable[Trial]) -> list[Trial]:
    """Sort the trials that were evaluated, the best first."""
    sign = -1.0 if plan.maximize else 1.0
    known = [
        (sign * trial.value, trial.number, trial) for trial in trials if trial.value is not None
    ]
    return [trial for _, _, trial in sorted(known, key=lambda one: one[:2])]


def _heading(resource: Resource, job: TuningJob) -> JsonObject:
    members: JsonObject = {
        f"{_NAME}Name": resource.ref.name,
        f"{_NAME}Arn": arn(resource.ref),
        f"{_NAME}Status": resource.status,
        "CreationTime": resource.created_at,
        "LastModifiedTime": resource.modified_at,
        "TrainingJobStatusCounters": {
            "Completed": job.completed,
            "InProgress": job.running,
            "RetryableError": job.retryable,
            "NonRetryableError": job.failed,
            "Stopped": job.stopped,
        },
        "ObjectiveStatusCounters": {
            "Succeeded": job.evaluated,
            "Pending": job.running,
            "Failed": job.ended - job.evaluated,
        },
    }
    if job.ended_at is not None:
        members["HyperParameterTuningEndTime"] = job.ended_at
    return members


def _completed(request: Mapping[str, Any], plan: Plan) -> JsonObject:
    """Fill in what the service fills in, which clients read without asking whether it is there."""
    config = request["HyperParameterTuningJobConfig"]
    limits = {"MaxNumberOfTrainingJobs": plan.most, **config["ResourceLimits"]}
    filled = {"TrainingJobEarlyStoppingType": "Off", **config, "ResourceLimits": limits}
    if config.get("ParameterRanges"):
        filled["ParameterRanges"] = _ranges(config["ParameterRanges"])
    members: JsonObject = {"HyperParameterTuningJobConfig": filled}
    one = request.get("TrainingJobDefinition")
    if one:
        members["TrainingJobDefinition"] = _definition(one, plan.algorithms[0])
    several = request.get("TrainingJobDefinitions")
    if several:
        pairs = zip(several, plan.algorithms, strict=True)
        members["TrainingJobDefinitions"] = [_definition(*pair) for pair in pairs]
    return members


def _definition(given: Mapping[str, Any], algorithm: Algorithm) -> JsonObject:
    metrics = [{"Name": name, "Regex": pattern} for name, pattern in algorithm.metrics]
    static = {**algorithm.static, OBJECTIVE: algorithm.metric}
    specification = {"MetricDefinitions": metrics, **given["AlgorithmSpecification"]}
    filled = {
        **given,
        "StaticHyperParameters": static,
        "AlgorithmSpecification": specification,
        "ResourceConfig": algorithm.document.get("ResourceConfig", {}),
    }
    if given.get("HyperParameterRanges"):
        filled["HyperParameterRanges"] = _ranges(given["HyperParameterRanges"])
    return filled


def _ranges(given: Mapping[str, Any]) -> JsonObject:
    return {**{name: [] for name in _RANGES}, **given}


def _objective_status(trial: Trial) -> str:
    if trial.value is not None:
        return "Succeeded"
    return "Pending" if trial.status == "InProgress" else "Failed"


def _overall(plan: Plan, best: Trial | None, inherited: Trial | None) -> Trial | None:
    return next(iter(best_first(plan, [one for one in (best, inherited) if one])), None)
