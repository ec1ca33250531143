"""Tuning jobs from their creation to their end."""

from __future__ import annotations

import re

from tests.tuning.conftest import request

from clary.kernel.names import arn


def test_it_ends_with_the_best_training_job(bench):
    ref = bench.create(request(most=6, parallel=2))
    described = bench.turn()
    assert described["HyperParameterTuningJobStatus"] == "InProgress"
    assert described["TrainingJobStatusCounters"]["InProgress"] == 2
    assert described["ObjectiveStatusCounters"]["Pending"] == 2
    assert "BestTrainingJob" not in described
    described = bench.finish()
    trials = bench.trials()
    assert described["HyperParameterTuningJobStatus"] == "Completed"
    assert described["HyperParameterTuningJobArn"] == arn(ref)
    assert described["TrainingJobStatusCounters"]["Completed"] == 6
    assert described["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    assert described["ConsumedResources"]["RuntimeInSeconds"] == 12
    metric = "FinalHyperParameterTuningJobObjectiveMetric"
    best = min(trials, key=lambda one: one[metric]["Value"])
    assert described["BestTrainingJob"] == best
    assert best["ObjectiveStatus"] == "Succeeded"
    assert best["TuningJobName"] == "tune"
    assert best[metric]["MetricName"] == "validation:rmse"
    assert all(re.fullmatch(r"tune-00[1-6]-[0-9a-f]{8}", one["TrainingJobName"]) for one in trials)
    assert set(best["TunedHyperParameters"]) == {"eta", "depth"}
