import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.pipelines.expressions import (
    Scope,
    StepOutput,
    as_text,
    parse_get,
    parse_path,
    references,
    resolve,
    walk,
)

KEYS = st.text("abcXYZ019 _-:é", min_size=1, max_size=6)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), KEYS)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=20,
)


def scope(**more):
    empty = {"parameters": {}, "variables": {}, "steps": {}, "read": lambda uri: "null"}
    return Scope(**empty | more)


def spell(path, draw):
    """Write a path in one of the ways it may be written."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif draw(st.booleans()) and re.fullmatch(r"[^.\[\]'\"]+", key):
            text += f".{key}" if text else key
        else:
            text += draw(st.sampled_from([f"['{key}']", f'["{key}"]']))
    return text


@given(st.data())
def test_a_path_leads_where_plain_indexing_does(data):
    document = here = data.draw(DOCUMENTS)
    path = []
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        path.append(data.draw(st.sampled_from(keys)))
        here = here[path[-1]]
    if path:
        parsed = parse_path(spell(path, data.draw), place="Path")
        assert list(parsed) == path
        assert walk(document, parsed, text="x") == here


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_refused(text):
    try:
        found = str(parse_path(text, place="here"))
    except InvalidInput as error:
        found = error.field
    assert found == "here" or found.startswith("(")


def naive(value, parameters):
    if isinstance(value, dict) and list(value) == ["Get"]:
        return parameters[value["Get"].removeprefix("Parameters.")]
    if isinstance(value, dict) and list(value) == ["Std:Join"]:
        parts = [naive(item, parameters) for item in value["Std:Join"]["Values"]]
        return value["Std:Join"]["On"].join(as_text(part) for part in parts)
    if isinstance(value, dict):
        return {key: naive(item, parameters) for key, item in value.items()}
    return [naive(item, parameters) for item in value] if isinstance(value, list) else value


PARAMETERS = {"a": "text", "b": 6.0, "c": True, "d": 7}
GETS = st.sampled_from(sorted(PARAMETERS)).map(lambda name: {"Get": f"Parameters.{name}"})
JOINS = st.recursive(
    GETS | KEYS,
    lambda inner: st.builds(
        lambda on, values: {"Std:Join": {"On": on, "Values": values}},
        st.sampled_from(["", "/", "-"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)
TEMPLATES = st.recursive(
    SCALARS | JOINS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(TEMPLATES)
def test_resolve_agrees_with_a_naive_reading(template):
    assert resolve(template, scope(parameters=PARAMETERS)) == naive(template, PARAMETERS)


@given(TEMPLATES)
def test_every_get_is_found(template):
    found = [reference.get.text for reference in references(template, "top")]
    assert len(found) == json.dumps(template).count('"Get"')


def test_a_reference_says_where_it_stands():
    template = {"a": [1, {"b": {"Std:Join": {"On": "", "Values": ["x", {"Get": "Parameters.p"}]}}}]}
    assert [found.place for found in references(template, "S")] == ["S.a[1].b.Std:Join.Values[1]"]


def test_a_name_in_brackets_picks_from_a_list():
    outputs = [{"OutputName": "train", "S3Output": {"S3Uri": "s3://b/t"}}, {"OutputName": "test"}]
    steps = {"A": StepOutput({"ProcessingOutputConfig": {"Outputs": outputs}}, {})}
    path = "Steps.A.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"
    assert resolve({"Get": path}, scope(steps=steps)) == "s3://b/t"
    with pytest.raises(InvalidInput, match=r"nothing at .*'gone'.*legal: train, test"):
        resolve({"Get": "Steps.A.ProcessingOutputConfig.Outputs['gone'].x"}, scope(steps=steps))


def test_json_get_reads_what_python_writes():
    read = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    expression = {"Std:JsonGet": {"S3Uri": "s3://b/k", "Path": "mse"}}
    for text, value in read.items():
        found = resolve(expression, scope(read=lambda _, text=text: f'{{"mse": {text}}}'))
        assert repr(found) == repr(value)
    for text in ('{"mse": ', '{"mse": nan}', "[" * 5000, '{"mse": "\\ud800"}'):
        with pytest.raises(InvalidInput, match="s3://b/k: not valid JSON"):
            resolve(expression, scope(read=lambda _, text=text: text))


def test_json_get_reads_property_files_and_objects():
    steps = {"A-1_b": StepOutput({}, {"report": '{"m": {"mse": [1, {"c d": 2.5}]}}'})}
    file = {"PropertyFile": {"Get": "Steps.A-1_b.PropertyFiles.report"}, "Path": "m.mse[1]['c d']"}
    assert resolve({"Std:JsonGet": file}, scope(steps=steps)) == 2.5
    uri = {"Std:Join": {"On": "/", "Values": ["s3:/", "b", "e.json"]}}
    read = {"s3://b/e.json": '{"a": [true]}'}.__getitem__
    expression = {"Std:JsonGet": {"S3Uri": uri, "Path": "a[0]"}}
    assert resolve(expression, scope(read=read)) is True
    with pytest.raises(InvalidInput, match="not valid JSON"):
        resolve(expression, scope(read=lambda uri: "{"))
    with pytest.raises(InvalidInput, match="left no such property file"):
        resolve({"Std:JsonGet": file}, scope(steps={"A-1_b": StepOutput({}, {})}))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ({"Get": "Parameter.x"}, "cannot Get 'Parameter.x'"),
        ({"Get": "Parameters"}, "cannot Get"),
        ({"Get": "Execution.Nothing"}, "no execution variable 'Nothing'.*PipelineExecutionId"),
        ({"Get": "Steps.A"}, "cannot Get"),
        ({"Get": "Steps.A."}, "a path of 0 characters"),
        ({"Get": "Steps.A..b"}, "not a path"),
        ({"Get": "Steps.A.b[x]"}, "not a path"),
        ({"Get": "Steps.A.b['x"}, "not a path"),
        ({"Get": 5}, "cannot Get 5"),
        ({"Get": "Steps.A." + "x" * 2000}, "2000 characters"),
        ({"Std:Split": {}}, "no function 'Std:Split'; legal: Std:Join, Std:JsonGet"),
        ({"Std:Join": {"On": "/"}}, "Std:Join: malformed"),
        ({"Std:Join": {"On": 1, "Values": []}}, "Std:Join: malformed"),
        ({"Std:JsonGet": {"Path": "a"}}, "Std:JsonGet: malformed"),
        ({"Std:JsonGet": {"Path": "a", "S3Uri": "s3://b/k", "PropertyFile": {}}}, "malformed"),
        ({"Std:JsonGet": {"Path": "a", "PropertyFile": {"Get": "Steps.A.x"}}}, "no property file"),
        ({"Std:JsonGet": {"Path": "a", "PropertyFile": "report"}}, "cannot Get"),
        ({"Std:JsonGet": {"Path": "", "S3Uri": "s3://b/k"}}, "Path: a path of 0 characters"),
    ],
)
def test_a_malformed_expression_is_refused_where_it_stands(expression, problem):
    with pytest.raises(InvalidInput, match=problem) as caught:
        list(references({"x": [expression]}, "Steps.S"))
    assert caught.value.field.startswith("Steps.S.x[0]")


def test_what_cannot_be_joined_is_refused():
    for value in (None, [1], {"a": 1, "b": 2}):
        with pytest.raises(InvalidInput, match="cannot be joined"):
            resolve({"Std:Join": {"On": "", "Values": [value]}}, scope())


def test_objects_with_more_members_are_no_expressions():
    assert list(references({"Get": "Parameters.x", "Std:Join": 1})) == []
    assert parse_get("Parameters.a", place="p").name == "a"
