import json
from pathlib import Path

import pytest
from tests.pipelines.conftest import (
    EchoStep,
    anything,
    at_most,
    condition,
    definition,
    echo,
    fail,
    get,
)

from clary.adapters.property_shapes import check_property
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported
from clary.pipelines.checks import check
from clary.pipelines.model import parse
from clary.pipelines.steps import ConditionStep, FailStep

KINDS = {"Processing": EchoStep(), "Condition": ConditionStep(), "Fail": FailStep()}
OUTPUTS = {"Outputs": [{"OutputName": "train"}, {"OutputName": "test"}]}


def json_get(step, file="report", path="mse"):
    return {
        "Std:JsonGet": {"PropertyFile": get(f"Steps.{step}.PropertyFiles.{file}"), "Path": path}
    }


P = {"Name": "P", "Type": "Integer", "DefaultValue": 1}
BRANCHES = condition("C", [at_most(1, 2)], [echo("I")], [echo("E")])

BAD = {
    "another version": (
        {"Version": "2021-01-01", "Steps": [echo("A")]},
        "PipelineDefinition.Version: '2021-01-01'; legal: 2020-12-01",
    ),
    "no version": ({"Steps": []}, "PipelineDefinition: Object missing required field `Version`"),
    "no steps": ({"Version": "2020-12-01", "Steps": []}, "Steps: 0 of them; legal: 1 to 2000"),
    "steps of a wrong shape": (
        {"Version": "2020-12-01", "Steps": {}},
        "PipelineDefinition.Steps: Expected `array`, got `object`",
    ),
    "no name": ([{"Type": "Processing"}], "Steps[0]: Object missing required field `Name`"),
    "a bad name": ([echo("a b")], "Steps[0].Name: 'a b'; legal: 1 to 64 letters"),
    "one name twice": ([echo("A"), echo("A")], "Steps.A: two steps have this name"),
    "one name twice, in a branch": (
        [echo("I"), BRANCHES],
        "Steps.I: two steps have this name",
    ),
    "an unknown type": (
        [{"Name": "A", "Type": "Magic"}],
        "Steps.A.Type: no type 'Magic'; legal: Condition, Fail, Processing",
    ),
    "arguments of a wrong shape": (
        [{"Name": "A", "Type": "Processing", "Arguments": []}],
        "Steps[0].Arguments: Expected `object`, got `array`",
    ),
    "an unknown dependency": (
        [echo("A", ["B"])],
        "Steps.A.DependsOn: no step 'B'; legal: A",
    ),
    "an unknown step": (
        [echo("A", x=get("Steps.B.y"))],
        "Steps.A.Arguments.x: no step 'B'; legal: A",
    ),
    "an unknown parameter": (
        [echo("A", x=[{"y": get("Parameters.Q")}])],
        "Steps.A.Arguments.x[0].y: no parameter 'Q'; legal: P",
    ),
    "an unknown variable": (
        [echo("A", x=get("Execution.Id"))],
        "Steps.A.Arguments.x: no execution variable 'Id'; legal: CurrentDateTime",
    ),
    "another type's job name": (
        [echo("A", x=get("Execution.TrainingJobName"))],
        "Steps.A.Arguments.x: Execution.TrainingJobName has a value only in Training steps",
    ),
    "a malformed get": (
        [echo("A", x=get("nonsense"))],
        "Steps.A.Arguments.x: cannot Get 'nonsense'",
    ),
    "an unknown property file": (
        [echo("A"), echo("B", x=json_get("A", "other"))],
        "Steps.B.Arguments.x.Std:JsonGet.PropertyFile: step 'A' has no file 'other'; legal: report",
    ),
    "a property file without JsonGet": (
        [echo("A"), echo("B", x=get("Steps.A.PropertyFiles.report"))],
        "Steps.B.Arguments.x: Steps.A.PropertyFiles.report can be read only by Std:JsonGet",
    ),
    "an output that is not declared": (
        [
            echo("A", ProcessingOutputConfig=OUTPUTS),
            echo("B", x=get("Steps.A.ProcessingOutputConfig.Outputs['trian'].S3Output.S3Uri")),
        ],
        "Outputs['trian'].S3Output.S3Uri leads nowhere; legal: train, test",
    ),
    "an output beyond the last": (
        [
            echo("A", ProcessingOutputConfig=OUTPUTS),
            echo("B", x=get("Steps.A.ProcessingOutputConfig.Outputs[2].OutputName")),
        ],
        "leads nowhere; legal: an index below 2",
    ),
    "a cycle of references": (
        [echo("A", x=get("Steps.C.y")), echo("B", ["A"]), echo("C", ["B"])],
        "waits for itself: ",
    ),
    "a step that waits for itself": ([echo("A", ["A"])], "Steps.A: waits for itself: A → A"),
    "a condition that needs its own branch": (
        [condition("C", [at_most(get("Steps.I.x"), 2)], [echo("I")])],
        "waits for itself: ",
    ),
    "the other branch": (
        [condition("C", [at_most(1, 2)], [echo("I")], [echo("E", x=get("Steps.I.y"))])],
        "Steps.E: can never run: it needs steps of both branches of 'C'",
    ),
    "both branches, from afar": (
        [BRANCHES, echo("X", ["I"]), echo("Y", ["E", "X"])],
        "Steps.Y: can never run: it needs steps of both branches of 'C'",
    ),
    "no conditions": ([condition("C", [])], "Steps.C.Arguments.Conditions: no list of conditions"),
    "a condition without a side": (
        [condition("C", [{"Type": "Equals", "LeftValue": 1}])],
        "Steps.C.Arguments.Conditions[0].RightValue: missing from Equals",
    ),
    "branches that are no list": (
        [condition("C", [at_most(1, 2)]) | {"Arguments": {"Conditions": [1], "IfSteps": {}}}],
        "Steps.C.Arguments.IfSteps: not a list of steps",
    ),
    "a nameless step in a branch": (
        [condition("C", [at_most(1, 2)], [{"Type": "Fail"}])],
        "Steps.C.Arguments.IfSteps[0]: Object missing required field `Name`",
    ),
    "a message that is no text": (
        [fail("F", 7)],
        "Steps.F.Arguments.ErrorMessage: not a text",
    ),
    "a property file without a path": (
        [echo("A") | {"PropertyFiles": [{"PropertyFileName": "x", "OutputName": "y"}]}],
        "Steps[0].PropertyFiles[0]: Object missing required field `FilePath`",
    ),
}


@pytest.mark.parametrize(("steps", "problem"), BAD.values(), ids=BAD)
def test_what_cannot_run_is_refused_by_name(steps, problem):
    text = json.dumps(steps) if isinstance(steps, dict) else definition(*steps, parameters=[P])
    with pytest.raises(InvalidInput) as caught:
        check(parse(text), KINDS, anything)
    assert problem in caught.value.message


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ({"Name": "P", "Type": "Date"}, "Parameters[0].Type: Invalid enum value 'Date'"),
        ({"Type": "String"}, "Parameters[0]: Object missing required field `Name`"),
        ({"Name": "a b", "Type": "String"}, "Parameters[0].Name: 'a b'; legal: 1 to 256"),
        ({"Name": "P", "Type": "Integer", "DefaultValue": "x"}, "Parameters.P: 'x' is no Integer"),
        ({"Name": "P", "Type": "String", "DefaultValue": 1}, "Parameters.P: 1 is no String"),
        (
            {"Name": "P", "Type": "String", "DefaultValue": "c", "EnumValues": ["a", "b"]},
            "Parameters.P: 'c' is not allowed; legal: a, b",
        ),
        ({"Name": "P", "Type": "Boolean", "EnumValues": [1]}, "Parameters.P: 1 is no Boolean"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(parameter, problem):
    with pytest.raises(InvalidInput) as caught:
        parse(definition(echo("A"), parameters=[parameter]))
    assert problem in caught.value.message


def test_a_cycle_is_written_out_in_the_order_of_waiting():
    steps = [echo("A", ["B"]), echo("B", x=get("Steps.C.x")), echo("C", ["A"]), echo("D", ["A"])]
    with pytest.raises(InvalidInput) as caught:
        check(parse(definition(*steps)), KINDS, anything)
    path = caught.value.problem.removeprefix("waits for itself: ").split(" → ")
    waits = {"A": "B", "B": "C", "C": "A"}
    assert path[0] == path[-1]
    assert [waits[name] for name in path[:-1]] == path[1:]


@pytest.mark.parametrize("kind", ["EMR", "EMRServerless", "AutoML", "InferenceComponent"])
def test_a_type_that_is_not_offered_is_named(kind):
    with pytest.raises(NotSupported, match=rf"^Steps\.A\.Type: steps of type {kind} are not"):
        check(parse(definition({"Name": "A", "Type": kind})), KINDS, anything)


def test_what_to_do_instead_of_what_is_not_offered_is_said():
    hints = {
        "EMR": "Processing step",
        "AutoML": "Tuning step",
        "InferenceComponent": "Fail",
    }
    for kind, hint in hints.items():
        with pytest.raises(NotSupported) as caught:
            check(parse(definition({"Name": "A", "Type": kind})), KINDS, anything)
        assert hint in caught.value.hint


def test_what_a_kind_refuses_gets_the_name_of_its_step():
    class Picky(EchoStep):
        def check(self, step):
            raise InvalidInput("Arguments.x", "is odd", legal="even")

    with pytest.raises(ClaryError, match=r"^Steps\.A\.Arguments\.x: is odd; legal: even$"):
        check(parse(definition(echo("A"))), KINDS | {"Processing": Picky()}, anything)


def test_legal_definitions_pass():
    steps = [
        echo("A", ProcessingOutputConfig=OUTPUTS, n=get("Parameters.P")),
        echo("B", x=get("Steps.A.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri")),
        condition(
            "C",
            [at_most(json_get("B"), get("Parameters.P"))],
            [echo("I"), condition("C2", [at_most(1, 2)], [echo("J", ["I", "A"])])],
            [fail("F", {"Std:Join": {"On": "", "Values": [get("Steps.A.anything.at.all")]}})],
            ["A"],
        ),
        echo("Z", ["J", "C"]),
    ]
    check(parse(definition(*steps, parameters=[P])), KINDS, anything)


def test_the_abalone_example_passes():
    example = Path(__file__).parents[2] / "examples" / "abalone" / "definition.json"
    kinds = KINDS | dict.fromkeys(["Training", "Transform", "Model", "RegisterModel"], EchoStep())
    check(parse(example.read_text()), kinds, check_property)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("Modelartifacts.S3ModelArtifacts", "no 'Modelartifacts' in DescribeTrainingJobResponse"),
        ("ModelArtifacts.S3Model", "no 'S3Model' in ModelArtifacts; legal: S3ModelArtifacts"),
        ("ModelArtifacts.S3ModelArtifacts.x", "nothing below S3Uri, which is a string"),
        ("FinalMetricDataList['rmse'].Val", "no 'Val' in MetricData"),
        ("HyperParameters.eta.x", "nothing below HyperParameterValue"),
    ],
)
def test_properties_that_no_step_of_the_type_has_are_refused(path, problem):
    train = {"Name": "T", "Type": "Training"}
    text = definition(train, echo("A", x=get(f"Steps.T.{path}")))
    with pytest.raises(InvalidInput) as caught:
        check(parse(text), KINDS | {"Training": EchoStep()}, check_property)
    assert caught.value.field == "Steps.A.Arguments.x"
    assert f"Steps.T.{path} leads nowhere: {problem}" in caught.value.message


@pytest.mark.parametrize(
    "path",
    [
        "ModelArtifacts.S3ModelArtifacts",
        "FinalMetricDataList['validation:rmse'].Value",
        "FinalMetricDataList[0].Value",
        "HyperParameters['eta']",
        "SecondaryStatusTransitions[0].Status",
    ],
)
def test_properties_of_the_api_model_are_known(path):
    train = {"Name": "T", "Type": "Training"}
    text = definition(train, echo("A", x=get(f"Steps.T.{path}")))
    check(parse(text), KINDS | {"Training": EchoStep()}, check_property)
