import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.conftest import at_most, condition, definition, echo, fail, get

from clary.kernel.errors import InvalidInput
from clary.pipelines.expressions import Scope, as_text
from clary.pipelines.model import MAX_BYTES, Parameter, parse

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_steps_of_branches_stand_among_the_others_with_their_condition():
    inner = condition("C2", [at_most(1, get("Steps.B.x"))], [echo("D")])
    outer = condition(
        "C", [at_most(get("Steps.A.x"), 2)], [echo("B", x=1), inner], [fail("F", "no")]
    )
    steps = parse(definition(echo("A", x=1), outer)).steps
    assert list(steps) == ["A", "C", "B", "C2", "D", "F"]
    assert {name: sorted(step.dependencies) for name, step in steps.items()} == {
        "A": [],
        "C": ["A"],
        "B": ["C"],
        "C2": ["B", "C"],
        "D": ["C2"],
        "F": ["C"],
    }
    assert (steps["F"].condition, steps["F"].branch) == ("C", "ElseSteps")
    assert "IfSteps" not in steps["C"].document["Arguments"]


@given(JSON)
def test_any_json_is_a_definition_or_refused(document):
    with pytest.raises(InvalidInput):
        parse(json.dumps(document))


@given(
    st.dictionaries(
        st.sampled_from(["Name", "Type", "Arguments", "DependsOn", "PropertyFiles"]), JSON
    )
)
def test_any_step_is_read_or_refused(step):
    try:
        places = [f"Steps.{name}" for name in parse(definition(step)).steps]
    except InvalidInput as error:
        places = [error.field]
    assert all(place.startswith("Steps") for place in places)


@pytest.mark.parametrize("text", ["", "{", "\ud800", '{"a": NaN}', "[" * 100_000, '"x"'])
def test_what_is_not_json_is_refused(text):
    with pytest.raises(InvalidInput, match="PipelineDefinition"):
        parse(text)


def test_bounds():
    with pytest.raises(InvalidInput, match=r"at most 8388608"):
        parse(" " * (MAX_BYTES + 1))
    with pytest.raises(InvalidInput, match="nested too deeply"):
        parse(definition(echo("A", x=json.loads("[" * 99 + "]" * 99))))
    with pytest.raises(InvalidInput, match="2001 of them; legal: 1 to 2000"):
        parse(definition(*(echo(f"s{index}") for index in range(2001))))
    with pytest.raises(InvalidInput, match="Parameters: 201 of them"):
        parse(definition(echo("A"), parameters=[{"Name": "p", "Type": "String"}] * 201))


@given(st.integers(-(10**18) + 1, 10**18 - 1) | st.floats(allow_nan=False) | st.booleans())
def test_values_survive_being_written_as_text(value):
    kind = {bool: "Boolean", int: "Integer", float: "Float"}[type(value)]
    parameter = Parameter("p", kind)
    if isinstance(value, float) and math.isinf(value):
        with pytest.raises(InvalidInput):
            parameter.read(value)
    else:
        assert parameter.read(as_text(value)) == value
        assert parameter.read(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Integer", "1.0"),
        ("Integer", 1.0),
        ("Integer", True),
        ("Integer", ""),
        ("Integer", "\u0661"),
        ("Integer", "9" * 40),
        ("Float", "nan"),
        ("Float", "1e999"),
        ("Float", "1_0"),
        ("Float", True),
        ("Boolean", "yes"),
        ("Boolean", 1),
        ("String", 1),
        ("String", "x" * 1025),
    ],
)
def test_a_value_of_another_type_is_refused(kind, value):
    with pytest.raises(InvalidInput, match=r"^Parameters\.p: "):
        Parameter("p", kind).read(value)


def test_the_texts_of_the_sdk_are_read():
    assert Parameter("p", "Boolean").read("True") is True
    assert Parameter("p", "Boolean").read("false") is False
    assert Parameter("p", "Float").read("6") == 6.0


def test_parameters_have_values():
    parameters = [
        {"Name": "Threshold", "Type": "Float", "DefaultValue": 6},
        {"Name": "Size", "Type": "String", "DefaultValue": "s", "EnumValues": ["s", "m"]},
        {"Name": "Count", "Type": "Integer"},
    ]
    parsed = parse(definition(echo("A"), parameters=parameters))
    assert parsed.values([("Count", "3")]) == {"Threshold": 6.0, "Size": "s", "Count": 3}
    assert parsed.values([("Size", "m"), ("Count", "3")])["Size"] == "m"
    for given_, problem in (
        ([], r"Parameters\.Count: has no default"),
        ([("Count", "x")], r"Parameters\.Count: 'x' is no Integer"),
        ([("Count", "3"), ("Count", "3")], r"Parameters\.Count: given twice"),
        ([("Count", "3"), ("Size", "l\0")], r"Parameters\.Size: .* that no job can be given"),
        ([("Count", "3"), ("Size", "l")], r"Parameters\.Size: 'l' is not allowed; legal: s, m"),
        ([("Other", "3")], r"Parameters\.Other: no such parameter; legal: Threshold, Size, Count"),
    ):
        with pytest.raises(InvalidInput, match=problem):
            parsed.values(given_)


def test_what_is_beside_arguments_is_resolved_too():
    step = {"Name": "A", "Type": "Echo", "Skip": get("Parameters.Skip"), "Arguments": {"x": 1}}
    [found] = parse(definition(step)).steps.values()
    scope = Scope({"Skip": True}, {}, {}, str)
    assert found.settled(scope) == step | {"Skip": True}
    [plain] = parse(definition(echo("B", x=get("Parameters.Skip")))).steps.values()
    assert plain.settled(scope) is plain.document
