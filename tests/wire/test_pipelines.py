"""Pipelines and their executions, as boto3 sees them."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now
from clary.kernel.resource import Bucket

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
PARAMETERS = [
    {"Name": "Mse", "Type": "Float", "DefaultValue": 5.0},
    {"Name": "Group", "Type": "String", "DefaultValue": "g", "EnumValues": ["g", "h"]},
]


def definition(**more):
    conditions = [
        {"Type": "LessThan", "LeftValue": {"Get": "Parameters.Mse"}, "RightValue": 6},
    ]
    message = {"Std:Join": {"On": " ", "Values": ["mse is", {"Get": "Parameters.Mse"}]}}
    reject = {"Name": "Reject", "Type": "Fail", "Arguments": {"ErrorMessage": message}}
    steps = [
        {
            "Name": "Decide",
            "Type": "Condition",
            "DisplayName": "Good enough?",
            "Arguments": {
                "Conditions": conditions,
                "IfSteps": [],
                "ElseSteps": [reject],
            },
        }
    ]
    return json.dumps({"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": steps} | more)


@pytest.fixture
def pipeline(sagemaker, name):
    sagemaker.create_pipeline(
        PipelineName=name,
        PipelineDefinition=definition(),
        RoleArn=ROLE,
        ParallelismConfiguration={"MaxParallelExecutionSteps": 7},
    )
    return name


def start(sagemaker, pipeline, **parameters):
    given = [{"Name": key, "Value": value} for key, value in parameters.items()]
    execution = sagemaker.start_pipeline_execution(
        PipelineName=pipeline, PipelineParameters=given, PipelineExecutionDisplayName="try"
    )["PipelineExecutionArn"]
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        if found["PipelineExecutionStatus"] != "Executing":
            return found
        time.sleep(0.02)


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_pipeline_is_made_once_and_changed(sagemaker, pipeline):
    again = {"PipelineName": pipeline, "PipelineDefinition": definition(), "RoleArn": ROLE}
    code, message = refused(sagemaker.create_pipeline, **again)
    assert code == "ValidationException"
    assert "already exists" in message
    changed = definition(Metadata={"v": 2})
    updated = sagemaker.update_pipeline(
        PipelineName=pipeline, PipelineDefinition=changed, PipelineDescription="rings"
    )
    assert updated["PipelineVersionId"] == 2
    found = sagemaker.describe_pipeline(PipelineName=updated["PipelineArn"])
    assert found["PipelineDefinition"] == changed
    assert found["PipelineDescription"] == "rings"
    assert found["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 7}
    assert found["PipelineStatus"] == "Active"
    first = sagemaker.describe_pipeline(PipelineName=pipeline, PipelineVersionId=1)
    assert first["PipelineDefinition"] == definition()
    versions = sagemaker.list_pipeline_versions(PipelineName=pipeline)["PipelineVersionSummaries"]
    assert [version["PipelineVersionId"] for version in versions] == [2, 1]


def test_an_execution_runs(sagemaker, pipeline):
    found = start(sagemaker, pipeline)
    arn = found["PipelineExecutionArn"]
    assert found["PipelineExecutionStatus"] == "Succeeded"
    assert found["PipelineExecutionDisplayName"] == "try"
    (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)[
        "PipelineExecutionSteps"
    ]
    assert step["StepName"] == "Decide"
    assert step["StepDisplayName"] == "Good enough?"
    assert step["StepStatus"] == "Succeeded"
    assert step["Metadata"] == {"Condition": {"Outcome": "True"}}
    parameters = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=arn, MaxResults=1
    )
    assert parameters["PipelineParameters"] == [{"Name": "Mse", "Value": "5.0"}]
    rest = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=arn, NextToken=parameters["NextToken"]
    )
    assert rest["PipelineParameters"] == [{"Name": "Group", "Value": "g"}]
    assert "NextToken" not in rest
    ran = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    assert ran["PipelineDefinition"] == definition()
    sagemaker.update_pipeline_execution(
        PipelineExecutionArn=arn, PipelineExecutionDescription="the first"
    )
    (listed,) = sagemaker.list_pipeline_executions(PipelineName=pipeline)[
        "PipelineExecutionSummaries"
    ]
    assert listed["PipelineExecutionDescription"] == "the first"
    code, message = refused(sagemaker.stop_pipeline_execution, PipelineExecutionArn=arn)
    assert code == "ConflictException"
    assert "Succeeded" in message


def test_an_execution_fails_with_its_step_s_message(sagemaker, pipeline):
    found = start(sagemaker, pipeline, Mse="7.5", Group="h")
    assert found["PipelineExecutionStatus"] == "Failed"
    assert found["FailureReason"] == "Step Reject failed: mse is 7.5"
    steps = sagemaker.list_pipeline_execution_steps(
        PipelineExecutionArn=found["PipelineExecutionArn"], MaxResults=1
    )
    assert [step["StepName"] for step in steps["PipelineExecutionSteps"]] == ["Reject"]
    assert steps["PipelineExecutionSteps"][0]["Metadata"] == {
        "Fail": {"ErrorMessage": "mse is 7.5"}
    }
    assert steps["NextToken"]


def test_lists_page_sort_and_filter(sagemaker, name):
    names = [f"{name}-{letter}" for letter in "bca"]
    for one in names:
        sagemaker.create_pipeline(PipelineName=one, PipelineDefinition=definition(), RoleArn=ROLE)

    def listed(**filters):
        pages = sagemaker.get_paginator("list_pipelines").paginate(
            PipelineNamePrefix=name, PaginationConfig={"PageSize": 2}, **filters
        )
        return [one["PipelineName"] for page in pages for one in page["PipelineSummaries"]]

    assert listed() == names[::-1]
    assert listed(SortBy="Name", SortOrder="Ascending") == sorted(names)
    assert listed(CreatedAfter="2100-01-01") == []
    assert listed(ManagedBy="AWS") == []
    executions = [start(sagemaker, names[0])["PipelineExecutionArn"] for _ in range(3)]
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=names[0], SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    found = [
        one["PipelineExecutionArn"] for page in pages for one in page["PipelineExecutionSummaries"]
    ]
    assert found == executions
    summary = sagemaker.list_pipelines(PipelineNamePrefix=names[0])["PipelineSummaries"][0]
    assert summary["LastExecutionTime"] > summary["CreationTime"]


def test_a_large_definition_comes_from_a_bucket(sagemaker, platform, name):
    location = {"Bucket": "definitions-of-tests", "ObjectKey": "definition.json"}
    bucket = Bucket(location["Bucket"], "123456789012", "us-east-1", now())
    platform.objects.create_bucket(bucket)
    platform.objects.put(bucket.name, "definition.json", [definition().encode()])
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinitionS3Location=location, RoleArn=ROLE
    )
    assert sagemaker.describe_pipeline(PipelineName=name)["PipelineDefinition"] == definition()


def test_tags_at_birth(sagemaker, name):
    made = sagemaker.create_pipeline(
        PipelineName=name,
        PipelineDefinition=definition(),
        RoleArn=ROLE,
        Tags=[{"Key": "team", "Value": "sea"}],
    )
    tags = sagemaker.list_tags(ResourceArn=made["PipelineArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "sea"}]


@pytest.mark.parametrize(
    ("text", "code", "problem"),
    [
        ("{", "ValidationException", "PipelineDefinition: not valid JSON"),
        (
            definition(Steps=[{"Name": "A", "Type": "Fail", "DependsOn": ["B"]}]),
            "ValidationException",
            "Steps.A.DependsOn: no step 'B'",
        ),
        (
            definition(
                Steps=[
                    {"Name": "A", "Type": "Fail", "DependsOn": ["B"]},
                    {"Name": "B", "Type": "Fail", "DependsOn": ["A"]},
                ]
            ),
            "ValidationException",
            "waits for itself: ",
        ),
        (
            definition(Steps=[{"Name": "A", "Type": "EMR"}]),
            "UnsupportedOperation",
            "Steps.A.Type: steps of type EMR are not offered",
        ),
        (
            definition(
                Steps=[
                    {
                        "Name": "A",
                        "Type": "Training",
                        "Arguments": {"AlgorithmSpecification": {"TrainingImage": "x/nothing:1"}},
                    }
                ]
            ),
            "ValidationException",
            "Steps.A.Arguments.AlgorithmSpecification.TrainingImage: ",
        ),
    ],
)
def test_bad_definitions_name_the_step(sagemaker, name, text, code, problem):
    found, message = refused(
        sagemaker.create_pipeline, PipelineName=name, PipelineDefinition=text, RoleArn=ROLE
    )
    assert found == code
    assert problem in message


def test_bad_parameters_are_refused_at_start(sagemaker, pipeline):
    for given, problem in (
        ({"Name": "Mse", "Value": "x"}, "Parameters.Mse: 'x' is no Float"),
        ({"Name": "Group", "Value": "i"}, "Parameters.Group: 'i' is not allowed; legal: g, h"),
        ({"Name": "Nope", "Value": "1"}, "Parameters.Nope: no such parameter; legal: Mse, Group"),
    ):
        code, message = refused(
            sagemaker.start_pipeline_execution, PipelineName=pipeline, PipelineParameters=[given]
        )
        assert (code, message) == ("ValidationException", problem)
    assert not sagemaker.list_pipeline_executions(PipelineName=pipeline)[
        "PipelineExecutionSummaries"
    ]


def test_what_is_not_there_is_resource_not_found(sagemaker, pipeline, name):
    execution = f"arn:aws:sagemaker:us-east-1:123456789012:pipeline/{pipeline}/execution/none"
    for call, params in (
        (sagemaker.describe_pipeline, {"PipelineName": "none"}),
        (sagemaker.start_pipeline_execution, {"PipelineName": "none"}),
        (sagemaker.list_pipeline_executions, {"PipelineName": "none"}),
        (sagemaker.delete_pipeline, {"PipelineName": "none"}),
        (sagemaker.describe_pipeline_execution, {"PipelineExecutionArn": execution}),
        (sagemaker.list_pipeline_execution_steps, {"PipelineExecutionArn": execution}),
        (sagemaker.stop_pipeline_execution, {"PipelineExecutionArn": execution}),
    ):
        code, message = refused(call, **params)
        assert code == "ResourceNotFound"
        assert "none does not exist" in message
    sagemaker.delete_pipeline(PipelineName=pipeline)
    assert refused(sagemaker.describe_pipeline, PipelineName=pipeline)[0] == "ResourceNotFound"
