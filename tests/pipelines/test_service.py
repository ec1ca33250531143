import json
import threading

import pytest
from tests.pipelines.conftest import PIPELINE, ROLE, definition, echo, get, request, slow

from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound, NotSupported
from clary.kernel.names import arn
from clary.kernel.resource import Query

TOKEN = "t" * 32


def actions(bench):
    return [event.action for event in bench.store.events()]


def test_a_pipeline_is_described_as_it_was_made(bench):
    made = request(echo("A"), PipelineDescription="rings", PipelineDisplayName="Abalone")
    bench.pipelines.create(PIPELINE, made, actor="ada", tags={"team": "sea"})
    document = bench.pipelines.describe(PIPELINE)
    assert document.items() >= made.items()
    assert document["PipelineArn"] == arn(PIPELINE)
    assert document["PipelineStatus"] == "Active"
    assert "LastRunTime" not in document
    assert bench.store.tags(PIPELINE) == {"team": "sea"}
    bench.start()
    assert bench.pipelines.describe(PIPELINE)["LastRunTime"]


def test_a_name_is_taken_once_and_a_token_makes_one(bench):
    made = request(echo("A"), ClientRequestToken=TOKEN)
    bench.pipelines.create(PIPELINE, made, actor="ada")
    bench.pipelines.create(PIPELINE, made, actor="ada")
    for other in (request(echo("A")), request(echo("B"), ClientRequestToken=TOKEN)):
        with pytest.raises(AlreadyExists, match="already exists"):
            bench.pipelines.create(PIPELINE, other, actor="ada")
    assert actions(bench) == ["pipeline.created"]


def test_nothing_is_made_of_a_definition_that_cannot_run(bench):
    with pytest.raises(InvalidInput, match=r"Steps\.A\.Arguments\.x: no step 'B'"):
        bench.create(echo("A", x=get("Steps.B.y")))
    with pytest.raises(InvalidInput, match="not exactly one definition"):
        bench.pipelines.create(PIPELINE, {"PipelineName": "abalone", "RoleArn": ROLE}, actor="ada")
    assert bench.store.get(PIPELINE) is None
    bench.create(echo("A"))
    with pytest.raises(InvalidInput):
        bench.pipelines.update(PIPELINE, request(echo("A"), echo("A")), actor="ada")
    assert bench.store.get(PIPELINE).body["version"] == 1


def test_updates_make_versions_and_executions_keep_theirs(bench):
    bench.create(echo("A", x=1))
    execution = bench.start()
    bench.pipelines.update(PIPELINE, request(echo("B")), actor="bob")
    bench.pipelines.update(
        PIPELINE, {"PipelineName": "abalone", "PipelineDescription": "new"}, actor="bob"
    )
    document = bench.pipelines.describe(PIPELINE)
    assert document["PipelineDescription"] == "new"
    assert document["RoleArn"] == ROLE
    assert document["PipelineDefinition"] == definition(echo("B"))
    assert document["LastModifiedBy"] == {"IamIdentity": {"Arn": "bob"}}
    assert document["CreatedBy"] == {"IamIdentity": {"Arn": "ada"}}
    assert bench.pipelines.describe(PIPELINE, 1)["PipelineDefinition"] == definition(echo("A", x=1))
    bench.turn(execution)
    assert list(bench.statuses(execution)) == ["A"]
    kept = bench.pipelines.definition(execution)
    assert (kept.ref.version, kept.body["definition"]) == (1, definition(echo("A", x=1)))
    earlier = bench.pipelines.start(PIPELINE, {"PipelineVersionId": 1}, actor="ada").ref
    bench.turn(earlier)
    assert list(bench.statuses(earlier)) == ["A"]
    with pytest.raises(NotFound):
        bench.pipelines.start(PIPELINE, {"PipelineVersionId": 3}, actor="ada")


def test_a_definition_may_lie_in_a_bucket(bench):
    location = {"Bucket": "data", "ObjectKey": "p/definition.json"}
    large = {"PipelineName": "abalone", "RoleArn": ROLE, "PipelineDefinitionS3Location": location}
    with pytest.raises(InvalidInput, match=r"s3://data/p/definition\.json: .* does not exist"):
        bench.pipelines.create(PIPELINE, large, actor="ada")
    text = definition(echo("A", x="x" * 2_000_000))
    bench.objects.put("data", "p/definition.json", [text.encode()])
    bench.pipelines.create(PIPELINE, large, actor="ada")
    assert bench.pipelines.describe(PIPELINE)["PipelineDefinition"] == text
    bench.objects.put("data", "p/definition.json", [b" " * (8 << 20), b" "])
    with pytest.raises(InvalidInput, match="8388609 bytes; legal: at most 8388608"):
        bench.pipelines.update(PIPELINE, large, actor="ada")
    versioned = {**large, "PipelineDefinitionS3Location": {**location, "VersionId": "1"}}
    with pytest.raises(NotSupported, match="VersionId"):
        bench.pipelines.update(PIPELINE, versioned, actor="ada")


def test_parameters_are_read_listed_and_refused_at_start(bench):
    parameters = [
        {"Name": "N", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Flag", "Type": "Boolean", "DefaultValue": True},
        {"Name": "Mse", "Type": "Float", "DefaultValue": 6},
    ]
    bench.create(echo("A", n=get("Parameters.N"), m=get("Parameters.Mse")), parameters=parameters)
    execution = bench.start(N="12")
    assert bench.pipelines.parameters(execution) == [
        {"Name": "N", "Value": "12"},
        {"Name": "Flag", "Value": "true"},
        {"Name": "Mse", "Value": "6.0"},
    ]
    bench.turn(execution)
    assert bench.step(execution, "A").body["arguments"] == {"n": 12, "m": 6.0}
    with pytest.raises(InvalidInput, match=r"Parameters\.N: 'x' is no Integer"):
        bench.start(N="x")
    with pytest.raises(NotSupported, match="MlflowExperimentName"):
        bench.pipelines.start(PIPELINE, {"MlflowExperimentName": "x"}, actor="ada")


def test_a_token_starts_one_execution(bench):
    bench.create(echo("A"), parameters=[{"Name": "N", "Type": "String", "DefaultValue": ""}])
    asked = {"ClientRequestToken": TOKEN, "PipelineExecutionDisplayName": "first"}
    found = set()

    def start():
        found.add(bench.pipelines.start(PIPELINE, asked, actor="ada").ref)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert actions(bench).count("pipeline-execution.created") == 1
    other = {**asked, "PipelineParameters": [{"Name": "N", "Value": "1"}]}
    with pytest.raises(Conflict, match="ClientRequestToken"):
        bench.pipelines.start(PIPELINE, other, actor="ada")
    assert bench.start() not in found


def test_an_execution_is_described_with_its_experiment(bench):
    experiment = {
        "ExperimentName": get("Execution.PipelineName"),
        "TrialName": get("Execution.PipelineExecutionId"),
    }
    made = request(echo("A"), ParallelismConfiguration={"MaxParallelExecutionSteps": 3})
    made["PipelineDefinition"] = definition(echo("A"), PipelineExperimentConfig=experiment)
    bench.pipelines.create(PIPELINE, made, actor="ada")
    execution = bench.start()
    name, _, trial = execution.name.partition("/")
    document = bench.pipelines.describe_execution(execution)
    assert document["PipelineExperimentConfig"] == {"ExperimentName": name, "TrialName": trial}
    assert document["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 3}
    assert document["PipelineExecutionDisplayName"].startswith("execution-")
    assert document["RoleArn"] == ROLE
    assert trial.isalnum()
    assert len(trial) == 12
    referring = {"TrialName": get("Steps.A.x")}
    made["PipelineDefinition"] = definition(echo("A"), PipelineExperimentConfig=referring)
    with pytest.raises(InvalidInput, match="PipelineExperimentConfig"):
        bench.pipelines.update(PIPELINE, made, actor="ada")


def test_an_execution_can_be_renamed_and_widened(bench):
    bench.create(slow("A"), slow("B"), ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    execution = bench.start()
    bench.turn(execution)
    assert len(bench.statuses(execution)) == 1
    change = {
        "PipelineExecutionDisplayName": "wide",
        "PipelineExecutionDescription": "both at once",
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 2},
    }
    bench.pipelines.update_execution(execution, change, actor="bob")
    document = bench.turn(execution)
    assert document.items() >= change.items()
    assert document["LastModifiedBy"] == {"IamIdentity": {"Arn": "bob"}}
    assert len(bench.statuses(execution)) == 2


def test_no_steps_at_once_are_refused(bench):
    with pytest.raises(InvalidInput, match=r"MaxParallelExecutionSteps: Expected `int` >= 1"):
        bench.create(echo("A"), ParallelismConfiguration={"MaxParallelExecutionSteps": 0})


def test_a_pipeline_goes_with_all_that_is_below_it(bench):
    bench.create(slow("A"))
    execution = bench.start()
    bench.turn(execution)
    with pytest.raises(Conflict, match=f"{execution} going on"):
        bench.pipelines.delete(PIPELINE, actor="ada")
    bench.end(execution, "A")
    bench.turn(execution)
    bench.pipelines.delete(PIPELINE, actor="ada")
    for kind in ("pipeline", "pipeline-version", "pipeline-execution", "pipeline-step"):
        assert not bench.store.select(Query(kind)).items
    with pytest.raises(NotFound):
        bench.pipelines.delete(PIPELINE, actor="ada")
    bench.create(echo("A"))
    assert bench.store.get(PIPELINE).body["version"] == 1


def test_what_is_not_there_is_not_found(bench):
    execution = PIPELINE.sibling("pipeline-execution", "abalone/x")
    for call in (
        lambda: bench.pipelines.describe(PIPELINE),
        lambda: bench.pipelines.update(PIPELINE, request(echo("A")), actor="ada"),
        lambda: bench.pipelines.start(PIPELINE, {}, actor="ada"),
        lambda: bench.pipelines.stop(execution, actor="ada"),
        lambda: bench.pipelines.update_execution(execution, {}, actor="ada"),
        lambda: bench.pipelines.describe_execution(execution),
        lambda: bench.pipelines.steps(execution),
        lambda: bench.pipelines.parameters(execution),
        lambda: bench.pipelines.definition(execution),
    ):
        with pytest.raises(NotFound, match="does not exist"):
            call()


def test_every_change_is_in_the_journal(bench):
    bench.create(slow("A"))
    execution = bench.start()
    bench.turn(execution)
    bench.pipelines.update(PIPELINE, request(echo("B")), actor="bob")
    bench.pipelines.stop(execution, actor="bob")
    bench.turn(execution)
    bench.end(execution, "A", "Stopped")
    bench.turn(execution)
    bench.pipelines.delete(PIPELINE, actor="ada")
    told = [(event.action, event.actor) for event in bench.store.events()]
    assert told == [
        ("pipeline.created", "ada"),
        ("pipeline-execution.created", "ada"),
        ("pipeline-step.started", "ada"),
        ("pipeline.updated", "bob"),
        ("pipeline-execution.stop-requested", "bob"),
        ("pipeline-step.stop-requested", "ada"),
        ("pipeline-step.stopped", "ada"),
        ("pipeline-execution.stopped", "ada"),
        ("pipeline.deleted", "ada"),
    ]
    assert json.dumps(bench.store.events()[3].detail) == '{"version": 2}'
