"""A few steps of a pipeline run alone, on what an earlier execution made."""

import pytest
from tests.pipelines.conftest import PIPELINE, condition, echo, get, slow

from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import arn

STEPS = (
    slow("Prepare"),
    slow("Train", data=get("Steps.Prepare.Name")),
    slow("Eval", ["Prepare"], model=get("Steps.Train.Name")),
    condition(
        "Decide",
        [{"Type": "Equals", "LeftValue": get("Steps.Eval.Name"), "RightValue": "x"}],
        [echo("Register", model=get("Steps.Train.Name"))],
        [echo("Reject")],
    ),
)


def start(bench, *names, source=None):
    config = {"SelectedSteps": [{"StepName": name} for name in names]}
    if source is not None:
        config["SourcePipelineExecutionArn"] = arn(source)
    return bench.pipelines.start(PIPELINE, {"SelectiveExecutionConfig": config}, actor="ada").ref


@pytest.fixture
def first(bench):
    bench.create(*STEPS)
    execution = bench.start()
    for name in ("Prepare", "Train", "Eval"):
        bench.turn(execution)
        bench.end(execution, name)
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    return execution


def test_selected_steps_run_on_the_results_of_the_newest_execution(bench, first):
    execution = start(bench, "Train", "Eval")
    document = bench.turn(execution)
    assert document["SelectiveExecutionConfig"] == {
        "SourcePipelineExecutionArn": arn(first),
        "SelectedSteps": [{"StepName": "Train"}, {"StepName": "Eval"}],
    }
    assert bench.statuses(execution) == {"Prepare": "Succeeded", "Train": "Executing"}
    prepared = bench.step(first, "Prepare").body["properties"]["Name"]
    assert bench.step(execution, "Train").body["arguments"] == {"data": prepared}
    taken = next(x for x in bench.pipelines.steps(execution) if x["StepName"] == "Prepare")
    assert taken["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": arn(first)}
    assert "it was not selected" in bench.pipelines.why(execution, "Prepare").reason
    for name in ("Train", "Eval"):
        bench.end(execution, name)
        document = bench.turn(execution)
    assert document["PipelineExecutionStatus"] == "Succeeded"
    assert set(bench.statuses(execution)) == {"Prepare", "Train", "Eval"}
    again = start(bench, "Train")
    taken = bench.step(again, "Prepare")
    assert taken.body["selected_from"] == first.name


def test_a_step_of_a_branch_runs_when_it_is_selected(bench, first):
    execution = start(bench, "Register")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    assert bench.statuses(execution) == {"Train": "Succeeded", "Register": "Succeeded"}


def test_a_selected_condition_decides_between_selected_steps(bench, first):
    execution = start(bench, "Decide", "Register", "Reject")
    assert bench.turn(execution)["PipelineExecutionStatus"] == "Succeeded"
    assert set(bench.statuses(execution)) == {"Train", "Eval", "Decide", "Reject"}


def test_a_failed_execution_is_a_source_for_what_succeeded_in_it(bench):
    bench.create(*STEPS)
    failed = bench.start()
    bench.turn(failed)
    bench.end(failed, "Prepare")
    bench.turn(failed)
    bench.end(failed, "Train", "Failed")
    bench.turn(failed)
    execution = start(bench, "Train")
    bench.turn(execution)
    assert bench.statuses(execution) == {"Prepare": "Succeeded", "Train": "Executing"}
    problem = "'Eval' reads the result of 'Train', which is not selected and is Failed in"
    with pytest.raises(InvalidInput, match=problem):
        start(bench, "Eval", source=failed)
    with pytest.raises(InvalidInput, match=r"'Decide' .* 'Eval', .* did not run in"):
        start(bench, "Decide", source=failed)


def test_what_cannot_be_selected_is_refused(bench):
    bench.create(*STEPS)
    with pytest.raises(InvalidInput, match="there is no earlier execution"):
        start(bench, "Train")
    with pytest.raises(InvalidInput, match=r"SelectedSteps\.1\.StepName: no step 'None'"):
        start(bench, "Prepare", "None")
    with pytest.raises(InvalidInput, match="'Prepare' is given twice"):
        start(bench, "Prepare", "Prepare")
    with pytest.raises(InvalidInput, match="is empty"):
        start(bench)
    with pytest.raises(NotFound):
        start(bench, "Prepare", source=PIPELINE.sibling("pipeline-execution", "abalone/none"))
    bench.create(echo("A"), name="other")
    other = bench.start(PIPELINE.sibling("pipeline", "other"))
    with pytest.raises(InvalidInput, match="is no execution of pipeline abalone"):
        start(bench, "Prepare", source=other)
    execution = start(bench, "Prepare")
    bench.turn(execution)
    assert bench.statuses(execution) == {"Prepare": "Executing"}


def test_a_selected_step_runs_though_its_result_could_be_reused(bench):
    bench.create(slow("A") | {"CacheConfig": {"Enabled": True}})
    execution = bench.start()
    bench.turn(execution)
    bench.end(execution, "A")
    bench.turn(execution)
    second = start(bench, "A")
    bench.turn(second)
    assert bench.statuses(second) == {"A": "Executing"}
    assert bench.pipelines.why(second, "A").reason == "it was selected to run"
