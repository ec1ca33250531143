"""Tuning jobs from their creation to their end."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import replace

import pytest
from tests.tuning.conftest import (
    RANGES,
    REF,
    XGBOOST,
    definition,
    objective,
    quality,
    ranges,
    request,
    several,
    words,
)

from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from clary.kernel.names import arn
from clary.lineage.service import Lineage
from clary.tuning import model

METRIC = "FinalHyperParameterTuningJobObjectiveMetric"
STATUS = "HyperParameterTuningJobStatus"
IDENTICAL, TRANSFER = "IdenticalDataAndAlgorithm", "TransferLearning"


def warm(kind, *parents, **more):
    names = [{"HyperParameterTuningJobName": one} for one in parents]
    config = {"WarmStartType": kind, "ParentHyperParameterTuningJobs": names}
    return {**request(**more), "WarmStartConfig": config}


def tuned(trials):
    return [one["TunedHyperParameters"] for one in trials]


def test_it_ends_with_the_best_training_job(bench):
    ref = bench.create(request(most=6, parallel=2))
    described = bench.turn()
    assert described[STATUS] == "InProgress"
    assert described["TrainingJobStatusCounters"]["InProgress"] == 2
    assert described["ObjectiveStatusCounters"]["Pending"] == 2
    assert "BestTrainingJob" not in described
    described = bench.finish()
    trials = bench.trials()
    assert described[STATUS] == "Completed"
    assert described["HyperParameterTuningJobArn"] == arn(ref)
    assert described["TrainingJobStatusCounters"]["Completed"] == 6
    assert described["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    assert described["ConsumedResources"]["RuntimeInSeconds"] == 12
    best = min(trials, key=lambda one: one[METRIC]["Value"])
    assert described["BestTrainingJob"] == best
    assert best["ObjectiveStatus"] == "Succeeded"
    assert best["TuningJobName"] == "tune"
    assert best[METRIC]["MetricName"] == "validation:rmse"
    assert all(re.fullmatch(r"tune-00[1-6]-[0-9a-f]{8}", one["TrainingJobName"]) for one in trials)
    assert set(best["TunedHyperParameters"]) == {"eta", "depth"}
    assert "FailureReason" not in described


def test_describe_fills_in_what_clients_read(bench):
    bench.create()
    config = bench.turn()["HyperParameterTuningJobConfig"]
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ParameterRanges"]["CategoricalParameterRanges"] == []
    trained = bench.turn()["TrainingJobDefinition"]
    assert trained["StaticHyperParameters"]["_tuning_objective_metric"] == "validation:rmse"
    names = [one["Name"] for one in trained["AlgorithmSpecification"]["MetricDefinitions"]]
    assert "validation:rmse" in names


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_a_seed_and_one_at_a_time_give_the_same_again(bench, strategy):
    more = {"Strategy": strategy}
    if strategy == "Hyperband":
        more["StrategyConfig"] = {"HyperbandStrategyConfig": {"MaxResource": 9}}
    bench.create(request(most=14, parallel=1, **more))
    bench.finish()
    first = tuned(bench.trials())
    other = bench.create(request(most=14, parallel=1, **more), name="other")
    for _ in range(100):  # each turn in another process, as it were
        bench.other_process()
        if bench.turn(other)[STATUS] in model.ENDED:
            break
        for one in bench.training(other):
            bench.train(one)
    assert tuned(bench.trials(other)) == first
    seeds = {one["eta"] for one in first}
    assert len(seeds) == 14


def test_search_learns(bench):
    bench.create(request(most=40, parallel=1, Strategy="Bayesian"))
    bench.finish()
    values = [one[METRIC]["Value"] for one in bench.trials()]
    assert sum(values[-10:]) < sum(values[:10]) / 2


def test_a_grid_tries_every_combination_once(bench):
    grid = ranges(categorical=[words("a", "x", "y"), words("b", "1", "2", "3")])
    bench.create(request(None, 4, searched=grid, Strategy="Grid"))
    described = bench.finish()
    assert described[STATUS] == "Completed"
    tried = sorted((one["a"], one["b"]) for one in tuned(bench.trials()))
    assert tried == [(a, b) for a in "xy" for b in "123"]
    limits = described["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits["MaxNumberOfTrainingJobs"] == 6


def test_several_algorithms_share_the_trials(bench):
    small = ranges(categorical=[words("depth", "4", "5")])
    bench.create(several(("tree", RANGES), ("stump", small), most=6, parallel=2))
    described = bench.finish()
    trials = bench.trials()
    names = [one["TrainingJobDefinitionName"] for one in trials]
    assert (names.count("tree"), names.count("stump")) == (3, 3)
    assert all(len(one["TunedHyperParameters"]) == 1 for one in trials[1::2])
    assert described["TrainingJobDefinitions"][1]["DefinitionName"] == "stump"


def test_a_grid_of_several_algorithms(bench):
    one = ranges(categorical=[words("depth", "4", "5")])
    other = ranges(categorical=[words("booster", "a", "b", "c")])
    bench.create(several(("one", one), ("other", other), most=None, parallel=3, Strategy="Grid"))
    bench.finish()
    names = [one["TrainingJobDefinitionName"] for one in bench.trials()]
    assert names == ["one"] * 2 + ["other"] * 3


def test_a_failed_training_job_counts_and_stops_nothing(bench):
    bench.score = lambda given: math.nan if float(given["eta"]) > 0.5 else quality(given)
    bench.create(request(most=8, parallel=3))
    described = bench.finish()
    counters = described["TrainingJobStatusCounters"]
    assert described[STATUS] == "Completed"
    assert counters["Completed"] + counters["NonRetryableError"] == 8
    assert counters["NonRetryableError"] > 0
    failed = [one for one in bench.trials() if one["TrainingJobStatus"] == "Failed"]
    assert {one["ObjectiveStatus"] for one in failed} == {"Failed"}
    assert all(one["FailureReason"] == "AlgorithmError: no" for one in failed)


def test_when_all_fail_so_does_the_tuning_job(bench):
    bench.score = lambda given: math.nan
    bench.create(request(most=3))
    described = bench.finish()
    assert described[STATUS] == "Failed"
    reason = "all 3 training jobs failed; the last one: AlgorithmError: no"
    assert described["FailureReason"] == reason


def test_without_a_value_it_fails_and_says_why(bench):
    bench.create(request(most=2))
    bench.turn()
    for one in bench.training():
        bench.end(one)
    assert "no value of the objective metric" in bench.turn()["FailureReason"]


def test_internal_errors_are_tried_again_with_the_same_values(bench):
    retry = {"RetryStrategy": {"MaximumRetryAttempts": 1}}
    bench.create(request(most=2, parallel=1, trained=definition(**retry)))
    bench.turn()
    [first] = bench.training()
    bench.end(first, "Failed", failure="InternalServerError: a process vanished, 3 times")
    bench.turn()
    [again] = bench.training()
    bench.end(again, "Failed", failure="InternalServerError: a process vanished, 3 times")
    described = bench.finish()
    trials = bench.trials()
    assert described["TrainingJobStatusCounters"]["RetryableError"] == 1
    assert described["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert described["TrainingJobStatusCounters"]["Completed"] == 1
    assert trials[0]["TunedHyperParameters"] == trials[1]["TunedHyperParameters"]
    assert trials[1]["TunedHyperParameters"] != trials[2]["TunedHyperParameters"]


def test_stop_stops_the_training_jobs_and_waits_for_them(bench):
    ref = bench.create(request(most=6, parallel=2))
    bench.turn()
    bench.train(bench.training()[0])
    bench.tuning.stop(ref, actor="bob")
    bench.tuning.stop(ref, actor="bob")
    assert bench.turn()[STATUS] == "Stopping"
    [left] = bench.training()
    assert left.status == "Stopping"
    bench.end(left, "Stopped")
    described = bench.turn()
    assert described[STATUS] == "Stopped"
    assert described["TrainingJobStatusCounters"]["Stopped"] == 1
    assert described["BestTrainingJob"]["TrainingJobStatus"] == "Completed"
    with pytest.raises(Conflict, match="cannot be stopped: it is Stopped"):
        bench.tuning.stop(ref, actor="bob")


def test_stop_before_it_began(bench):
    ref = bench.create()
    bench.tuning.stop(ref, actor="bob")
    assert bench.turn()[STATUS] == "Stopped"
    assert bench.trials() == []


def test_a_target_ends_it_and_stops_the_others(bench):
    criteria = {"TargetObjectiveMetricValue": 0.5}
    bench.create(request(most=9, parallel=3, TuningJobCompletionCriteria=criteria))
    bench.turn()
    one, *others = bench.training()
    bench.end(one, value=0.4)
    bench.turn()
    assert {other.status for other in bench.training()} == {"Stopping"}
    for other in bench.training():
        bench.end(other, "Stopped", value=0.9)
    described = bench.turn()
    assert described[STATUS] == "Completed"
    assert len(bench.trials()) == 1 + len(others)
    assert described["ObjectiveStatusCounters"]["Succeeded"] == 3


def test_delete_forgets_the_tuning_job_but_not_its_training_jobs(bench):
    ref = bench.create()
    with pytest.raises(Conflict, match="cannot be deleted"):
        bench.tuning.delete(ref, actor="bob")
    bench.finish()
    kept = len(bench.training(statuses=()))
    bench.tuning.delete(ref, actor="bob")
    assert len(bench.training(statuses=())) == kept == 6
    with pytest.raises(NotFound):
        bench.tuning.describe(ref)
    bench.create()
    assert bench.finish()[STATUS] == "Completed"
    with pytest.raises(AlreadyExists):
        bench.create()


def test_a_deleted_training_job_counts_as_failed(bench):
    bench.create(request(most=1))
    bench.turn()
    [one] = bench.training()
    bench.end(one, value=0.1)
    bench.jobs.delete(one.ref, actor="bob")
    assert bench.turn()["FailureReason"].endswith("the training job was deleted")


def test_what_cannot_be_started_ends_it(bench):
    bench.create(request(most=4, parallel=1))
    bench.turn()
    resource = bench.store.get(REF)
    body = {**resource.body, "request": {**resource.body["request"], "TrainingJobDefinition": {}}}
    with bench.store.begin() as change:  # as an upgrade may leave it
        change.update(replace(resource, body=body))
    bench.other_process()
    bench.tuning.run(bench.store.get(REF), threading.Event())
    ended = bench.store.get(REF)
    assert ended.status == "Failed"
    assert "AlgorithmSpecification" in ended.body["failure"]
    assert {one.status for one in bench.training()} == {"Stopping"}


def test_lineage_shows_the_tuning_job_and_its_parents(bench):
    bench.create()
    bench.finish()
    child = bench.create(warm(IDENTICAL, "tune", most=2), name="child")
    bench.finish(child)
    best = bench.tuning.describe(child)["BestTrainingJob"]["TrainingJobName"]
    tree = Lineage(bench.store).tree(child.sibling("training-job", best))
    [tuning] = [one for one in tree.children if one.role == "tuning"]
    assert tuning.ref == child
    assert [(one.ref, one.role) for one in tuning.children] == [(REF, "warm-start")]


def test_a_warm_start_with_identical_data_learns_and_compares(bench):
    bench.create(request(most=12, parallel=3))
    parent = bench.finish()
    child = bench.create(warm(IDENTICAL, "tune", most=1), name="child")
    bench.score = lambda given: 50.0
    described = bench.finish(child)
    assert described["BestTrainingJob"][METRIC]["Value"] == 50.0
    assert described["OverallBestTrainingJob"] == parent["BestTrainingJob"]
    bench.tuning.delete(REF, actor="bob")
    overall = bench.tuning.describe(child)["OverallBestTrainingJob"]
    assert overall == parent["BestTrainingJob"]
    grandchild = bench.create(warm(IDENTICAL, "child", most=1), name="grandchild")
    assert bench.finish(grandchild)["OverallBestTrainingJob"] == overall


def test_a_warm_start_by_transfer_begins_with_what_was_best(bench):
    bench.create(request(most=6, parallel=3))
    parent = bench.finish()
    ranked = sorted(bench.trials(), key=lambda one: one[METRIC]["Value"])
    child = bench.create(warm(TRANSFER, "tune", most=6), name="child")
    described = bench.finish(child)
    assert tuned(bench.trials(child))[:2] == tuned(ranked)[:2]
    assert "OverallBestTrainingJob" not in described
    assert parent["BestTrainingJob"]["TunedHyperParameters"] == tuned(ranked)[0]


OTHER_DATA = definition(
    InputDataConfig=[
        {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/other"}},
        }
    ]
)


@pytest.mark.parametrize(
    ("kind", "more", "problem"),
    [
        (IDENTICAL, {"trained": OTHER_DATA}, "it read other data"),
        (
            IDENTICAL,
            {
                "trained": definition(
                    AlgorithmSpecification={
                        "TrainingImage": XGBOOST.replace("1.2-1", "1.5-1"),
                        "TrainingInputMode": "File",
                    }
                )
            },
            "the same training image",
        ),
        (TRANSFER, {"HyperParameterTuningJobObjective": objective("train:rmse")}, "its objective"),
        (TRANSFER, {"HyperParameterTuningJobObjective": objective(direction="Maximize")}, "other"),
        (TRANSFER, {"trained": definition({"more": "1"})}, "only one of the two has: more, num"),
    ],
)
def test_parents_that_cannot_be_compared(bench, kind, more, problem):
    bench.create()
    bench.finish()
    with pytest.raises(InvalidInput) as caught:
        bench.create(warm(kind, "tune", **more), name="child")
    assert problem in caught.value.message
    assert "WarmStartConfig.ParentHyperParameterTuningJobs.0" in caught.value.message


def test_other_data_may_be_transferred_to(bench):
    bench.create()
    bench.finish()
    assert bench.create(warm(TRANSFER, "tune", trained=OTHER_DATA), name="child")


def test_parents_must_be_there_and_have_ended(bench):
    with pytest.raises(InvalidInput, match="does not exist"):
        bench.create(warm(TRANSFER, "none"))
    bench.create()
    with pytest.raises(InvalidInput, match="is InProgress; legal: a tuning job that has ended"):
        bench.create(warm(TRANSFER, "tune"), name="child")
    with pytest.raises(InvalidInput, match="ParentHyperParameterTuningJobs"):
        bench.create(warm(TRANSFER, *"abcdef"), name="child")
