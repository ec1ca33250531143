"""The Tuning step of pipelines."""

from __future__ import annotations

import re
import threading

import pytest
from tests.tuning.conftest import (
    ACCOUNT,
    RANGES,
    REGION,
    continuous,
    definition,
    ranges,
    request,
    several,
)

from clary.adapters.property_shapes import check_property
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, InvalidInput
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Resource
from clary.kernel.steps import StepRun
from clary.tuning import model
from clary.tuning.steps import TuningStep

EXECUTION = Ref(ACCOUNT, REGION, "pipeline-execution", "abalone/abcdefghijkl")
SPECIFIED = definition()["AlgorithmSpecification"]
UPSIDE_DOWN = ranges(real=[continuous("eta", 1, 0)])
COMPUTED = {"WarmStartConfig": {"Get": "Parameters.Warm"}}
STEP = {"Name": "Tune_the_model", "Type": "Tuning"}


def run(arguments, **more):
    return StepRun(EXECUTION, STEP, arguments, "tester", **more)


def start(bench, arguments, **more):
    with bench.store.begin() as change:
        change.insert(Resource(EXECUTION, {}, now(), now()))
        return TuningStep(bench.tuning).start(run(arguments, **more), change)


def arguments(**more):
    document = request(4, 2, **more)
    del document["HyperParameterTuningJobName"]
    return document


def test_it_runs_a_tuning_job(bench):
    numbers = ranges(real=[{**continuous("eta", 0, 1), "MinValue": 0.25, "MaxValue": 1}])
    given = arguments(searched=numbers, trained=definition({"num_round": 5}))
    begun = start(bench, {**given, "Tags": [{"Key": "team", "Value": "sea"}]})
    assert begun.status == "Executing"
    assert re.fullmatch(r"abcdefghijkl-Tune-the-[0-9a-f]{10}", begun.job.name)
    assert len(begun.job.name) <= 32
    kind = TuningStep(bench.tuning)
    assert kind.poll(begun.job).status == "Executing"
    bench.turn(begun.job)
    [one, *_] = bench.training(begun.job)
    assert bench.store.tags(one.ref) == {"team": "sea"}
    assert one.body["request"]["ExperimentConfig"] == {
        "ExperimentName": "abalone",
        "TrialName": "abcdefghijkl",
    }
    bench.finish(begun.job)
    ended = kind.poll(begun.job)
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/{begun.job.name}"
    assert (ended.status, ended.metadata) == ("Succeeded", {"TuningJob": {"Arn": arn}})
    summaries = ended.properties["TrainingJobSummaries"]
    assert summaries[0] == ended.properties["BestTrainingJob"]
    member = "FinalHyperParameterTuningJobObjectiveMetric"
    values = [one[member]["Value"] for one in summaries]
    assert values == sorted(values)
    assert len(values) == 4
    assert isinstance(ended.properties["CreationTime"], str)


def test_a_failure_has_its_reason(bench):
    begun = start(bench, arguments())
    bench.score = lambda given: float("nan")
    bench.finish(begun.job)
    ended = TuningStep(bench.tuning).poll(begun.job)
    assert (ended.status, ended.error) == ("Failed", "")
    assert "all 4 training jobs failed" in ended.reason


def test_stopping_it(bench):
    begun = start(bench, arguments())
    kind = TuningStep(bench.tuning)
    kind.stop(begun.job)
    kind.stop(begun.job)
    bench.turn(begun.job)
    assert kind.poll(begun.job).status == "Stopped"
    kind.stop(begun.job)
    kind.stop(begun.job.sibling(model.TUNING, "gone"))
    assert kind.poll(begun.job.sibling(model.TUNING, "gone")).status == "Failed"


def test_its_end_wakes_the_execution(bench):
    begun = start(bench, arguments())
    bench.finish(begun.job)
    claim = bench.store.claim(["pipeline-execution"], "me", 9.0)
    assert claim is not None
    assert claim.resource.ref == EXECUTION


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            arguments(
                trained=definition(AlgorithmSpecification={**SPECIFIED, "TrainingImage": "no"})
            ),
            "Arguments.TrainingJobDefinition.AlgorithmSpecification.TrainingImage",
        ),
        (
            arguments(searched=UPSIDE_DOWN),
            "Arguments.HyperParameterTuningJobConfig.ParameterRanges",
        ),
        ({}, "Arguments"),
        (
            {**COMPUTED, "TrainingJobDefinitions": "x"},
            "Arguments.TrainingJobDefinitions: is no list",
        ),
        (
            {
                **COMPUTED,
                "TrainingJobDefinitions": [{"AlgorithmSpecification": {"TrainingImage": "no"}}],
            },
            "Arguments.TrainingJobDefinitions.0.AlgorithmSpecification.TrainingImage",
        ),
        (
            {**COMPUTED, "TrainingJobDefinitions": [{"HyperParameterRanges": UPSIDE_DOWN}]},
            "TrainingJobDefinitions.0.HyperParameterRanges.ContinuousParameterRanges.0.MinValue",
        ),
        (
            {**COMPUTED, "HyperParameterTuningJobConfig": {"ParameterRanges": UPSIDE_DOWN}},
            "Arguments.HyperParameterTuningJobConfig.ParameterRanges.ContinuousParameterRanges.0",
        ),
        ({**COMPUTED, "TrainingJobDefinition": "x"}, "TrainingJobDefinition: is no object"),
        (
            {**COMPUTED, "TrainingJobDefinition": {"AlgorithmSpecification": []}},
            "Arguments.TrainingJobDefinition.AlgorithmSpecification: is no object",
        ),
    ],
)
def test_what_can_never_run(bench, given, message):
    with pytest.raises(ClaryError) as caught:
        TuningStep(bench.tuning).check({**STEP, "Arguments": given})
    assert message in caught.value.message


def test_a_bad_range_fails_the_start(bench):
    with pytest.raises(InvalidInput, match="is above MaxValue"):
        start(bench, arguments(searched=UPSIDE_DOWN))


def test_expressions_may_be_anywhere(bench):
    get = {"Get": "Parameters.X"}
    image = {"AlgorithmSpecification": {"TrainingImage": get}}
    kind = TuningStep(bench.tuning)
    kind.check({**STEP, "Arguments": {"TrainingJobDefinition": image}})
    searched = ranges(real=[{**continuous("eta", 0, 1), "MaxValue": get}])
    kind.check({**STEP, "Arguments": arguments(searched=searched)})
    kind.check({**STEP, "Arguments": arguments()})


def channel():
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def test_the_key_names_contents(bench):
    bench.objects.create_bucket(Bucket("data", ACCOUNT, REGION, now()))
    kind = TuningStep(bench.tuning)
    given = arguments(trained=definition(InputDataConfig=[channel()]))
    assert kind.key(run(given)) is None  # there are no data
    bench.objects.put("data", "train/rows.csv", [b"1,2\n"])
    key = kind.key(run(given))
    assert key == kind.key(run(given, attempt=1))
    other = arguments(
        searched=ranges(real=[continuous("eta", 0, 0.5)]),
        trained=definition(InputDataConfig=[channel()]),
    )
    assert kind.key(run(other)) != key
    bench.objects.put("data", "train/rows.csv", [b"1,3\n"])
    assert kind.key(run(given)) != key
    assert kind.key(run({})) is None
    document = several(("a", RANGES), ("b", RANGES))
    assert len(kind.key(run(document))["training"]) == 2


def test_the_properties_that_there_are():
    check_property("Tuning", ["BestTrainingJob", "TrainingJobName"])
    check_property("Tuning", ["TrainingJobSummaries", 0, "TrainingJobName"])
    with pytest.raises(InvalidInput, match="no 'Best'"):
        check_property("Tuning", ["Best"])


def test_a_turn_that_is_stopped_does_nothing(bench):
    begun = start(bench, arguments())
    stopping = threading.Event()
    stopping.set()
    bench.tuning.run(bench.store.get(begun.job), stopping)
    assert bench.trials(begun.job) == []
