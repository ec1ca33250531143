"""One worker's turn at one tuning job: record what has ended, start what is next, stop the rest.

Trials and the training jobs that run them are made in the one transaction that counts them, so
that a process may die anywhere. What a study knows is rebuilt from the trials when another process
takes over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from clary.jobs import model as jobs_model
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, Conflict, NotFound, Unavailable
from clary.kernel.resource import Event, Link
from clary.tuning import model, progress
from clary.tuning.model import Trial
from clary.tuning.plans import training_request
from clary.tuning.ranges import combination, combinations

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from clary.jobs.service import Jobs
    from clary.kernel.ports import MetadataStore, Transaction
    from clary.kernel.resource import Resource
    from clary.tuning.session import Session

_LOOK_AGAIN = timedelta(seconds=15)
"""Training jobs wake their tuning job when they end; this is for one that vanished."""
_WATCH = timedelta(seconds=0.25)
"""How often the logs of running training jobs are read when some may be stopped early."""
_AT_ONCE = 10
"""So many training jobs are started in one transaction."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction writes."""

    ended: Sequence[Trial]
    started: Sequence[Trial]
    job: model.TuningJob
    status: str


class Turn:
    """A tuning job in the hands of this process."""

    def __init__(
        self, store: MetadataStore, jobs: Jobs, resource: Resource, session: Session
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._resource = resource
        self._job = model.read(resource)
        self._session = session

    def go(self, stopping: threading.Event) -> datetime | None:
        """Go as far as it can; returns when to look again, None once it has ended."""
        while not stopping.is_set():
            step = self._next()
            if step is None:
                break
            self._write(step)
            if self._resource.status in model.ENDED:
                return None
        session = self._session
        doomed = list(session.running) if self._over else session.losing(self._store)
        for number in doomed:
            self._stop(session.running[number])
        return self._look_again()

    def _look_again(self) -> datetime:
        plan = self._session.plan
        watched = plan.stopping != "Off" and not self._over and self._session.running
        moment = now() + (_WATCH if watched else _LOOK_AGAIN)
        if self._over or math.isinf(plan.runtime_s):
            return moment
        return min(moment, self._resource.created_at + timedelta(seconds=plan.runtime_s))

    @property
    def _stop_asked(self) -> bool:
        return self._resource.status == "Stopping"

    @property
    def _over(self) -> bool:
        """Whether running training jobs are of no more use."""
        return self._stop_asked or bool(self._job.closing)

    def _next(self) -> _Step | None:
        """Compose what can be written now; None when there is nothing."""
        plan = self._session.plan
        job, ended, again = self._record()
        elapsed_s = (now() - self._resource.created_at).total_seconds()
        reason = progress.closing(plan, job, elapsed_s)
        started: list[Trial] = []
        if not reason and not self._stop_asked:
            try:
                started = self._propose(job, again)
            except (Conflict, Unavailable):
                raise
            except ClaryError as error:
                reason, job = "error", msgspec.structs.replace(job, failure=error.message)
        job = msgspec.structs.replace(job, launched=job.launched + len(started))
        if reason not in {job.closing, "limit"}:
            job = progress.closed(job, reason, now())
        finished = not job.running and (bool(reason) or self._stop_asked)
        return self._step(job, ended, started, finished=finished)

    def _record(self) -> tuple[model.TuningJob, list[Trial], list[Trial]]:
        """Count the trials that have ended; the third are those to be tried again."""
        job = self._job
        ended: list[Trial] = []
        again: list[Trial] = []
        for trial in list(self._session.running.values()):
            found = self._ended(trial)
            if found is None:
                continue
            retried = self._retries(found)
            job = progress.ended(job, found, retried=retried, maximize=self._session.plan.maximize)
            self._session.end(found)
            ended.append(found)
            again += [found] if retried else []
        return job, ended, again

    def _step(
        self, job: model.TuningJob, ended: list[Trial], started: list[Trial], *, finished: bool
    ) -> _Step | None:
        if not finished:
            if job == self._job:
                return None
            return _Step(ended, started, job, self._resource.status)
        status, failure = progress.outcome(job, stop_asked=self._stop_asked)
        job = msgspec.structs.replace(job, failure=failure, ended_at=now())
        return _Step(ended, started, job, status)

    def _ended(self, trial: Trial) -> Trial | None:
        """Return a trial as it ended, or None while it runs."""
        resource = self._store.get(self._resource.ref.sibling(jobs_model.TRAINING, trial.job))
        if resource is None:
            gone = "the training job was deleted"
            return msgspec.structs.replace(trial, status="Failed", failure=gone, ended_at=now())
        if resource.status not in jobs_model.ENDED:
            return None
        body = jobs_model.read(resource)
        metric = self._session.plan.algorithms[trial.algorithm].metric
        values = {one.name: one.value for one in body.metrics}
        return msgspec.structs.replace(
            trial,
            status=resource.status,
            value=None if resource.status == "Failed" else values.get(metric),
            failure=body.failure,
            started_at=body.started_at,
            ended_at=body.ended_at,
        )

    def _retries(self, trial: Trial) -> bool:
        most = self._session.plan.algorithms[trial.algorithm].retries
        return (
            trial.status == "Failed"
            and trial.failure.startswith(progress.INTERNAL)
            and trial.attempt < most
            and not self._over
        )

    def _propose(self, job: model.TuningJob, again: list[Trial]) -> list[Trial]:
        plan, session = self._session.plan, self._session
        free = min(plan.parallel - job.running, plan.most - (job.launched - job.retryable))
        started = []
        for place in range(min(free, max(_AT_ONCE, len(again)))):
            number = job.launched + place
            if again:
                lost = again.pop()
                trial = self._trial(number, lost.algorithm, lost.parameters, lost.attempt + 1)
                session.add(trial)
            else:
                trial = self._trial(number, *self._draw(number))
                session.keep(trial)
            started.append(trial)
        return started

    def _draw(self, number: int) -> tuple[int, Mapping[str, str]]:
        """Choose an algorithm and values for it, and count them as running in its study."""
        plan, session = self._session.plan, self._session
        place = session.drawn
        if plan.strategy == "Grid":
            for index, one in enumerate(plan.algorithms):
                points = combinations(one.grid())
                if place < points:
                    return index, combination(one.grid(), place)
                place -= points
        if place < len(session.hints):
            index, values = session.hints[place]
            session.studies[index].add(number, values)
            return index, values
        index = progress.share(plan, list(session.trials.values()))
        return index, session.studies[index].ask(number)

    def _trial(
        self, number: int, algorithm: int, parameters: Mapping[str, str], attempt: int = 0
    ) -> Trial:
        ref = self._resource.ref
        return Trial(
            number=number,
            tuning=ref.name,
            job=model.training_ref(ref, self._job.uid, number).name,
            algorithm=algorithm,
            parameters=dict(parameters),
            created_at=now(),
            attempt=attempt,
        )

    def _write(self, step: _Step) -> None:
        ref, actor = self._resource.ref, self._job.actor
        with self._store.begin() as change:
            for trial in step.ended:
                known = change.get(model.trial_ref(ref, trial.number))
                if known is None or known.status != "InProgress":
                    raise Conflict(f"{ref} is worked on by somebody else")
                change.update(model.changed(known, trial, trial.status))
            for trial in step.started:
                self._start(trial, change)
            # after what was read above: a stop asked meanwhile makes this a Conflict
            resource = change.update(model.changed(self._resource, step.job, step.status))
            over = step.status in model.ENDED
            if over and resource.parent is not None:
                change.wake(resource.parent)
            word = step.status.lower() if over else "advanced"
            detail: dict[str, object] = {"launched": step.job.launched, "ended": step.job.ended}
            if step.job.closing:
                detail["closing"] = step.job.closing
            change.append(Event(now(), actor, f"{ref.kind}.{word}", ref, detail))
        self._resource, self._job = resource, step.job

    def _start(self, trial: Trial, change: Transaction) -> None:
        tuning = self._resource.ref
        algorithm = self._session.plan.algorithms[trial.algorithm]
        child = tuning.sibling(jobs_model.TRAINING, trial.job)
        change.insert(model.trial_resource(tuning, trial))
        self._jobs.create(
            child,
            {
                **training_request(algorithm, trial.job, trial.parameters),
                "ExperimentConfig": self._job.experiment,
            },
            actor=self._job.actor,
            tags=self._job.tags,
            transaction=change,
            parent=tuning,
        )
        change.link(Link(tuning, "ContributedTo", child, "tuning"))

    def _stop(self, trial: Trial) -> None:
        """Ask a training job to stop; nothing happens when it has ended."""
        child = self._resource.ref.sibling(jobs_model.TRAINING, trial.job)
        try:
            self._jobs.stop(child, actor=self._job.actor)
        except (Conflict, NotFound):
            return
