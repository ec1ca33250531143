"""What a process knows of a tuning job that it works on: trials, studies and learning curves.

All of it can be rebuilt from what is stored. It is kept between turns because rebuilding a study
at each trial would cost more with every trial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.jobs import model as jobs_model
from clary.jobs.metrics import every_value
from clary.kernel.errors import NotFound
from clary.tuning import model
from clary.tuning.pruning import Hyperband, falls_behind
from clary.tuning.ranges import drawn
from clary.tuning.requests import MOST_RESOURCE
from clary.tuning.warm_start import trials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.jobs.ports import LogStore
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource
    from clary.tuning.model import Past, Trial, TuningJob
    from clary.tuning.plans import Plan
    from clary.tuning.ports import Sampling, Studies, Study

_LINES = 5_000
"""So many lines of a log are read at a time."""
_HINTS_SHARE = 3
"""At most one in so many training jobs tries what was best with other data."""


class Curve:
    """The objective values that a training job has logged, and how far its log was read."""

    def __init__(self, resource: Resource, pattern: str) -> None:
        ref = resource.ref
        group = jobs_model.LOG_GROUPS[ref.kind]
        self._place = (ref.account, ref.region, group, jobs_model.stream(resource, "algo-1"))
        self._pattern = pattern
        self._after = 0
        self.values: list[float] = []
        self.judged = 0
        self.is_whole = False

    def read(self, logs: LogStore, *, ended: bool) -> None:
        """Read what was logged since the last time; once ``ended``, until there is no more."""
        try:
            page = logs.read(*self._place, after=self._after, limit=_LINES)
        except NotFound:
            self.is_whole = ended
            return
        self.is_whole = ended and not page.lines
        self._after = max(self._after, page.end)
        room = MOST_RESOURCE - len(self.values)
        found = every_value(page.lines, [("", self._pattern)])
        self.values += [one.value for one in found][:room]


class Session:
    """A tuning job's trials and what was learned from them, in memory.

    Parameters
    ----------
    ref, uid
        The tuning job.
    plan
        What it goes by.
    studies
        One study for each algorithm; none for a grid.
    hints
        Values that are tried first: algorithm and parameters.
    """

    def __init__(
        self,
        ref: Ref,
        job: TuningJob,
        plan: Plan,
        studies: Sequence[Study],
        hints: Sequence[tuple[int, Mapping[str, str]]],
        logs: LogStore,
    ) -> None:
        self.ref = ref
        self.uid = job.uid
        self.plan = plan
        self.studies = studies
        self.hints = hints
        self.trials: dict[int, Trial] = {}
        self.running: dict[int, Trial] = {}
        self.drawn = 0
        self._logs = logs
        self._curves: dict[int, Curve] = {}

    def fits(self, job: TuningJob) -> bool:
        """Say whether nobody else has worked on the tuning job meanwhile."""
        counts = (len(self.trials), len(self.running))
        return job.uid == self.uid and counts == (job.launched, job.running)

    def keep(self, trial: Trial) -> None:
        """Remember a new trial that its study knows."""
        self.trials[trial.number] = self.running[trial.number] = trial
        self.drawn += trial.attempt == 0

    def add(self, trial: Trial) -> None:
        """Remember a trial that its study does not know."""
        if self.studies:
            self.studies[trial.algorithm].add(trial.number, trial.parameters)
        self.keep(trial)

    def end(self, trial: Trial) -> None:
        """Remember how a trial ended."""
        self.trials[trial.number] = trial
        self.running.pop(trial.number, None)
        if self.studies:
            self.studies[trial.algorithm].tell(trial.number, trial.value)

    def losing(self, store: MetadataStore) -> list[int]:
        """Read the logs of running trials, and name those that are not worth their time."""
        if self.plan.stopping == "Off":
            return []
        for trial in self.trials.values():
            curve = self._curve(store, trial)
            if curve is not None and not curve.is_whole:
                curve.read(self._logs, ended=trial.number not in self.running)
        return [number for number in self.running if self._loses(number)]

    def _curve(self, store: MetadataStore, trial: Trial) -> Curve | None:
        if trial.number not in self._curves:
            resource = store.get(self.ref.sibling(jobs_model.TRAINING, trial.job))
            if resource is None:
                return None
            pattern = self.plan.algorithms[trial.algorithm].pattern
            self._curves[trial.number] = Curve(resource, pattern)
        return self._curves[trial.number]

    def _loses(self, number: int) -> bool:
        curve = self._curves.get(number)
        if curve is None or len(curve.values) == curve.judged:
            return False
        since, curve.judged = curve.judged, len(curve.values)
        maximize = self.plan.maximize
        others = {other: one.values for other, one in self._curves.items() if other != number}
        if self.plan.stopping == "Hyperband":
            hyperband = Hyperband(*self.plan.resource)
            return hyperband.loses(
                number, curve.values, others.items(), since=since, maximize=maximize
            )
        complete = [
            one for other, one in others.items() if self.trials[other].status == "Completed"
        ]
        return falls_behind(curve.values, complete, maximize=maximize)


def rebuild(
    store: MetadataStore, studies: Studies, logs: LogStore, resource: Resource, plan: Plan
) -> Session:
    """Open a session from what is stored. Raises NotSupported without a search."""
    job = model.read(resource)
    past = _history(store, resource.ref)
    opened: list[Study] = []
    if plan.strategy != "Grid":
        sampling: Sampling = "Random" if plan.strategy == "Random" else "Bayesian"
        for index, one in enumerate(plan.algorithms):
            seed = job.seed + index
            opened.append(studies.open(one.ranges, sampling, maximize=plan.maximize, seed=seed))
    identical = model.is_identical(job.request)
    hints = [] if identical else _hints(plan, past)
    session = Session(resource.ref, job, plan, opened, hints, logs)
    if identical and opened:
        _learn(plan, opened, past)
    for trial in trials(store, resource.ref):
        session.add(trial)
        if trial.status != "InProgress":
            session.end(trial)
    return session


def _history(store: MetadataStore, tuning: Ref) -> list[Past]:
    found = store.get(tuning.sibling(model.HISTORY, tuning.name))
    return [] if found is None else model.read_history(found)


def _learn(plan: Plan, studies: Sequence[Study], past: Sequence[Past]) -> None:
    names = [one.name for one in plan.algorithms]
    for place, one in enumerate(past):
        if one.algorithm in names:
            study = studies[names.index(one.algorithm)]
            study.add(-1 - place, one.parameters)
            study.tell(-1 - place, one.value)


def _hints(plan: Plan, past: Sequence[Past]) -> list[tuple[int, Mapping[str, str]]]:
    """Take the best values of the parents that lie within the ranges, best first."""
    names = [one.name for one in plan.algorithms]
    found: list[tuple[int, Mapping[str, str]]] = []
    for one in sorted(past, key=lambda one: one.value, reverse=plan.maximize):
        if one.algorithm not in names:
            continue
        index = names.index(one.algorithm)
        ranges = plan.algorithms[index].ranges
        if drawn(ranges, one.parameters) is not None:
            hint = (index, {each.name: one.parameters[each.name] for each in ranges})
            found += [] if hint in found else [hint]
    return found[: max(1, plan.most // _HINTS_SHARE)] if plan.strategy != "Grid" else []
