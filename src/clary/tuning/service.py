"""Tuning jobs: create, follow, stop, list, delete."""

from __future__ import annotations

import secrets
import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from clary.jobs.model import TRAINING
from clary.kernel.clock import now
from clary.kernel.errors import Conflict, InvalidInput, NotFound, NotSupported
from clary.kernel.resource import Event, Link, Resource
from clary.tuning import documents, model, plans, progress, session, warm_start
from clary.tuning.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from clary.jobs.ports import LogStore
    from clary.jobs.service import Jobs
    from clary.kernel.errors import ClaryError
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Page, Query
    from clary.tuning.model import Trial
    from clary.tuning.ports import Studies
    from clary.tuning.session import Session

_MOST_SESSIONS = 32


class Tuning:
    """Hyperparameter tuning jobs.

    Parameters
    ----------
    store, logs
        The ports.
    jobs
        Runs the training jobs.
    studies
        Proposes values.
    """

    def __init__(self, store: MetadataStore, logs: LogStore, jobs: Jobs, studies: Studies) -> None:
        self._store = store
        self._logs = logs
        self._jobs = jobs
        self._studies = studies
        self._sessions: dict[Ref, Session] = {}
        self._lock = threading.Lock()

    def create(  # noqa: PLR0913 - a tuning job is a request and five things about it
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
        parent: Ref | None = None,
        experiment: Mapping[str, str] | None = None,
    ) -> Resource:
        """Accept a tuning job; a worker drives it.

        Parameters
        ----------
        ref
            Its kind is ``hyper-parameter-tuning-job``.
        request
            The public create document, kept as it is.
        tags
            For it and for its training jobs.
        transaction
            A change that this belongs to; else it is one of its own.
        parent
            A pipeline execution, which is woken when the tuning job has ended.
        experiment
            The ``ExperimentName`` and ``TrialName`` that its training jobs belong to; else ones
            of its own.

        Raises
        ------
        InvalidInput, NotSupported
            The request can never run; names the member.
        AlreadyExists
            There is a tuning job of that name.
        """
        plan = self.check(ref, request)
        past, inherited = warm_start.inherit(self._store, ref, request, plan)
        given = request["HyperParameterTuningJobConfig"].get("RandomSeed")
        job = model.TuningJob(
            request=request,
            actor=actor,
            uid=secrets.token_hex(8),
            seed=secrets.randbits(31) if given is None else int(given),
            tags=dict(tags or {}),
            experiment=dict(experiment or _own_experiment(ref)),
            inherited=inherited,
        )
        moment = now()
        scope = nullcontext(transaction) if transaction is not None else self._store.begin()
        with scope as change:
            resource = change.insert(
                Resource(ref, model.write(job), moment, moment, "InProgress", parent), due=True
            )
            if past:
                change.insert(model.history(ref, past, moment))
            for other in warm_start.parents(ref, request):
                change.link(Link(other, "ContributedTo", ref, "warm-start"))
            if tags:
                change.tag(ref, tags)
            change.append(Event(moment, actor, f"{ref.kind}.created", ref))
        return resource

    def check(self, ref: Ref, request: JsonObject) -> plans.Plan:
        """Refuse a request that can never run, as far as that shows without its parents."""
        plan = plans.plan(ref, request)
        if plan.strategy != "Grid":
            self._studies.require()
        return plan

    def key(self, ref: Ref, request: JsonObject) -> dict[str, Any] | None:
        """Name everything that the result of a tuning job of this request depends on.

        None when that cannot be said, because an input is not there or the request is wrong.
        """
        try:
            plan = plans.plan(ref, request)
        except (InvalidInput, NotSupported):
            return None
        child = model.training_ref(ref, "", 0)
        trained = [
            self._jobs.key(child, plans.training_request(one, child.name, {}))
            for one in plan.algorithms
        ]
        parents = self._store.get_all(warm_start.parents(ref, request))
        if None in trained:
            return None
        return {
            "search": request["HyperParameterTuningJobConfig"],
            "ranges": [[repr(each) for each in one.ranges] for one in plan.algorithms],
            "training": trained,
            "warm_start": {one.ref.name: model.read(one).uid for one in parents.values()},
        }

    def made(self, ref: Ref, most: int) -> dict[str, str]:
        """Name the objects that its best training jobs stored: digests by URI.

        Raises
        ------
        NotFound
            It does not exist, or one of them no longer does.
        """
        objects: dict[str, str] = {}
        for one in self.training_jobs(ref, best_first=True)[:most]:
            objects |= self._jobs.made(ref.sibling(TRAINING, one["TrainingJobName"]))
        return objects

    def get(self, ref: Ref) -> Resource:
        """Read a tuning job's resource. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def describe(self, ref: Ref) -> JsonObject:
        """Return the public describe document; its times are datetimes. Raises NotFound."""
        resource = self.get(ref)
        best = model.read(resource).best
        found = None if best is None else self._store.get(model.trial_ref(ref, best))
        return documents.describe(resource, None if found is None else model.read_trial(found))

    def training_jobs(self, ref: Ref, *, best_first: bool = False) -> list[JsonObject]:
        """Return the public summaries of its training jobs, in the order they were started.

        Parameters
        ----------
        ref
            The tuning job.
        best_first
            Only those that were evaluated, the best first.

        Raises
        ------
        NotFound
            There is no such tuning job.
        """
        resource = self.get(ref)
        plan = plans.plan(ref, model.read(resource).request)
        trials = warm_start.trials(self._store, ref)
        if best_first:
            trials = documents.best_first(plan, trials)
        return [
            documents.trial_summary(resource, plan, trial, self._training(ref, trial))
            for trial in trials
        ]

    def list(self, query: Query) -> Page:
        """List tuning jobs."""
        return self._store.select(query)

    def stop(self, ref: Ref, *, actor: str) -> None:
        """Ask a tuning job and its training jobs to end; asking again changes nothing.

        Raises
        ------
        NotFound
            There is no such tuning job.
        Conflict
            It has ended.
        """
        with self._store.begin() as change:
            resource = change.get(ref)
            if resource is None:
                raise NotFound(ref)
            if resource.status in model.ENDED:
                raise Conflict(f"{ref} cannot be stopped: it is {resource.status}")
            if resource.status != "Stopping":
                change.update(replace(resource, status="Stopping"))
                change.append(Event(now(), actor, f"{ref.kind}.stopping", ref))
            change.wake(ref)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Forget a tuning job that has ended; its training jobs stay.

        Raises
        ------
        NotFound
            There is no such tuning job.
        Conflict
            It has not ended.
        """
        trials = [model.trial_ref(ref, one.number) for one in warm_start.trials(self._store, ref)]
        with self._store.begin() as change:
            resource = change.get(ref)
            if resource is None:
                raise NotFound(ref)
            if resource.status not in model.ENDED:
                raise Conflict(f"{ref} cannot be deleted: it is {resource.status}")
            for one in (*trials, ref.sibling(model.HISTORY, ref.name)):
                if change.get(one) is not None:
                    change.delete(one)
            change.delete(ref)
            change.append(Event(now(), actor, f"{ref.kind}.deleted", ref))

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Drive a tuning job as far as it can go now: the worker's handler."""
        if resource.status in model.ENDED:
            return None
        try:
            known = self._session(resource)
        except (InvalidInput, NotSupported) as error:
            self._abandon(resource, error)
            return None
        try:
            due_at = Turn(self._store, self._jobs, resource, known).go(stopping)
        except BaseException:  # what the session learned may not have been written
            self._forget(resource.ref)
            raise
        if due_at is None:
            self._forget(resource.ref)
        return due_at

    def _session(self, resource: Resource) -> Session:
        job = model.read(resource)
        with self._lock:
            known = self._sessions.get(resource.ref)
        if known is None or not known.fits(job):
            plan = plans.plan(resource.ref, job.request)
            known = session.rebuild(self._store, self._studies, self._logs, resource, plan)
            with self._lock:
                while len(self._sessions) >= _MOST_SESSIONS:
                    self._sessions.pop(next(iter(self._sessions)))
                self._sessions[resource.ref] = known
        return known

    def _forget(self, ref: Ref) -> None:
        with self._lock:
            self._sessions.pop(ref, None)

    def _abandon(self, resource: Resource, error: ClaryError) -> None:
        """End a tuning job that this installation can no longer run, and its training jobs."""
        ref, job = resource.ref, model.read(resource)
        moment = now()
        left = [one for one in warm_start.trials(self._store, ref) if one.status == "InProgress"]
        with self._store.begin() as change:
            for trial in left:
                stopped = msgspec.structs.replace(trial, status="Stopped", ended_at=moment)
                job = progress.ended(job, stopped, retried=False, maximize=False)
                row = change.get(model.trial_ref(ref, trial.number))
                if row is not None:
                    change.update(model.changed(row, stopped, "Stopped"))
            job = msgspec.structs.replace(job, failure=error.message, ended_at=moment)
            ended = change.update(model.changed(resource, job, "Failed"))
            if ended.parent is not None:
                change.wake(ended.parent)
            change.append(Event(moment, job.actor, f"{ref.kind}.failed", ref))
        for trial in left:
            try:
                self._jobs.stop(ref.sibling(TRAINING, trial.job), actor=job.actor)
            except (Conflict, NotFound):
                continue

    def _training(self, ref: Ref, trial: Trial) -> Resource | None:
        if trial.status != "InProgress":
            return None
        return self._store.get(ref.sibling(TRAINING, trial.job))


def _own_experiment(ref: Ref) -> dict[str, str]:
    return {"ExperimentName": ref.name, "TrialName": f"{ref.name}-aws-tuning-job"}
