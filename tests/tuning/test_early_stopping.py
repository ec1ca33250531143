"""Training jobs that are stopped because of what they have logged so far."""

from __future__ import annotations

import threading

from tests.tuning.conftest import REF, definition, objective, request

LOSS = {"Name": "validation:rmse", "Regex": r"loss=(\S+)"}
LOGGING = definition(
    AlgorithmSpecification={**definition()["AlgorithmSpecification"], "MetricDefinitions": [LOSS]}
)
HYPERBAND = {
    "Strategy": "Hyperband",
    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}},
}


def losses(*values):
    return [f"[{epoch}]\tloss={value}" for epoch, value in enumerate(values)]


def stopping(bench):
    return [one.ref.name for one in bench.training(statuses=("Stopping",))]


def test_the_median_of_those_before(bench):
    bench.create(request(5, 1, trained=LOGGING, TrainingJobEarlyStoppingType="Auto"))
    for start in (1.0, 2.0, 3.0):
        bench.turn()
        [one] = bench.training()
        bench.log(one, *losses(start, start / 2, start / 4))
        bench.end(one, value=start / 4)
    bench.turn()
    [slow] = bench.training()
    bench.log(slow, "no metric here", *losses(1.5))
    due_at = bench.tuning.run(bench.store.get(REF), threading.Event())
    assert stopping(bench) == []
    assert (due_at - slow.created_at).total_seconds() < 10  # it is being watched
    bench.log(slow, *losses(1.6))
    bench.turn()
    assert stopping(bench) == [slow.ref.name]
    [slow] = bench.training()
    bench.end(slow, "Stopped", value=1.6)
    described = bench.turn()
    assert described["TrainingJobStatusCounters"]["Stopped"] == 1
    assert described["ObjectiveStatusCounters"]["Succeeded"] == 4


def test_off_reads_no_log(bench):
    bench.create(request(2, 1, trained=LOGGING))
    bench.turn()
    [one] = bench.training()
    bench.log(one, *losses(*[9e9] * 30))
    bench.turn()
    assert stopping(bench) == []


def test_hyperband_compares_at_rungs_and_stops_beyond_the_last(bench):
    bench.create(request(9, 3, trained=LOGGING, **HYPERBAND))
    bench.turn()
    first, second, third = bench.training()
    bench.log(first, *losses(1.0))
    bench.turn()
    bench.log(second, *losses(3.0))
    bench.log(third, *losses(0.5))
    bench.turn()
    assert stopping(bench) == [second.ref.name]
    bench.log(third, *losses(*[0.4] * 8))
    bench.turn()
    assert stopping(bench) == [second.ref.name]  # it may be writing its model
    bench.log(third, *losses(0.4))
    bench.turn()
    assert stopping(bench) == [second.ref.name, third.ref.name]


def test_who_takes_over_reads_the_logs_again(bench):
    bench.create(request(9, 3, trained=LOGGING, **HYPERBAND))
    bench.turn()
    first, second, _ = bench.training()
    bench.log(first, *losses(1.0))
    bench.log(second, *losses(3.0))
    bench.other_process()
    bench.turn()
    assert stopping(bench) == [second.ref.name]


def test_a_metric_of_one_s_own(bench):
    bench.create(request(1, 1, trained=LOGGING, HyperParameterTuningJobObjective=objective()))
    described = bench.turn()
    metrics = described["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    assert metrics == [LOSS]
