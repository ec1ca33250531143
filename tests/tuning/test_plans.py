"""Requests that can never run are refused, naming the member and what is legal."""

from __future__ import annotations

import pytest
from tests.tuning.conftest import (
    RANGES,
    REF,
    continuous,
    definition,
    objective,
    ranges,
    request,
    several,
    words,
)

from clary.kernel.errors import InvalidInput, NotSupported
from clary.tuning import plans

CONFIG = "HyperParameterTuningJobConfig"
HYPERBAND = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 9}}}
GRID = ranges(categorical=[words("a", "x", "y"), words("b", "1", "2", "3")])
SPECIFICATION = definition()["AlgorithmSpecification"]
ALICE = {"Name": "loss", "Regex": "loss=(\\S+)"}


def of(document):
    return plans.plan(REF, document)


def trained(**members):
    whole = definition(**members)
    if "HyperParameterTuningResourceConfig" in members:
        del whole["ResourceConfig"]
    return request(trained=whole)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            request(searched=ranges(real=[continuous("eta", 1, 0)])),
            "ParameterRanges.ContinuousParameterRanges.0.MinValue: 1.0 is above MaxValue 0.0",
        ),
        (
            request(searched=ranges(integer=[continuous("n", "one", 2)])),
            "IntegerParameterRanges.0.MinValue: 'one'",
        ),
        (request(searched=ranges(real=[continuous("eta", 0, 1, "Logarithmic")])), "legal: above 0"),
        (
            request(searched=ranges(categorical=[words("a", "x", "x")])),
            "CategoricalParameterRanges.0.Values: 'x' is given twice",
        ),
        (request(searched=ranges()), f"{CONFIG}.ParameterRanges: 0 ranges; legal: 1 to 30"),
        (
            request(searched=ranges(real=[continuous(f"x{n}", 0, 1) for n in range(31)])),
            "31 ranges",
        ),
        (request(searched=ranges(real=[continuous("a", 0, 1)] * 2)), "'a' has two ranges"),
        (
            request(searched=ranges(real=[continuous("num_round", 0, 1)])),
            "one of StaticHyperParameters",
        ),
        (
            request(searched=ranges(real=[continuous("_tuning_objective_metric", 0, 1)])),
            "is reserved",
        ),
        (trained(static={f"p{n}": "1" for n in range(99)}), "at most 100"),
        (
            request(HyperParameterTuningJobObjective=objective("validation:none")),
            "Objective.MetricName: no metric 'validation:none'; legal: train:accuracy",
        ),
        (
            request(HyperParameterTuningJobObjective=objective(direction="Best")),
            "legal: Maximize, Minimize",
        ),
        (request(Strategy="Guess"), "legal: Bayesian, Grid, Hyperband, Random"),
        (request(Strategy="Grid"), "Grid cannot try every value of 'depth'"),
        (
            request(5, Strategy="Grid", searched=GRID),
            "ResourceLimits.MaxNumberOfTrainingJobs: 5; legal: 6, the points",
        ),
        (
            request(
                None,
                Strategy="Grid",
                searched=ranges(categorical=[words(f"w{n}", *"abcdef") for n in range(6)]),
            ),
            "a grid of 46656 points; legal: at most 10000",
        ),
        (request(0), "MaxNumberOfTrainingJobs"),
        (request(10_001), "ResourceLimits.MaxNumberOfTrainingJobs"),
        (request(5, 101), "ResourceLimits.MaxParallelTrainingJobs"),
        (request(None), "nothing ends this tuning job"),
        (request(**HYPERBAND), "StrategyConfig: for Hyperband only"),
        (
            request(Strategy="Hyperband"),
            "MaxResource: missing; legal: a number, or one of StaticHyperParameters: epochs",
        ),
        (
            request(
                Strategy="Hyperband",
                StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 5, "MaxResource": 4}},
            ),
            "MinResource: 5; legal: at most MaxResource, 4",
        ),
        (
            request(
                Strategy="Hyperband",
                StrategyConfig={"HyperbandStrategyConfig": {"MaxResource": 20_001}},
            ),
            "HyperbandStrategyConfig.MaxResource",
        ),
        (
            request(Strategy="Hyperband", TrainingJobEarlyStoppingType="Auto", **HYPERBAND),
            "TrainingJobEarlyStoppingType: Auto",
        ),
        (request(TrainingJobEarlyStoppingType="Some"), "legal: Auto, Off"),
        (
            trained(AlgorithmSpecification={**SPECIFICATION, "TrainingImage": "nothing:1"}),
            "TrainingJobDefinition.AlgorithmSpecification.TrainingImage",
        ),
        (
            trained(OutputDataConfig={"S3OutputPath": "here"}),
            "TrainingJobDefinition.OutputDataConfig.S3OutputPath",
        ),
        (
            request(trained=definition(HyperParameterTuningResourceConfig={})),
            "HyperParameterTuningResourceConfig: given beside ResourceConfig",
        ),
        (
            trained(HyperParameterTuningResourceConfig={}),
            "HyperParameterTuningResourceConfig: no host",
        ),
        (
            request(
                trained=definition(
                    AlgorithmSpecification={
                        **SPECIFICATION,
                        "MetricDefinitions": [{**ALICE, "Regex": "loss=("}],
                    }
                ),
                HyperParameterTuningJobObjective=objective("loss"),
            ),
            "AlgorithmSpecification.MetricDefinitions.0.Regex: 'loss=('",
        ),
        (
            {**request(), "TrainingJobDefinitions": [definition()]},
            "either it or TrainingJobDefinitions",
        ),
        (
            {**several(("a", RANGES)), CONFIG: request()[CONFIG]},
            f"{CONFIG}.HyperParameterTuningJobObjective: given for several",
        ),
        (several(("a", RANGES), ("a", RANGES)), "TrainingJobDefinitions.1.DefinitionName: 'a'"),
        (several(*[(f"a{n}", RANGES) for n in range(11)]), "TrainingJobDefinitions"),
        (
            {
                **several(("a", RANGES)),
                "TrainingJobDefinitions": [
                    definition(DefinitionName="a", HyperParameterRanges=RANGES)
                ],
            },
            "TrainingJobDefinitions.0.TuningObjective: missing",
        ),
    ],
)
def test_bad_input(document, message):
    with pytest.raises(InvalidInput) as caught:
        of(document)
    assert message in caught.value.message, caught.value.message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**request(), "Autotune": {"Mode": "Enabled"}}, "Autotune"),
        (
            request(searched={**RANGES, "AutoParameters": [{"Name": "a", "ValueHint": "1"}]}),
            "AutoParameters",
        ),
        (
            trained(AlgorithmSpecification={"AlgorithmName": "a", "TrainingInputMode": "File"}),
            "TrainingJobDefinition.AlgorithmSpecification",
        ),
    ],
)
def test_what_is_not_offered(document, message):
    with pytest.raises(NotSupported) as caught:
        of(document)
    assert message in caught.value.message


def test_names_are_short():
    with pytest.raises(InvalidInput, match="at most 32"):
        plans.plan(REF.sibling(REF.kind, "x" * 33), request())


def test_both_directions_cannot_be_compared():
    document = several(("a", RANGES), ("b", RANGES))
    document["TrainingJobDefinitions"][1]["TuningObjective"] = objective(direction="Maximize")
    with pytest.raises(InvalidInput, match="one Type for all"):
        of(document)


def test_hyperband_finds_its_epochs():
    static = {"epochs": '"27"', "num_round": "5"}
    found = of(request(Strategy="Hyperband", trained=definition(static)))
    assert (found.stopping, found.resource) == ("Hyperband", (1, 27))


def test_a_grid_counts_itself():
    assert of(request(None, Strategy="Grid", searched=GRID)).most == 6


def test_time_or_a_target_end_it_too():
    document = request(None, TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.1})
    assert of(document).most == 10_000


def test_the_training_request():
    document = trained(
        CheckpointConfig={"S3Uri": "s3://data/checkpoints/"},
        HyperParameterTuningResourceConfig={
            "InstanceConfigs": [
                {"InstanceType": "ml.c5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
            ]
        },
        RetryStrategy={"MaximumRetryAttempts": 2},
        Environment={"A": "1"},
    )
    [algorithm] = of(document).algorithms
    made = plans.training_request(algorithm, "tune-001-0", {"eta": "0.5"})
    assert made["HyperParameters"] == {
        "num_round": "5",
        "eta": "0.5",
        "_tuning_objective_metric": "validation:rmse",
    }
    assert made["CheckpointConfig"] == {"S3Uri": "s3://data/checkpoints/tune-001-0"}
    assert made["ResourceConfig"]["InstanceCount"] == 2
    assert made["Environment"] == {"A": "1"}
    assert algorithm.retries == 2
    assert not made.keys() & {"StaticHyperParameters", "HyperParameterTuningResourceConfig"}
