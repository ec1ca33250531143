"""A pipeline that records its own lineage."""

import json
import time

import pytest
from botocore.exceptions import ClientError

PATIENCE_S = 60.0
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"


def node(word, name, **members):
    source = {"SourceUri": f"s3://elsewhere/{name}"}
    return {f"{word}Name": name, f"{word}Type": "Made", "Source": source, **members}


def definition(arguments, *more):
    step = {"Name": "Record", "Type": "Lineage", "Arguments": arguments}
    return json.dumps({"Version": "2020-12-01", "Steps": [step, *more]})


def edge(source, destination, kind="Produced"):
    return {"Source": source, "Destination": destination, "AssociationType": kind}


ACTION, ARTIFACT = {"Name": "fit", "Type": "Action"}, {"Name": "model", "Type": "Artifact"}
GOOD = {
    "Actions": [node("Action", "fit", Properties={"by": "hand"})],
    "Artifacts": [node("Artifact", "model", Tags=[{"Key": "k", "Value": "v"}])],
    "Contexts": [node("Context", "season")],
    "Associations": [edge(ACTION, ARTIFACT)],
}


@pytest.fixture
def sagemaker(server):
    return server.client("sagemaker")


def run(sagemaker, name, text):
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE)
    return again(sagemaker, name)


def again(sagemaker, name):
    arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        if found["PipelineExecutionStatus"] not in {"Executing", "Stopping"}:
            return found
        time.sleep(0.05)
    raise TimeoutError(arn)


def test_it_makes_nodes_and_edges_once(sagemaker):
    fail = {"ErrorMessage": {"Get": "Steps.Record.ArtifactArns['model']"}}
    told = {"Name": "Tell", "Type": "Fail", "Arguments": fail}
    ended = run(sagemaker, "records", definition(GOOD, told))
    artifact = ended["FailureReason"].removeprefix("Step Tell failed: ")
    assert sagemaker.describe_artifact(ArtifactArn=artifact)["ArtifactName"] == "model"
    assert sagemaker.list_tags(ResourceArn=artifact)["Tags"] == [{"Key": "k", "Value": "v"}]
    action = sagemaker.describe_action(ActionName="fit")
    assert action["Properties"] == {"by": "hand"}
    found = sagemaker.list_associations(SourceArn=action["ActionArn"])["AssociationSummaries"]
    assert [(one["DestinationArn"], one["AssociationType"]) for one in found] == [
        (artifact, "Produced")
    ]
    ended = again(sagemaker, "records")
    assert ended["FailureReason"] == f"Step Tell failed: {artifact}"


def test_a_name_that_is_taken_by_something_else_fails_the_step(sagemaker):
    sagemaker.create_action(**node("Action", "taken", Description="another"))
    ended = run(sagemaker, "takes", definition({"Actions": [node("Action", "taken")]}))
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert "action taken" in ended["FailureReason"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "records nothing"),
        ({"Nodes": []}, "no such member"),
        ({"Actions": {}}, "no list"),
        ({**GOOD, "Associations": [edge({"Name": "fit"}, ARTIFACT)]}, "either Arn, or Name"),
        (
            {**GOOD, "Associations": [edge({"Name": "season", "Type": "Action"}, ARTIFACT)]},
            "makes no Action 'season'; legal: Action fit, Artifact model, Context season",
        ),
    ],
)
def test_what_can_never_run_is_refused(sagemaker, arguments, problem):
    with pytest.raises(ClientError, match=problem):
        sagemaker.create_pipeline(
            PipelineName="refused", PipelineDefinition=definition(arguments), RoleArn=ROLE
        )
