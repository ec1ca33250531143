import json
import random
import threading

import pytest
from tests.pipelines.conftest import at_most, condition, echo, fail, get, slow

from clary.kernel.errors import Conflict
from clary.kernel.names import arn
from clary.kernel.steps import job_name
from clary.kernel.work import Worker


def json_get(step, path):
    return {
        "Std:JsonGet": {"PropertyFile": get(f"Steps.{step}.PropertyFiles.report"), "Path": path}
    }


def join(*values):
    return {"Std:Join": {"On": " ", "Values": list(values)}}


DECISION = (
    echo("Eval", metrics={"mse": get("Parameters.Mse")}),
    condition(
        "Decide",
        [at_most(json_get("Eval", "metrics.mse"), 6.0)],
        [echo("Register", made=get("Steps.Eval.metrics.mse"))],
        [fail("Reject", join("mse is", get("Steps.Eval.metrics.mse")))],
    ),
    echo("After", ["Register"]),
)
MSE = [{"Name": "Mse", "Type": "Float"}]


def test_the_branch_that_holds_is_taken(bench):
    execution, ended = bench.run(*DECISION, parameters=MSE, Mse="5")
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in ended
    assert bench.statuses(execution) == dict.fromkeys(
        ["After", "Register", "Decide", "Eval"], "Succeeded"
    )
    newest_first = [step["StepName"] for step in bench.pipelines.steps(execution)]
    assert newest_first == ["After", "Register", "Decide", "Eval"]
    decided = bench.pipelines.steps(execution)[2]
    assert decided["Metadata"] == {"Condition": {"Outcome": "True"}}


def test_the_other_branch_may_fail_the_execution_with_its_message(bench):
    execution, ended = bench.run(*DECISION, parameters=MSE, Mse="7")
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["FailureReason"] == "Step Reject failed: mse is 7.0"
    assert bench.statuses(execution) == {
        "Reject": "Failed",
        "Decide": "Succeeded",
        "Eval": "Succeeded",
    }
    rejected = bench.pipelines.steps(execution)[0]
    assert rejected["Metadata"] == {"Fail": {"ErrorMessage": "mse is 7.0"}}
    assert rejected["FailureReason"] == "mse is 7.0"


def test_nested_conditions_and_steps_that_wait_for_a_condition(bench):
    inner = condition("Inner", [at_most(2, 1)], [echo("A")], [echo("B")])
    outer = condition("Outer", [at_most(1, 2)], [inner], [echo("C")])
    execution, ended = bench.run(outer, echo("D", ["Outer"]), echo("E", ["C"]), echo("F", ["E"]))
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    assert set(bench.statuses(execution)) == {"Outer", "Inner", "B", "D"}


def test_execution_variables(bench):
    names = (
        "StartDateTime",
        "CurrentDateTime",
        "PipelineName",
        "PipelineArn",
        "PipelineExecutionId",
        "PipelineExecutionArn",
    )
    steps = [
        echo(
            "A",
            **{name: get(f"Execution.{name}") for name in names},
            x=get("Execution.ProcessingJobName"),
        ),
        slow("B", x=get("Execution.TrainingJobName")),
    ]
    execution, _ = bench.run(*steps)
    values = bench.step(execution, "A").body["arguments"]
    pipeline, _, made = execution.name.partition("/")
    assert values["PipelineName"] == pipeline
    assert values["PipelineExecutionId"] == made
    assert values["PipelineExecutionArn"] == arn(execution)
    assert values["PipelineArn"] == arn(execution.sibling("pipeline", pipeline))
    assert values["StartDateTime"] <= values["CurrentDateTime"]
    assert values["StartDateTime"].endswith("Z")
    assert values["x"] == job_name(execution, "A")
    job = bench.step(execution, "B").body
    assert job["arguments"]["x"] == job["job"]["name"]


def test_steps_run_side_by_side_within_the_limit(bench):
    steps = [slow(name) for name in "ABCD"]
    bench.create(*steps, ParallelismConfiguration={"MaxParallelExecutionSteps": 2})
    execution = bench.start()
    bench.turn(execution)
    assert bench.statuses(execution) == {"A": "Executing", "B": "Executing"}
    bench.end(execution, "B")
    bench.turn(execution)
    assert bench.statuses(execution) == {"A": "Executing", "B": "Succeeded", "C": "Executing"}
    for name in "AC":
        bench.end(execution, name)
    bench.turn(execution)
    bench.end(execution, "D")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    step = next(step for step in bench.pipelines.steps(execution) if step["StepName"] == "A")
    assert step["EndTime"] > step["StartTime"]
    assert step["Metadata"]["TrainingJob"]["Arn"].startswith("pipelines-")


@pytest.mark.parametrize("others", [0, 1])
def test_every_end_is_seen_whoever_has_the_execution(bench, others):
    """Also when only the jobs that changed are looked at, and when others had it in between."""
    names = [f"s{number}" for number in range(20)]
    bench.create(*(slow(name) for name in names), echo("Last", names))
    execution = bench.start()
    services = [bench.pipelines, *(bench.another() for _ in range(others))]
    luck = random.Random(7)
    ended = set()
    for name in luck.sample(names, len(names)):
        bench.pipelines = luck.choice(services)
        bench.turn(execution)
        bench.end(execution, name)
        ended.add(name)
        if luck.random() < 0.7:
            bench.turn(execution)
            found = bench.statuses(execution)
            assert {one for one in names if found[one] == "Succeeded"} == ended
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    assert bench.statuses(execution)["Last"] == "Succeeded"


def test_many_steps_that_cannot_start_are_all_named(bench):
    steps = [echo(f"s{number}", Bug=number % 2 == 0) for number in range(100)]
    execution, ended = bench.run(*steps)
    assert ended["PipelineExecutionStatus"] == "Failed"
    found = bench.statuses(execution)
    assert len(found) == 64
    assert {name for name, status in found.items() if status == "Failed"} == {
        f"s{number}" for number in range(0, 64, 2)
    }


def test_what_runs_may_end_after_a_failure_and_nothing_more_starts(bench):
    execution, _ = bench.run(slow("A"), slow("B"), slow("C", ["A"]), slow("D", ["B"]))
    bench.end(execution, "A", "Failed", reason="exit code 1: ValueError: no rows")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Executing"
    bench.end(execution, "B")
    ended = bench.turn(execution)
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["FailureReason"] == "Step A failed: exit code 1: ValueError: no rows"
    assert bench.statuses(execution) == {"A": "Failed", "B": "Succeeded"}
    assert bench.turn(execution) == ended


def test_a_stop_stops_what_runs(bench):
    execution, _ = bench.run(slow("A"), slow("B"), slow("C", ["A"]))
    bench.end(execution, "B")
    bench.pipelines.stop(execution, actor="bob")
    bench.pipelines.stop(execution, actor="bob")
    stopping = bench.turn(execution)
    assert stopping["PipelineExecutionStatus"] == "Stopping"
    assert bench.statuses(execution) == {"A": "Stopping", "B": "Succeeded"}
    bench.turn(execution)
    assert {job.name for job in bench.slow.stopped} == {job_name(execution, "A")}
    bench.end(execution, "A", "Stopped")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Stopped"
    assert bench.statuses(execution) == {"A": "Stopped", "B": "Succeeded"}
    with pytest.raises(Conflict, match="is Stopped and cannot be stopped"):
        bench.pipelines.stop(execution, actor="bob")


def test_a_stop_before_the_first_step_starts_nothing(bench):
    bench.create(echo("A"))
    execution = bench.start()
    bench.pipelines.stop(execution, actor="bob")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Stopped"
    assert bench.statuses(execution) == {}


def test_a_stop_that_comes_while_steps_start_is_seen(bench):
    bench.create(echo("A"))
    execution = bench.start()
    stale = bench.store.get(execution)
    bench.pipelines.stop(execution, actor="bob")
    with pytest.raises(Conflict):
        bench.pipelines.run(stale, threading.Event())
    assert bench.statuses(execution) == {}


def test_two_workers_on_one_execution_start_a_step_once(bench):
    bench.create(slow("A"))
    execution = bench.start()
    seen = bench.store.get(execution)
    barrier, errors = threading.Barrier(4), []

    def work():
        barrier.wait()
        try:
            bench.pipelines.run(seen, threading.Event())
        except Conflict as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    actions = [event.action for event in bench.store.events()]
    assert actions.count("pipeline-step.started") == 1
    assert bench.statuses(execution) == {"A": "Executing"}


def test_a_job_that_was_stopped_by_itself_fails_its_step(bench):
    execution, _ = bench.run(slow("A"))
    bench.end(execution, "A", "Stopped")
    ended = bench.turn(execution)
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["FailureReason"] == "Step A failed: it was stopped, though the execution was not"


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            [echo("A", x=1), echo("B", y=get("Steps.A.z.w"))],
            "Step B failed: Steps.A.z.w: does not resolve: nothing at ['z']; legal: x",
        ),
        (
            [echo("A", x="a"), echo("B", y=json_get("A", "x.mse"))],
            "Step B failed: Steps.A.PropertyFiles.report x.mse: does not resolve",
        ),
        (
            [echo("B", y={"Std:JsonGet": {"S3Uri": "s3://data/none.json", "Path": "a"}})],
            "Step B failed: ",
        ),
        (
            [echo("B", y={"Std:JsonGet": {"S3Uri": "file:///etc/passwd", "Path": "a"}})],
            "Step B failed: Std:JsonGet.S3Uri: 'file:///etc/passwd'; legal: s3://<bucket>/<key>",
        ),
        (
            [echo("A", x=[1]), echo("B", y=join("a", get("Steps.A.x")))],
            "Step B failed: Std:Join: a list cannot be joined",
        ),
        (
            [echo("A", x="a"), condition("B", [at_most(get("Steps.A.x"), 1)])],
            "Step B failed: LessThanOrEqualTo: 'a' and 1 cannot be ordered",
        ),
        ([echo("B", Bug=True)], "Step B failed: internal error: ZeroDivisionError: bug"),
    ],
)
def test_what_does_not_resolve_fails_its_step_by_name(bench, steps, reason):
    execution, ended = bench.run(*steps)
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["FailureReason"].startswith(reason)
    assert bench.statuses(execution)["B"] == "Failed"


def test_json_get_reads_an_object(bench):
    bench.objects.put("data", "e.json", [json.dumps({"a": {"b": [{"c d": 3}]}}).encode()])
    uri = {"Std:Join": {"On": "/", "Values": ["s3:/", "data", "e.json"]}}
    expression = {"Std:JsonGet": {"S3Uri": uri, "Path": "a.b[0]['c d']"}}
    execution, _ = bench.run(echo("A", x=expression))
    assert bench.step(execution, "A").body["arguments"] == {"x": 3}


def test_a_vanished_job_fails_its_step(bench):
    execution, _ = bench.run(slow("A"))
    with bench.store.begin() as change:
        change.delete(execution.sibling("training-job", job_name(execution, "A")))
    ended = bench.turn(execution)
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert ended["FailureReason"].endswith("does not exist")


def test_a_long_reason_is_cut(bench):
    _, ended = bench.run(fail("A", "x" * 5000))
    assert len(ended["FailureReason"]) == len("Step A failed: ") + 1024


def test_a_worker_drives_an_execution_to_its_end(bench):
    bench.create(*DECISION, parameters=MSE)
    execution = bench.start(Mse="5")
    ended = threading.Event()

    def run(resource, stopping):
        due = bench.pipelines.run(resource, stopping)
        if bench.store.get(execution).status == "Succeeded":
            ended.set()
        return due

    worker = Worker(bench.store, {"pipeline-execution": run}, {}, poll_s=0.02)
    worker.start()
    try:
        assert ended.wait(20)
    finally:
        worker.stop()
