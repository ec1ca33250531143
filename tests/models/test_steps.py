import json
import threading

import pytest
from tests.models.conftest import ACCOUNT, GROUP, REGION, URI, container, package

from clary.adapters.property_shapes import check_property
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref, arn
from clary.kernel.steps import job_name
from clary.models.steps import ModelStep, RegisterModelStep
from clary.pipelines.service import Pipelines
from clary.pipelines.steps import ConditionStep, FailStep

PIPELINE = Ref(ACCOUNT, REGION, "pipeline", "abalone")


@pytest.fixture
def run(store, objects, models):
    def run(*steps):
        kinds = {
            "Model": ModelStep(models),
            "RegisterModel": RegisterModelStep(models),
            "Condition": ConditionStep(),
            "Fail": FailStep(),
        }
        pipelines = Pipelines(store, objects, kinds, known=check_property)
        text = json.dumps({"Version": "2020-12-01", "Steps": steps})
        request = {"PipelineName": "abalone", "RoleArn": "r", "PipelineDefinition": text}
        if store.get(PIPELINE) is None:
            pipelines.create(PIPELINE, request, actor="ada")
        execution = pipelines.start(PIPELINE, {}, actor="ada").ref
        pipelines.run(store.get(execution), threading.Event())
        steps = {step["StepName"]: step for step in pipelines.steps(execution)}
        return execution, pipelines.describe_execution(execution), steps

    return run


def register(name="Register", **more):
    return {"Name": name, "Type": "RegisterModel", "Arguments": package(**more)}


def model(**more):
    return {"Name": "Make", "Type": "Model", "Arguments": {"PrimaryContainer": container(), **more}}


def test_a_registration_makes_its_group_and_knows_its_execution(run, models, store):
    execution, ended, steps = run(
        register(Tags=[{"Key": "a", "Value": "b"}], ModelApprovalStatus="Approved")
    )
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    ref = GROUP.sibling("model-package", "abalone", 1)
    assert steps["Register"]["Metadata"] == {"RegisterModel": {"Arn": arn(ref)}}
    document = models.describe_package(ref)
    assert document["MetadataProperties"] == {"GeneratedBy": arn(execution)}
    assert document["ModelApprovalStatus"] == "Approved"
    assert store.tags(ref) == {"a": "b"}
    sources = {(link.kind, link.source.kind) for link in store.links(ref, incoming=True)}
    assert sources == {("ContributedTo", "artifact"), ("Produced", "pipeline-execution")}
    assert run()[2]["Register"]["Metadata"]["RegisterModel"]["Arn"].endswith("abalone/2")


def test_a_model_has_the_platform_s_name(run, models):
    check = {"Type": "Equals", "LeftValue": {"Get": "Steps.Make.ModelName"}, "RightValue": "x"}
    decide = {
        "Name": "Decide",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [check],
            "ElseSteps": [
                {
                    "Name": "Say",
                    "Type": "Fail",
                    "Arguments": {
                        "ErrorMessage": {
                            "Std:Join": {
                                "Values": [
                                    {"Get": "Steps.Make.PrimaryContainer.ModelDataUrl"},
                                    " ",
                                    {"Get": "Steps.Make.ModelArn"},
                                ]
                            }
                        }
                    },
                }
            ],
        },
    }
    execution, ended, steps = run(model(), decide)
    name = job_name(execution, "Make")
    made = execution.sibling("model", name)
    assert steps["Make"]["Metadata"] == {"Model": {"Arn": arn(made)}}
    assert ended["FailureReason"] == f"Step Say failed: {URI} {arn(made)}"
    assert models.describe_model(made)["ModelName"] == name


def test_a_package_without_a_group_has_the_platform_s_name_unless_it_has_one(run):
    step = register()
    del step["Arguments"]["ModelPackageGroupName"]
    execution, ended, steps = run(step, register("Named", ModelPackageName="single"))
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    ours = arn(execution.sibling("model-package", job_name(execution, "Register")))
    assert steps["Register"]["Metadata"]["RegisterModel"]["Arn"] == ours
    assert steps["Named"]["Metadata"]["RegisterModel"]["Arn"].endswith(":model-package/single")


def test_what_cannot_be_made_fails_the_step_and_leaves_nothing(run, store):
    missing = {"Containers": [container(ModelDataUrl="s3://data/none")]}
    _, ended, _ = run(register(InferenceSpecification=missing))
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert "s3://data/none does not exist" in ended["FailureReason"]
    assert store.get(GROUP) is None


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (ModelStep, {}),
        (RegisterModelStep, {}),
        (RegisterModelStep, package() | {"ModelPackageName": "x"}),
    ],
)
def test_steps_that_can_never_run_are_refused(models, kind, arguments):
    with pytest.raises(InvalidInput, match=r"^Arguments"):
        kind(models).check({"Name": "S", "Arguments": arguments})
