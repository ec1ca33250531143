"""What a request asks for, read once: algorithms, objective, limits; or why it cannot run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import regex

from clary.jobs import plans as job_plans
from clary.jobs.model import TRAINING, Job
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported
from clary.tuning import requests
from clary.tuning.model import MOST_NAME
from clary.tuning.ranges import Choices, Range, choices, combinations, integers, reals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.tuning.requests import Config, Definition, Objective, Ranges

OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter that tells a training job which metric it is judged by."""
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
_ONE = "TrainingJobDefinition"
_MANY = "TrainingJobDefinitions"
_CONFIG = "HyperParameterTuningJobConfig"
_TAKEN = frozenset(
    {
        *("DefinitionName", "TuningObjective", "HyperParameterRanges", "StaticHyperParameters"),
        *("HyperParameterTuningResourceConfig", "RetryStrategy"),
    }
)
"""Members of a definition that are no members of CreateTrainingJob."""
_CHOICE = frozenset({"InstanceConfigs", "AllocationStrategy"})
_MOST_HYPERPARAMETERS = 100


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One definition of training jobs.

    Parameters
    ----------
    name
        Empty when there is one only.
    document
        What its training jobs have in common, as CreateTrainingJob takes it.
    static
        Hyperparameters that are not searched.
    ranges
        Those that are.
    metric, pattern
        The objective's name and the expression that finds its values in a log.
    metrics
        Every metric's name and expression.
    retries
        How often values that were lost to an internal error are tried again.
    """

    name: str
    document: JsonObject
    static: Mapping[str, str]
    ranges: Sequence[Range]
    metric: str
    pattern: str
    metrics: Sequence[tuple[str, str]]
    retries: int

    def grid(self) -> list[Choices]:
        """Return the ranges of a grid, which are words only."""
        return [one for one in self.ranges if isinstance(one, Choices)]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a tuning job goes by.

    ``most`` is how many training jobs it starts at most, ``resource`` the least and most epochs of
    Hyperband, ``stale`` how many training jobs in a row may bring less than 1 %.
    """

    strategy: requests.Strategy
    algorithms: Sequence[Algorithm]
    maximize: bool
    most: int
    parallel: int
    runtime_s: float
    stopping: Literal["Off", "Auto", "Hyperband"]
    resource: tuple[int, int]
    target: float | None
    stale: int | None
    converges: bool


def plan(ref: Ref, request: JsonObject) -> Plan:
    """Read a CreateHyperParameterTuningJob document.

    Raises
    ------
    InvalidInput, NotSupported
        It can never run; names the member and what is legal.
    """
    if len(ref.name) > MOST_NAME:
        legal = f"at most {MOST_NAME} characters"
        raise InvalidInput("HyperParameterTuningJobName", repr(ref.name), legal=legal)
    view = build(requests.Request, request)
    if view.autotune is not None:
        raise NotSupported("Autotune: clary chooses no ranges by itself; give ParameterRanges")
    config = view.hyper_parameter_tuning_job_config
    algorithms = _algorithms(ref, view)
    criteria = config.tuning_job_completion_criteria
    stale = criteria.best_objective_not_improving.max_number_of_training_jobs_not_improving
    return Plan(
        strategy=config.strategy,
        algorithms=algorithms,
        maximize=_maximizes(view, config),
        most=_most(config, algorithms),
        parallel=config.resource_limits.max_parallel_training_jobs,
        runtime_s=config.resource_limits.max_runtime_in_seconds or math.inf,
        stopping=_stopping(config),
        resource=_resource(config, algorithms),
        target=criteria.target_objective_metric_value,
        stale=stale,
        converges=criteria.convergence_detected.complete_on_convergence == "Enabled",
    )


def training_request(algorithm: Algorithm, job: str, parameters: Mapping[str, str]) -> JsonObject:
    """Compose the CreateTrainingJob document of one trial.

    Checkpoints go to a folder of the training job's own below the one that is given, so that
    trials do not read each other's.
    """
    document = {
        **algorithm.document,
        "TrainingJobName": job,
        "HyperParameters": {**algorithm.static, **parameters, OBJECTIVE: algorithm.metric},
    }
    checkpoints = document.get("CheckpointConfig")
    if checkpoints is not None:
        uri = f"{checkpoints['S3Uri'].rstrip('/')}/{job}"
        document["CheckpointConfig"] = {**checkpoints, "S3Uri": uri}
    return document


def _algorithms(ref: Ref, view: requests.Request) -> list[Algorithm]:
    config = view.hyper_parameter_tuning_job_config
    if (view.training_job_definition is None) == (not view.training_job_definitions):
        raise InvalidInput(_ONE, "one way to say what is trained", legal=f"either it or {_MANY}")
    if view.training_job_definition is not None:
        objective, ranges = config.hyper_parameter_tuning_job_objective, config.parameter_ranges
        given = (f"{_CONFIG}.HyperParameterTuningJobObjective", f"{_CONFIG}.ParameterRanges")
        document = view.training_job_definition
        return [_algorithm(ref, document, _ONE, (objective, ranges), given)]
    for member, value in (
        ("HyperParameterTuningJobObjective", config.hyper_parameter_tuning_job_objective),
        ("ParameterRanges", config.parameter_ranges),
    ):
        if value is not None:
            legal = f"in each of {_MANY} instead"
            raise InvalidInput(f"{_CONFIG}.{member}", "given for several", legal=legal)
    found = []
    for index, document in enumerate(view.training_job_definitions):
        place = f"{_MANY}.{index}"
        own = (f"{place}.TuningObjective", f"{place}.HyperParameterRanges")
        found.append(_algorithm(ref, document, place, (None, None), own))
        names = [one.name for one in found]
        if not names[-1] or names.count(names[-1]) > 1:
            problem = f"{names[-1]!r}"
            raise InvalidInput(f"{place}.DefinitionName", problem, legal="a name of its own")
    return found


def _algorithm(
    ref: Ref,
    document: JsonObject,
    place: str,
    given: tuple[Objective | None, Ranges | None],
    fields: tuple[str, str],
) -> Algorithm:
    view = build(requests.Definition, document, field=place)
    objective = view.tuning_objective or given[0]
    if objective is None:
        raise InvalidInput(fields[0], "missing", legal="a Type and a MetricName")
    searched = read_ranges(view.hyper_parameter_ranges or given[1], fields[1])
    static = dict(view.static_hyper_parameters)
    _refuse_repeated(searched, static, fields[1])
    common = {name: value for name, value in document.items() if name not in _TAKEN}
    common |= _resources(document, view, place)
    bare = Algorithm(
        name=view.definition_name,
        document=common,
        static=static,
        ranges=searched,
        metric=objective.metric_name,
        pattern="",
        metrics=(),
        retries=view.retry_strategy.maximum_retry_attempts if view.retry_strategy else 0,
    )
    return _with_metric(ref, bare, place, fields[0])


def _with_metric(ref: Ref, bare: Algorithm, place: str, objective_field: str) -> Algorithm:
    """Check the training jobs as far as that shows before they are made, and find the metric."""
    child = ref.sibling(TRAINING, f"{ref.name}-001-00000000")
    request = training_request(bare, child.name, {})
    try:
        metrics = job_plans.plan(child, Job(request=request, actor="", uid="")).patterns
    except InvalidInput as error:
        where = f"{place}.{error.field}" if error.field else place
        raise InvalidInput(where, error.problem, legal=error.legal, hint=error.hint) from None
    except NotSupported as error:
        raise NotSupported(f"{place}.{error.message}", hint=error.hint) from None
    names = [name for name, _ in metrics]
    if bare.metric not in names:
        problem = f"no metric {bare.metric!r}"
        legal = ", ".join(names) or f"one of {place}.AlgorithmSpecification.MetricDefinitions"
        raise InvalidInput(f"{objective_field}.MetricName", problem, legal=legal)
    pattern = dict(metrics)[bare.metric]
    try:
        regex.compile(pattern)
    except regex.error as error:
        where = f"{place}.AlgorithmSpecification.MetricDefinitions.{names.index(bare.metric)}.Regex"
        raise InvalidInput(where, f"{pattern!r}: {error}") from None
    return replace(bare, pattern=pattern, metrics=metrics)


def read_ranges(view: Ranges | None, field: str) -> list[Range]:
    """Read every range of an algorithm.

    Raises
    ------
    InvalidInput, NotSupported
        There is none, there are too many, or one cannot be; names the member below ``field``.
    """
    if view is None:
        raise InvalidInput(field, "missing", legal="at least one range")
    if view.auto_parameters:
        raise NotSupported(f"{field}.AutoParameters: clary chooses no ranges by itself")
    found: list[Range] = []
    for member, numbers, read in (
        ("IntegerParameterRanges", view.integer_parameter_ranges, integers),
        ("ContinuousParameterRanges", view.continuous_parameter_ranges, reals),
    ):
        for index, one in enumerate(numbers):
            place = f"{field}.{member}.{index}"
            found.append(
                read(one.name, one.min_value, one.max_value, one.scaling_type, field=place)
            )
    for index, words in enumerate(view.categorical_parameter_ranges):
        place = f"{field}.CategoricalParameterRanges.{index}"
        found.append(choices(words.name, words.values, field=place))
    if not 1 <= len(found) <= requests.MOST_RANGES:
        legal = f"1 to {requests.MOST_RANGES}"
        raise InvalidInput(field, f"{len(found)} ranges", legal=legal)
    return found


def _refuse_repeated(ranges: Sequence[Range], static: Mapping[str, str], field: str) -> None:
    names = [one.name for one in ranges]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(field, f"{name!r} has two ranges", legal="one")
        if name in static:
            problem = f"{name!r} has a range and is one of StaticHyperParameters"
            raise InvalidInput(field, problem, legal="either")
    if OBJECTIVE in names:
        raise InvalidInput(field, f"{OBJECTIVE} is reserved")
    if len(names) + len(static) > _MOST_HYPERPARAMETERS:
        problem = f"{len(names) + len(static)} hyperparameters with the static ones"
        raise InvalidInput(field, problem, legal=f"at most {_MOST_HYPERPARAMETERS}")


def _resources(document: JsonObject, view: Definition, place: str) -> JsonObject:
    """Write flexible resources as plain ones: every host is this machine."""
    given = view.hyper_parameter_tuning_resource_config
    if given is None:
        return {}
    field = f"{place}.HyperParameterTuningResourceConfig"
    if "ResourceConfig" in document:
        raise InvalidInput(field, "given beside ResourceConfig", legal="either")
    members = {name: value for name, value in given.items() if name not in _CHOICE}
    members |= (given.get("InstanceConfigs") or [{}])[0]
    if not members.get("InstanceType"):
        raise InvalidInput(field, "no host", legal="InstanceType or InstanceConfigs")
    return {"ResourceConfig": {"InstanceCount": 1, **members}}


def _maximizes(view: requests.Request, config: Config) -> bool:
    found = [config.hyper_parameter_tuning_job_objective] + [
        build(requests.Definition, one).tuning_objective
        for one in view.training_job_definitions or (view.training_job_definition,)
    ]
    types = {one.type for one in found if one is not None}
    if len(types) > 1:
        place = f"{_MANY}.1.TuningObjective.Type"
        raise InvalidInput(place, "both directions", legal="one Type for all definitions")
    return types == {"Maximize"}


def _most(config: Config, algorithms: Sequence[Algorithm]) -> int:
    field = f"{_CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs"
    given = config.resource_limits.max_number_of_training_jobs
    if config.strategy == "Grid":
        return _grid(given, algorithms, field)
    if given is not None:
        return given
    criteria = config.tuning_job_completion_criteria
    if config.resource_limits.max_runtime_in_seconds or criteria != requests.Criteria():
        return requests.MOST_JOBS
    legal = "a number, or MaxRuntimeInSeconds, or TuningJobCompletionCriteria"
    raise InvalidInput(field, "nothing ends this tuning job", legal=legal)


def _grid(given: int | None, algorithms: Sequence[Algorithm], field: str) -> int:
    for one in algorithms:
        for searched in one.ranges:
            if not isinstance(searched, Choices):
                problem = f"Grid cannot try every value of {searched.name!r}"
                legal = "CategoricalParameterRanges only"
                raise InvalidInput(f"{_CONFIG}.Strategy", problem, legal=legal)
    count = sum(combinations(one.grid()) for one in algorithms)
    if count > requests.MOST_JOBS:
        legal = f"at most {requests.MOST_JOBS}"
        raise InvalidInput(f"{_CONFIG}.Strategy", f"a grid of {count} points", legal=legal)
    if given not in {None, count}:
        raise InvalidInput(field, str(given), legal=f"{count}, the points of the grid, or nothing")
    return count


def _stopping(config: Config) -> Literal["Off", "Auto", "Hyperband"]:
    field = f"{_CONFIG}.TrainingJobEarlyStoppingType"
    if config.strategy != "Hyperband":
        if config.strategy_config is not None:
            raise InvalidInput(f"{_CONFIG}.StrategyConfig", "for Hyperband only", legal="absent")
        return config.training_job_early_stopping_type
    if config.training_job_early_stopping_type == "Auto":
        raise InvalidInput(field, "Auto; Hyperband stops training jobs itself", legal="Off")
    return "Hyperband"


def _resource(config: Config, algorithms: Sequence[Algorithm]) -> tuple[int, int]:
    if config.strategy != "Hyperband":
        return 1, requests.MOST_RESOURCE
    given = config.strategy_config and config.strategy_config.hyperband_strategy_config
    view = given or requests.Hyperband()
    field = f"{_CONFIG}.StrategyConfig.HyperbandStrategyConfig"
    most = view.max_resource or _epochs(algorithms)
    if most is None:
        legal = f"a number, or one of StaticHyperParameters: {', '.join(_EPOCHS)}"
        raise InvalidInput(f"{field}.MaxResource", "missing", legal=legal)
    if view.min_resource > most:
        legal = f"at most MaxResource, {most}"
        raise InvalidInput(f"{field}.MinResource", str(view.min_resource), legal=legal)
    return view.min_resource, most


def _epochs(algorithms: Sequence[Algorithm]) -> int | None:
    static = [one.static for one in algorithms]
    texts = [one[name].strip('"') for one in static for name in _EPOCHS if name in one]
    most = max((int(text) for text in texts if text.isdecimal()), default=0)
    return min(most, requests.MOST_RESOURCE) or None
