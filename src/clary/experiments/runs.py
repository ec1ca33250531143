"""Components as runs: begin one, log to it, end it, find it again."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.experiments import model
from clary.experiments.metrics import check
from clary.experiments.model import (
    COMPONENT,
    EXPERIMENT,
    LOGGED_MODEL,
    RUN_TAG,
    TRIAL,
    Run,
    read_run,
)
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.resource import Bucket, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from clary.experiments.model import Value
    from clary.experiments.ports import Point
    from clary.experiments.service import Experiments
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore, Transaction

_PAGE = 1_000
_ARTIFACTS = {COMPONENT: "trial-component-artifacts", LOGGED_MODEL: "logged-models"}


class Runs:
    """Components as runs.

    A run is a component of the trial ``Default-Run-Group-<experiment>``, as the official SDK makes
    them, so that each finds what the other has logged.

    Parameters
    ----------
    experiments
        What runs are made of.
    store, objects
        Where they are, and where their artifacts lie.
    """

    def __init__(
        self, experiments: Experiments, store: MetadataStore, objects: ObjectStore
    ) -> None:
        self._experiments = experiments
        self._store = store
        self._objects = objects

    def ensure_experiment(
        self, near: Ref, name: str, *, actor: str, transaction: Transaction | None = None
    ) -> Ref:
        """Find an experiment, or make it."""
        ref = model.named(near, EXPERIMENT, name)
        with self._scope(transaction) as change:
            if change.get(ref) is None:
                self._experiments.create_experiment(
                    ref, {"ExperimentName": name}, actor=actor, transaction=change
                )
        return ref

    def ensure_trial(
        self,
        experiment: Ref,
        name: str,
        *,
        actor: str,
        transaction: Transaction | None = None,
    ) -> Ref:
        """Find a trial, or make it in an experiment that exists."""
        ref = model.named(experiment, TRIAL, name)
        with self._scope(transaction) as change:
            if change.get(ref) is None:
                request = {"TrialName": name, "ExperimentName": experiment.name}
                self._experiments.create_trial(ref, request, actor=actor, transaction=change)
        return ref

    def begin(  # noqa: PLR0913 - a run is a name in an experiment and four things about it
        self,
        near: Ref,
        experiment: str,
        name: str,
        *,
        actor: str,
        display_name: str = "",
        tags: Mapping[str, str] | None = None,
        started_at: datetime | None = None,
    ) -> Run:
        """Begin a run, in an experiment that is made when it is missing.

        Parameters
        ----------
        near
            Any name in the account and region it belongs to.
        experiment
            The experiment's name.
        name
            Unique in the account and region, whatever the experiment.
        display_name
            What people see; need not be unique.
        actor, tags, started_at
            Who begins it, its first tags, and when it began if not now.

        Raises
        ------
        AlreadyExists
            There is a run (or another component) of this name.
        """
        ref = model.named(near, COMPONENT, name)
        request = {
            "TrialComponentName": name,
            **({"DisplayName": display_name} if display_name else {}),
            "StartTime": started_at or now(),
            "Status": {"PrimaryStatus": "InProgress"},
        }
        with self._store.begin() as change:
            if change.get(ref) is not None:
                raise AlreadyExists(ref)
            made_in = self.ensure_experiment(near, experiment, actor=actor, transaction=change)
            trial = self.ensure_trial(
                made_in, f"Default-Run-Group-{experiment}"[:120], actor=actor, transaction=change
            )
            self._experiments.create_component(
                ref,
                request,
                actor=actor,
                tags={**(tags or {}), RUN_TAG[0]: RUN_TAG[1]},
                transaction=change,
            )
            self._experiments.associate(ref, trial, actor=actor, transaction=change)
        return self.get(ref)

    def log(  # noqa: PLR0913 - a run is logged to in five ways
        self,
        ref: Ref,
        *,
        actor: str,
        parameters: Mapping[str, Value] | None = None,
        points: Sequence[Point] = (),
        tags: Mapping[str, str | None] | None = None,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> None:
        """Add to a run: parameters and artifacts replace those of the same name.

        Parameters
        ----------
        ref, actor
            The run, and who logs.
        parameters, points, tags, inputs, outputs
            What is added; a tag that is None is removed.
        once
            Whether a parameter may only be given the value it has already.

        Raises
        ------
        NotFound
            There is no such run.
        InvalidInput
            A metric's name or step is out of bounds, or a parameter has another value.
        LimitExceeded
            The run would have too much of something.
        """
        self._experiments.get(ref)
        for point in points:
            check(point)
        change = {
            "Parameters": model.parameters(parameters or {}),
            "InputArtifacts": {name: {"Value": uri} for name, uri in (inputs or {}).items()},
            "OutputArtifacts": {name: {"Value": uri} for name, uri in (outputs or {}).items()},
        }
        if tags or any(change.values()):
            with self._store.begin() as transaction:
                if once:
                    _check_unchanged(transaction, ref, parameters or {})
                if any(change.values()):
                    self._experiments.update(ref, change, actor=actor, transaction=transaction)
                if tags:
                    transaction.tag(ref, tags)
        if points:
            self._experiments.metrics.log(ref, points)

    def end(
        self,
        ref: Ref,
        status: str = "Completed",
        *,
        actor: str,
        message: str = "",
        ended_at: datetime | None = None,
    ) -> None:
        """Say that a run has ended, or goes on again with status InProgress. Raises NotFound."""
        words = {"PrimaryStatus": status, **({"Message": message[:1024]} if message else {})}
        ends = {} if status == "InProgress" else {"EndTime": ended_at or now()}
        self._experiments.update(ref, {"Status": words, **ends}, actor=actor)

    def get(self, ref: Ref) -> Run:
        """Read a run with its tags and its metrics' summaries. Raises NotFound."""
        return next(self._with_facts([self._experiments.get(ref)]))

    def of(self, experiments: Iterable[Ref], *, with_jobs: bool = True) -> Iterator[Run]:
        """Yield every run of some experiments, the newest of each first.

        Parameters
        ----------
        experiments
            Those that do not exist have no runs.
        with_jobs
            Whether components that were made for jobs count.
        """
        for experiment in experiments:
            query = Query("", experiment.account, experiment.region, limit=_PAGE)
            while True:
                try:
                    page = self._experiments.components(experiment, query)
                except NotFound:
                    break
                items = [one for one in page.items if with_jobs or not one.body["source"]]
                yield from self._with_facts(items)
                if not page.token:
                    break
                query = replace(query, token=page.token)

    def find(
        self,
        experiments: Iterable[Ref],
        matches: Callable[[Run], bool],
        order: Callable[[Run], Any],
        *,
        descending: bool = True,
    ) -> list[Run]:
        """Find runs of some experiments, in the order of a key; equal keys by name."""
        found = [run for run in self.of(experiments) if matches(run)]
        found.sort(key=lambda run: run.ref.name)
        found.sort(key=order, reverse=descending)
        return found

    def artifacts(self, ref: Ref) -> tuple[str, str]:
        """Name the bucket and the prefix of a run's or logged model's artifacts.

        The bucket is made when it is missing.
        """
        bucket = f"sagemaker-{ref.region}-{ref.account}"
        if not any(held.name == bucket for held in self._objects.buckets()):
            self._objects.create_bucket(Bucket(bucket, ref.account, ref.region, now()))
        return bucket, f"{_ARTIFACTS[ref.kind]}/{ref.name}/"

    def _with_facts(self, components: Sequence[Resource]) -> Iterator[Run]:
        metrics = self._experiments.metrics.of(components)
        tags = self._store.tags_of(one.ref for one in components)
        for one in components:
            yield read_run(one, metrics.get(one.ref, ()), tags.get(one.ref))

    def _scope(self, transaction: Transaction | None) -> AbstractContextManager[Transaction]:
        return nullcontext(transaction) if transaction is not None else self._store.begin()


def _check_unchanged(transaction: Transaction, ref: Ref, parameters: Mapping[str, Value]) -> None:
    found = transaction.get(ref)
    if found is None:
        raise NotFound(ref)
    before = model.values(found.body["request"].get("Parameters", {}))
    for name, value in parameters.items():
        if name in before and str(before[name]) != str(value):
            problem = f"{name!r} is {before[name]!r} already, not {value!r}"
            raise InvalidInput("parameter", problem[:1024], legal="its value, or a new name")
