"""Typed views of CreateHyperParameterTuningJob; the document itself is kept verbatim."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from clary.kernel.ports import JsonObject

MOST_JOBS = 10_000
MOST_PARALLEL = 100
MOST_RANGES = 30
MOST_PARENTS = 5
MOST_ALGORITHMS = 10
MOST_RESOURCE = 20_000

Strategy = Literal["Bayesian", "Random", "Hyperband", "Grid"]
Direction = Literal["Maximize", "Minimize"]
Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
Count = Annotated[int, Meta(ge=1)]


class View(msgspec.Struct, frozen=True, rename="pascal"):
    """Some members of a request document."""


class NumberRange(View, frozen=True):
    """An integer or continuous range; its bounds are texts."""

    name: str
    min_value: str
    max_value: str
    scaling_type: Scaling = "Auto"


class WordRange(View, frozen=True):
    """A categorical range."""

    name: str
    values: Annotated[tuple[str, ...], Meta(min_length=1, max_length=30)]


class Ranges(View, frozen=True):
    """Every range of an algorithm."""

    integer_parameter_ranges: tuple[NumberRange, ...] = ()
    continuous_parameter_ranges: tuple[NumberRange, ...] = ()
    categorical_parameter_ranges: tuple[WordRange, ...] = ()
    auto_parameters: tuple[JsonObject, ...] = ()


class Objective(View, frozen=True):
    """What makes a training job better than another."""

    type: Direction
    metric_name: str


class Limits(View, frozen=True):
    """How much may be spent."""

    max_parallel_training_jobs: Annotated[int, Meta(ge=1, le=MOST_PARALLEL)]
    max_number_of_training_jobs: Annotated[int, Meta(ge=1, le=MOST_JOBS)] | None = None
    max_runtime_in_seconds: Annotated[int, Meta(ge=120, le=15_768_000)] | None = None


class Hyperband(View, frozen=True):
    """The resources, such as epochs, that a training job gets at least and at most."""

    min_resource: Count = 1
    max_resource: Annotated[int, Meta(ge=1, le=MOST_RESOURCE)] | None = None


class StrategyConfig(View, frozen=True):
    """What belongs to one strategy only."""

    hyperband_strategy_config: Hyperband | None = None


class NotImproving(View, frozen=True):
    """How many training jobs in a row may bring nothing."""

    max_number_of_training_jobs_not_improving: Annotated[int, Meta(ge=3)] | None = None


class Convergence(View, frozen=True):
    """Whether to end once the search has converged."""

    complete_on_convergence: Literal["Disabled", "Enabled"] = "Disabled"


class Criteria(View, frozen=True):
    """When there is enough."""

    target_objective_metric_value: float | None = None
    best_objective_not_improving: NotImproving = NotImproving()
    convergence_detected: Convergence = Convergence()


class Config(View, frozen=True):
    """HyperParameterTuningJobConfig."""

    strategy: Strategy
    resource_limits: Limits
    strategy_config: StrategyConfig | None = None
    hyper_parameter_tuning_job_objective: Objective | None = None
    parameter_ranges: Ranges | None = None
    training_job_early_stopping_type: Literal["Off", "Auto"] = "Off"
    tuning_job_completion_criteria: Criteria = Criteria()
    random_seed: Annotated[int, Meta(ge=0)] | None = None


class Retry(View, frozen=True):
    """How often to try again after an InternalServerError."""

    maximum_retry_attempts: Annotated[int, Meta(ge=1, le=30)]


class Definition(View, frozen=True):
    """HyperParameterTrainingJobDefinition."""

    definition_name: str = ""
    tuning_objective: Objective | None = None
    hyper_parameter_ranges: Ranges | None = None
    static_hyper_parameters: dict[str, str] = {}
    hyper_parameter_tuning_resource_config: JsonObject | None = None
    retry_strategy: Retry | None = None


class Parent(View, frozen=True):
    """A tuning job to learn from."""

    hyper_parameter_tuning_job_name: str


class WarmStart(View, frozen=True):
    """What to learn from, and how alike it is."""

    warm_start_type: Literal["IdenticalDataAndAlgorithm", "TransferLearning"]
    parent_hyper_parameter_tuning_jobs: Annotated[
        tuple[Parent, ...], Meta(min_length=1, max_length=MOST_PARENTS)
    ]


class Request(View, frozen=True):
    """CreateHyperParameterTuningJob."""

    hyper_parameter_tuning_job_config: Config
    training_job_definition: JsonObject | None = None
    training_job_definitions: Annotated[
        tuple[JsonObject, ...], Meta(max_length=MOST_ALGORITHMS)
    ] = ()
    warm_start_config: WarmStart | None = None
    autotune: JsonObject | None = None
