"""Counting trials, ending, and dividing trials among algorithms."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tuning.conftest import RANGES, REF, request, several

from clary.kernel.clock import now
from clary.tuning import plans, progress
from clary.tuning.model import Trial, TuningJob

EMPTY = TuningJob({}, "ada", "u", 1)


def trial(number, value=None, status="Completed", algorithm=0, **more):
    more |= {"status": status, "value": value}
    return Trial(number, "tune", f"t{number}", algorithm, {}, now(), **more)


def target(value):
    return {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": value}}


def plan(document=None, **config):
    return plans.plan(REF, document or request(**config))


def told(values, *, maximize=False, job=EMPTY):
    for number, value in enumerate(values):
        status = "Failed" if value is None else "Completed"
        one = trial(number, value, status)
        job = msgspec.structs.replace(job, launched=job.launched + 1)
        job = progress.ended(job, one, retried=False, maximize=maximize)
    return job


@given(st.lists(st.none() | st.floats(-1e6, 1e6)), st.booleans())
def test_the_best_of_all(values, maximize):
    job = told(values, maximize=maximize)
    known = [(value, number) for number, value in enumerate(values) if value is not None]
    assert (job.evaluated, job.failed) == (len(known), len(values) - len(known))
    assert (job.completed, job.running, job.ended) == (len(known), 0, len(values))
    if known:
        best = max(value for value, _ in known) if maximize else min(value for value, _ in known)
        assert job.best_value == best
        assert job.best == min(number for value, number in known if value == best)


@pytest.mark.parametrize(
    ("values", "stale"),
    [
        ([10.0, 9.0, 8.0], 0),
        ([10.0, 9.95, 9.92], 2),
        ([10.0, 9.95, 9.89], 0),
        ([10.0, None, 11.0], 1),
        ([0.0, 0.0, 0.0], 2),
        ([0.0, -0.1], 0),
    ],
)
def test_improvements_under_one_percent_do_not_count(values, stale):
    assert told(values).stale == stale


@pytest.mark.parametrize(
    ("config", "values", "reason"),
    [
        ({"most": 3}, [1.0, 2.0], ""),
        ({"most": 2}, [1.0, 2.0], "limit"),
        (
            target(0.5),
            [1.0, 0.5],
            "target",
        ),
        (target(0.4), [1.0, 0.5], ""),
        (
            {
                "TuningJobCompletionCriteria": {
                    "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}
                }
            },
            [1.0, 1.0, 2.0, 0.999],
            "not improving",
        ),
        (
            {
                "most": 99,
                "TuningJobCompletionCriteria": {
                    "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}
                },
            },
            [1.0] * 21,
            "converged",
        ),
    ],
)
def test_when_there_is_enough(config, values, reason):
    assert progress.closing(plan(**config), told(values), 10.0) == reason


def test_the_time_is_up():
    document = request()
    limits = document["HyperParameterTuningJobConfig"]["ResourceLimits"]
    limits["MaxRuntimeInSeconds"] = 120
    assert progress.closing(plan(document), EMPTY, 119.0) == ""
    assert progress.closing(plan(document), EMPTY, 120.0) == "runtime"


def test_a_reason_is_final_but_a_limit_may_be_lifted():
    closed = progress.closed(EMPTY, "converged", now())
    assert closed.converged_at is not None
    assert progress.closing(plan(), closed, 1.0) == "converged"
    limited = msgspec.structs.replace(EMPTY, launched=6)
    assert progress.closing(plan(most=6), limited, 1.0) == "limit"
    lifted = msgspec.structs.replace(limited, retryable=1)
    assert progress.closing(plan(most=6), lifted, 1.0) == ""


@pytest.mark.parametrize(
    ("job", "stop", "status"),
    [
        (told([1.0, None]), False, "Completed"),
        (told([1.0]), True, "Stopped"),
        (told([None, None]), False, "Failed"),
        (msgspec.structs.replace(told([1.0]), closing="error", failure="no"), False, "Failed"),
    ],
)
def test_how_it_ends(job, stop, status):
    assert progress.outcome(job, stop_asked=stop)[0] == status


def test_a_tuning_job_without_values_says_so():
    job = progress.ended(EMPTY, trial(0), retried=False, maximize=False)
    assert "regular expression" in progress.outcome(job, stop_asked=False)[1]


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.floats(0, 1)), max_size=60))
def test_random_search_shares_evenly(had):
    algorithms = several(("a", RANGES), ("b", RANGES), ("c", RANGES))
    trials: list[Trial] = []
    for number, (_, value) in enumerate(had):
        algorithm = progress.share(plan(algorithms), trials)
        trials.append(trial(number, value, algorithm=algorithm))
    counts = [sum(one.algorithm == index for one in trials) for index in range(3)]
    assert max(counts) - min(counts) <= 1


def test_the_better_algorithm_gets_more_and_the_other_not_nothing():
    document = several(("a", RANGES), ("b", RANGES), Strategy="Bayesian")
    trials: list[Trial] = []
    for number in range(60):
        algorithm = progress.share(plan(document), trials)
        trials.append(trial(number, float(algorithm), algorithm=algorithm))
    first = sum(one.algorithm == 0 for one in trials)
    assert [one.algorithm for one in trials[:10]] == [0, 1] * 5
    assert 40 <= first <= 58
