"""What becomes of a tuning job as its trials end, and what it tries next: pure rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clary.tuning.model import Closing, Trial, TuningJob
    from clary.tuning.plans import Plan

STARTUP = 10
"""So many trials are shared out evenly before algorithms are compared."""
_IMPROVEMENT = 0.01
_CONVERGED = 20
"""With ConvergenceDetected, so many trials in a row without 1 % mean convergence."""
INTERNAL = "InternalServerError"
"""What the failure of a training job that may be tried again begins with."""


def better(value: float, other: float | None, *, maximize: bool) -> bool:
    """Say whether ``value`` beats ``other``; anything beats None."""
    if other is None:
        return True
    return value > other if maximize else value < other


def ended(job: TuningJob, trial: Trial, *, retried: bool, maximize: bool) -> TuningJob:
    """Count a trial that has ended; ``retried``: the same values are tried again."""
    word = {"Completed": "completed", "Stopped": "stopped"}.get(trial.status, "failed")
    word = "retryable" if retried else word
    seconds = 0.0
    if trial.started_at is not None and trial.ended_at is not None:
        seconds = max(0.0, (trial.ended_at - trial.started_at).total_seconds())
    changes: dict[str, Any] = {
        word: getattr(job, word) + 1,
        "runtime_s": job.runtime_s + seconds,
        "lost": trial.failure or job.lost,
    }
    if trial.value is not None:
        changes |= _evaluated(job, trial.number, trial.value, maximize=maximize)
    return msgspec.structs.replace(job, **changes)


def _evaluated(job: TuningJob, number: int, value: float, *, maximize: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {"evaluated": job.evaluated + 1}
    if better(value, job.best_value, maximize=maximize):
        changes |= {"best": number, "best_value": value}
    gained = math.inf if job.mark is None else value - job.mark
    gained = gained if maximize or job.mark is None else -gained
    if gained > 0 and gained >= _IMPROVEMENT * abs(job.mark or 0.0):
        return changes | {"mark": value, "stale": 0}
    return changes | {"stale": job.stale + 1}


def closing(plan: Plan, job: TuningJob, elapsed_s: float) -> Closing:
    """Say why no more training jobs are started; empty when more are.

    ``limit`` is no more than the present state: a training job that is tried again lifts it. The
    other reasons are final.
    """
    if job.closing:
        return job.closing
    best = job.best_value
    reasons: list[tuple[Closing, bool]] = [
        ("runtime", elapsed_s >= plan.runtime_s),
        (
            "target",
            plan.target is not None
            and best is not None
            and not better(plan.target, best, maximize=plan.maximize),
        ),
        ("not improving", plan.stale is not None and job.stale >= plan.stale),
        ("converged", plan.converges and job.stale >= _CONVERGED),
        ("limit", job.launched - job.retryable >= plan.most),
    ]
    return next((reason for reason, holds in reasons if holds), "")


def outcome(job: TuningJob, *, stop_asked: bool) -> tuple[str, str]:
    """Return the status a tuning job ends with, and why it failed."""
    if job.closing == "error":
        return "Failed", job.failure
    if stop_asked:
        return "Stopped", ""
    if job.evaluated:
        return "Completed", ""
    if job.failed + job.retryable == job.ended:
        return "Failed", f"all {job.ended} training jobs failed; the last one: {job.lost}"
    return "Failed", (
        f"no value of the objective metric was found in the logs of {job.ended} training jobs; "
        "its regular expression must match a line that the algorithm writes"
    )


def closed(job: TuningJob, reason: Closing, moment: datetime) -> TuningJob:
    """Write down why a tuning job starts no more."""
    converged = moment if reason == "converged" else job.converged_at
    return msgspec.structs.replace(job, closing=reason, converged_at=converged)


def share(plan: Plan, trials: Sequence[Trial]) -> int:
    """Say which algorithm the next trial goes to.

    Random search shares evenly. The other strategies do so for the first ten trials; then an
    algorithm's part is in proportion to how many of the best third are its own, and none ever
    gets nothing.

    Parameters
    ----------
    plan
        The algorithms.
    trials
        Every trial there is.
    """
    count = len(plan.algorithms)
    had = [sum(trial.algorithm == index for trial in trials) for index in range(count)]
    weights = [1] * count
    if plan.strategy != "Random" and len(trials) >= STARTUP and count > 1:
        known = [trial for trial in trials if trial.value is not None]
        known.sort(key=lambda trial: trial.value or 0.0, reverse=plan.maximize)
        for trial in known[: len(known) // 3]:
            weights[trial.algorithm] += 1
    return min(range(count), key=lambda index: ((had[index] + 1) / weights[index], index))
