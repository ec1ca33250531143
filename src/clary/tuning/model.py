"""What a tuning job and its trials are, and what is written down about them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.jobs.model import TRAINING
from clary.kernel.codec import build, plain
from clary.kernel.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

TUNING = "hyper-parameter-tuning-job"
TRIAL = "tuning-trial"
HISTORY = "tuning-history"
"""What a warm start brought along, kept as it was then."""
ENDED = frozenset({"Completed", "Failed", "Stopped"})
MOST_NAME = 32

Closing = Literal["", "limit", "runtime", "target", "not improving", "converged", "error"]
"""Why a tuning job starts no more training jobs; ``limit`` is never written down."""


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """One training job of a tuning job.

    Parameters
    ----------
    number
        Counts the trials of the tuning job from 0.
    tuning, job
        The tuning job's and the training job's names.
    algorithm
        Which of the tuning job's algorithms it runs.
    parameters
        The values of the ranges.
    attempt
        How often the same values were tried before and lost to an internal error.
    status
        The training job's, as it was recorded last.
    value
        The last value of the objective metric, when it was evaluated.
    """

    number: int
    tuning: str
    job: str
    algorithm: int
    parameters: dict[str, str]
    created_at: datetime
    attempt: int = 0
    status: str = "InProgress"
    value: float | None = None
    failure: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Past(msgspec.Struct, frozen=True):
    """What a parent's trial gave: the algorithm's name, every hyperparameter, the objective."""

    algorithm: str
    parameters: dict[str, str]
    value: float


class TuningJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a tuning job's resource.

    Parameters
    ----------
    request
        The public create document, verbatim.
    actor
        Who asked for it.
    uid
        Random; part of the training jobs' names.
    seed
        Every draw depends on it, the trial's number and what is known by then.
    tags
        Given to the training jobs too.
    experiment
        The ``ExperimentName`` and ``TrialName`` that the training jobs belong to.
    launched
        How many trials there are.
    completed, stopped, retryable, failed
        How those that have ended did. ``retryable`` ones were lost to an internal error and are
        tried again; they do not count against the limit.
    evaluated
        How many gave a value of the objective.
    best, best_value
        The number and the value of the best trial; None before there is one.
    mark, stale
        The value of the last improvement by 1 % or more, and how many evaluated trials since.
    closing
        Why it starts no more, and stops those that run.
    lost
        Why the training job that failed last did.
    inherited
        The best trial of the parents of a warm start with identical data.
    runtime_s
        Of all training jobs together.
    """

    request: dict[str, Any]
    actor: str
    uid: str
    seed: int
    tags: dict[str, str] = {}
    experiment: dict[str, str] = {}
    launched: int = 0
    completed: int = 0
    stopped: int = 0
    retryable: int = 0
    failed: int = 0
    evaluated: int = 0
    best: int | None = None
    best_value: float | None = None
    mark: float | None = None
    stale: int = 0
    closing: Closing = ""
    failure: str = ""
    lost: str = ""
    inherited: Trial | None = None
    converged_at: datetime | None = None
    ended_at: datetime | None = None
    runtime_s: float = 0.0

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return self.completed + self.stopped + self.retryable + self.failed

    @property
    def running(self) -> int:
        """How many trials have not ended."""
        return self.launched - self.ended


def read(resource: Resource) -> TuningJob:
    """Read a tuning job's body."""
    return build(TuningJob, resource.body)


def read_trial(resource: Resource) -> Trial:
    """Read a trial's body."""
    return build(Trial, resource.body)


def write(value: TuningJob | Trial) -> JsonObject:
    """Write a body."""
    document: JsonObject = plain(value)
    return document


def history(tuning: Ref, past: Sequence[Past], at: datetime) -> Resource:
    """Compose the resource that keeps what a warm start brought along."""
    ref = tuning.sibling(HISTORY, tuning.name)
    return Resource(ref, {"past": plain(list(past))}, at, at, parent=tuning)


def read_history(resource: Resource) -> list[Past]:
    """Read what a warm start brought along."""
    return build(list[Past], resource.body["past"])


def is_identical(request: Mapping[str, Any]) -> bool:
    """Say whether a warm start learns from the very same data and algorithm."""
    given = request.get("WarmStartConfig") or {}
    return given.get("WarmStartType") == "IdenticalDataAndAlgorithm"


def changed(resource: Resource, value: TuningJob | Trial, status: str) -> Resource:
    """Return ``resource`` with another body and status."""
    return replace(resource, body=write(value), status=status)


def trial_ref(tuning: Ref, number: int) -> Ref:
    """Name a trial."""
    return tuning.sibling(TRIAL, f"{tuning.name}/{number:05d}")


def training_ref(tuning: Ref, uid: str, number: int) -> Ref:
    """Name a trial's training job: ``<tuning>-001-1f3a9c02``."""
    suffix = hashlib.sha256(f"{tuning}/{uid}/{number}".encode()).hexdigest()[:8]
    return tuning.sibling(TRAINING, f"{tuning.name}-{number + 1:03d}-{suffix}")


def trial_resource(tuning: Ref, trial: Trial) -> Resource:
    """Compose a new trial's resource."""
    ref = trial_ref(tuning, trial.number)
    at = trial.created_at
    return Resource(ref, write(trial), at, at, trial.status, tuning)
