"""Steps that failed are tried again as their policies say; executions go on when that is asked."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.conftest import EchoStep, definition, echo, get, slow

from clary.kernel.errors import Conflict, InvalidInput, LimitExceeded
from clary.kernel.steps import StepResult
from clary.kernel.work import Worker
from clary.pipelines.model import parse
from clary.pipelines.retries import RetryPolicy, next_try

INTERNAL = "SageMaker.JOB_INTERNAL_ERROR"
START = datetime(2026, 1, 1, tzinfo=UTC)


def policy(*words, **members):
    return {"ExceptionType": list(words), "IntervalSeconds": 0, **members}


def retried(name, *policies, depends_on=(), **arguments):
    return slow(name, depends_on, **arguments) | {"RetryPolicies": list(policies)}


def lose(bench, execution, attempt, error=INTERNAL, step="A"):
    bench.end(execution, step, "Failed", attempt=attempt, reason="lost", error=error)
    return bench.turn(execution)["PipelineExecutionStatus"]


def attempts(bench, execution):
    return {step["StepName"]: step["AttemptCount"] for step in bench.pipelines.steps(execution)}


def test_a_matching_failure_is_tried_again_under_another_name(bench):
    bench.create(retried("A", policy(INTERNAL, MaxAttempts=2)), echo("B", x=get("Steps.A.Name")))
    execution = bench.start()
    bench.turn(execution)
    names = {bench.step(execution, "A").body["job"]["name"]}
    for attempt in range(2):
        assert lose(bench, execution, attempt) == "Executing"
        assert bench.statuses(execution) == {"A": "Executing"}
        names.add(bench.step(execution, "A").body["job"]["name"])
    assert len(names) == 3
    assert attempts(bench, execution) == {"A": 3}
    bench.end(execution, "A", attempt=2)
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    assert attempts(bench, execution) == {"A": 3, "B": 1}


def test_retries_end(bench):
    bench.create(retried("A", policy(INTERNAL, MaxAttempts=1)))
    execution = bench.start()
    bench.turn(execution)
    assert lose(bench, execution, 0) == "Executing"
    assert lose(bench, execution, 1) == "Failed"
    told = [event.action for event in bench.store.events() if "step" in event.action]
    words = ("started", "retried-later", "started", "failed")
    assert told == [f"pipeline-step.{word}" for word in words]


@pytest.mark.parametrize("error", ["", "SageMaker.CAPACITY_ERROR"])
def test_other_failures_are_not_tried_again(bench, error):
    bench.create(retried("A", policy(INTERNAL)))
    execution = bench.start()
    bench.turn(execution)
    assert lose(bench, execution, 0, error) == "Failed"


def test_any_failure_may_be_tried_again(bench):
    bench.create(retried("A", policy("Clary.ANY")))
    execution = bench.start()
    bench.turn(execution)
    assert lose(bench, execution, 0, "") == "Executing"


def test_a_retry_waits_for_its_time_without_a_thread(bench):
    bench.create(retried("A", policy(INTERNAL) | {"IntervalSeconds": 40_000}), slow("B"))
    execution = bench.start()
    bench.turn(execution)
    assert lose(bench, execution, 0) == "Executing"
    assert bench.statuses(execution) == {"A": "Starting", "B": "Executing"}
    due = datetime.fromisoformat(bench.step(execution, "A").body["due_at"])
    assert timedelta(hours=11) < due - datetime.now(UTC) < timedelta(hours=12)
    bench.end(execution, "B", "Failed", reason="no rows")
    ended = bench.turn(execution)
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["FailureReason"] == "Step A failed: lost; Step B failed: no rows"


def test_a_stop_ends_a_step_that_waits(bench):
    bench.create(retried("A", policy(INTERNAL) | {"IntervalSeconds": 40_000}))
    execution = bench.start()
    bench.turn(execution)
    lose(bench, execution, 0)
    bench.pipelines.stop(execution, actor="bob")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Stopped"
    assert bench.statuses(execution) == {"A": "Stopped"}


class Full(EchoStep):
    """Has no room for the first two."""

    def __init__(self):
        self.tried = 0

    def start(self, run, transaction):
        self.tried += 1
        if self.tried <= 2:
            raise LimitExceeded("no room")
        return StepResult("Succeeded")


def test_a_start_that_is_refused_for_want_of_room_is_tried_again(bench):
    bench.kinds["Processing"] = full = Full()
    steps = [echo("A") | {"RetryPolicies": [policy("SageMaker.RESOURCE_LIMIT")]}, slow("B")]
    bench.create(*steps)
    execution = bench.start()
    bench.turn(execution)
    assert bench.statuses(execution) == {"A": "Succeeded", "B": "Executing"}
    assert attempts(bench, execution) == {"A": 3, "B": 1}
    assert full.tried == 3


def test_a_worker_starts_a_waiting_step_when_it_is_due(bench):
    bench.create(retried("A", policy(INTERNAL) | {"IntervalSeconds": 1}))
    execution = bench.start()
    bench.turn(execution)
    bench.end(execution, "A", "Failed", error=INTERNAL)
    again = threading.Event()

    def run(resource, stopping):
        due = bench.pipelines.run(resource, stopping)
        if bench.statuses(execution) == {"A": "Executing"}:
            again.set()
        return due

    worker = Worker(bench.store, {"pipeline-execution": run}, {}, poll_s=0.02)
    worker.start()
    try:
        assert again.wait(20)
    finally:
        worker.stop()
    assert attempts(bench, execution) == {"A": 2}


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        ([{}], "Object missing required field `ExceptionType`"),
        ([policy("Step.NONE")], "legal: Clary.ANY, SageMaker.CAPACITY_ERROR"),
        ([policy()], "length >= 1"),
        ([policy(INTERNAL, MaxAttempts=1, ExpireAfterMin=1)], "only one of MaxAttempts and"),
        ([policy(INTERNAL, MaxAttempts=21)], "MaxAttempts: Expected `int` <= 20"),
        ([policy(INTERNAL, ExpireAfterMin=14_401)], "ExpireAfterMin: Expected `int` <= 14400"),
        ([policy(INTERNAL, BackoffRate=-1)], "BackoffRate: Expected `float` >= 0"),
        ([policy(INTERNAL, IntervalSeconds=-1)], "IntervalSeconds: Expected `int` >= 0"),
        (None, "Expected `array`, got `null`"),
    ],
)
def test_a_bad_policy_is_refused_by_its_place(policies, problem):
    with pytest.raises(InvalidInput) as caught:
        parse(definition(echo("A") | {"RetryPolicies": policies}))
    assert caught.value.message.startswith("Steps[0].RetryPolicies")
    assert problem in caught.value.message


@given(
    st.integers(0, 43_200),
    st.floats(0, 100),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 14_400),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_next_try_is_within_both_limits(interval, rate, attempts, minutes, tried, age_s):
    if attempts is not None:
        minutes = None
    rule = RetryPolicy(["Step.THROTTLING"], interval, rate, attempts, minutes)
    at = START + timedelta(seconds=age_s)
    found = next_try(
        [RetryPolicy(["SageMaker.CAPACITY_ERROR"]), rule],
        "Step.THROTTLING",
        tried={"1": tried, "0": 99},
        started_at=START,
        at=at,
    )
    if found is None:
        end = START + timedelta(minutes=minutes or 0)
        assert tried >= (5 if attempts is None else attempts) or minutes is not None
        assert minutes is None or at + timedelta(seconds=43_200) >= end or age_s >= minutes * 60
        return
    place, due_at = found
    assert place == "1"
    assert at <= due_at <= at + timedelta(hours=12)
    if minutes is None:
        assert tried < (5 if attempts is None else attempts)
    else:
        assert due_at < START + timedelta(minutes=minutes)


def test_a_failed_execution_goes_on_where_it_failed(bench):
    bench.create(slow("A"), slow("B", ["A"]), slow("C"), echo("D", ["B", "C"]))
    execution = bench.start()
    bench.turn(execution)
    with pytest.raises(Conflict, match="is Executing and cannot be retried"):
        bench.pipelines.retry(execution, {}, actor="bob")
    bench.end(execution, "A")
    bench.turn(execution)
    bench.end(execution, "C", "Failed", reason="no rows")
    bench.end(execution, "B")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Failed"
    asked = {"ClientRequestToken": "t" * 32, "ParallelismConfiguration": PARALLEL}
    for _ in range(2):
        bench.pipelines.retry(execution, asked, actor="bob")
    document = bench.turn(execution)
    assert document["PipelineExecutionStatus"] == "Executing"
    assert document["ParallelismConfiguration"] == PARALLEL
    assert "FailureReason" not in document
    assert bench.statuses(execution) == {"A": "Succeeded", "B": "Succeeded", "C": "Executing"}
    assert attempts(bench, execution) == {"A": 1, "B": 1, "C": 2}
    bench.end(execution, "C", attempt=1)
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    with pytest.raises(Conflict, match="is Succeeded and cannot be retried"):
        bench.pipelines.retry(execution, {}, actor="bob")
    actions = [event.action for event in bench.store.events()]
    assert actions.count("pipeline-execution.retried") == 1


PARALLEL = {"MaxParallelExecutionSteps": 1}


def test_a_stopped_execution_goes_on_and_may_be_retried_again(bench):
    bench.create(slow("A"), echo("B", ["A"]))
    execution = bench.start()
    bench.turn(execution)
    for attempt in range(2):
        bench.pipelines.stop(execution, actor="bob")
        bench.turn(execution)
        bench.end(execution, "A", "Stopped", attempt=attempt)
        assert bench.turn(execution)["PipelineExecutionStatus"] == "Stopped"
        bench.pipelines.retry(execution, {}, actor="bob")
        bench.turn(execution)
    bench.end(execution, "A", attempt=2)
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    assert attempts(bench, execution) == {"A": 3, "B": 1}
