"""What a tuning job learns from earlier ones, taken over when it is created."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.kernel.resource import Query
from clary.tuning import model, plans, progress, requests
from clary.tuning.model import Past, Trial

if TYPE_CHECKING:
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.tuning.plans import Algorithm, Plan

_FIELD = "WarmStartConfig"
_MOST_PAST = 5_000
_IDENTICAL = "IdenticalDataAndAlgorithm"


def parents(tuning: Ref, request: JsonObject) -> list[Ref]:
    """Name the parents of a request."""
    given = build(requests.Request, request).warm_start_config
    names = [] if given is None else given.parent_hyper_parameter_tuning_jobs
    return [tuning.sibling(model.TUNING, one.hyper_parameter_tuning_job_name) for one in names]


def inherit(
    store: MetadataStore, tuning: Ref, request: JsonObject, plan: Plan
) -> tuple[list[Past], Trial | None]:
    """Read what the parents' trials gave, and the best trial among them.

    Raises
    ------
    InvalidInput
        A parent does not exist, has not ended, or is not comparable; names the member.
    """
    past: list[Past] = []
    best: Trial | None = None
    identical = model.is_identical(request)
    for index, parent in enumerate(parents(tuning, request)):
        place = f"{_FIELD}.ParentHyperParameterTuningJobs.{index}.HyperParameterTuningJobName"
        resource = store.get(parent)
        if resource is None:
            raise InvalidInput(place, f"{parent} does not exist")
        if resource.status not in model.ENDED:
            legal = "a tuning job that has ended"
            raise InvalidInput(place, f"{parent} is {resource.status}", legal=legal)
        body = model.read(resource)
        given = plans.plan(parent, body.request)
        _compare(plan, given, place, identical=identical)
        known = [trial for trial in trials(store, parent) if trial.value is not None]
        past += [_past(given, trial) for trial in known]
        for trial in [*known, *([body.inherited] if body.inherited else [])]:
            best = _better(best, trial, maximize=plan.maximize)
    return past[-_MOST_PAST:], best if identical else None


def trials(store: MetadataStore, tuning: Ref) -> list[Trial]:
    """Read every trial of a tuning job, in the order of their numbers."""
    query = Query(
        model.TRIAL,
        tuning.account,
        tuning.region,
        tuning,
        sort_by="name",
        descending=False,
        limit=1000,
    )
    found: list[Trial] = []
    while True:
        page = store.select(query)
        found += [model.read_trial(one) for one in page.items]
        if not page.token:
            return found
        query = replace(query, token=page.token)


def _better(one: Trial | None, other: Trial, *, maximize: bool) -> Trial:
    if one is None or one.value is None or other.value is None:
        return other
    return other if progress.better(other.value, one.value, maximize=maximize) else one


def _past(plan: Plan, trial: Trial) -> Past:
    algorithm = plan.algorithms[trial.algorithm]
    known = {**algorithm.static, **trial.parameters}
    return Past(algorithm.name, known, trial.value or 0.0)


def _compare(plan: Plan, given: Plan, place: str, *, identical: bool) -> None:
    if plan.maximize != given.maximize:
        raise InvalidInput(place, "its objective has the other Type", legal="the same objective")
    before = {one.name: one for one in given.algorithms}
    for one in plan.algorithms:
        other = before.get(one.name)
        if other is not None:
            _compare_algorithms(one, other, place, identical=identical)
    if not before.keys() & {one.name for one in plan.algorithms}:
        raise InvalidInput(place, "it ran none of these algorithms", legal="the same names")


def _compare_algorithms(one: Algorithm, other: Algorithm, place: str, *, identical: bool) -> None:
    if one.metric != other.metric:
        legal = f"the same objective, {one.metric!r}"
        raise InvalidInput(place, f"its objective is {other.metric!r}", legal=legal)
    names = {*one.static, *(each.name for each in one.ranges)}
    had = {*other.static, *(each.name for each in other.ranges)}
    if names != had:
        problem = f"hyperparameters that only one of the two has: {', '.join(sorted(names ^ had))}"
        raise InvalidInput(place, problem, legal="the same ones, static or with a range")
    if identical and _image(one) != _image(other):
        legal = f"the same training image with {_IDENTICAL}"
        raise InvalidInput(place, f"it ran {_image(other)}", legal=legal)
    if identical and one.document.get("InputDataConfig") != other.document.get("InputDataConfig"):
        legal = f"the same InputDataConfig with {_IDENTICAL}"
        raise InvalidInput(place, "it read other data", legal=legal)


def _image(algorithm: Algorithm) -> str:
    image: str = algorithm.document["AlgorithmSpecification"].get("TrainingImage", "")
    return image
