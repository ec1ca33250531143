"""Search, as boto3 sees it, and its expressions against a naive reading of them."""

from __future__ import annotations

import contextlib
import json

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire import model
from clary.doors.wire.search_expressions import Search
from clary.kernel.errors import InvalidInput

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.2-1"
SHAPES = model.service("sagemaker").shapes


def equals(name, value, operator="Equals"):
    return {"Name": name, "Operator": operator, "Value": value}


@pytest.fixture
def found(sagemaker):
    def search(resource, *filters, member=None, **more):
        asked = {"SearchExpression": {"Filters": list(filters)}} if filters else {}
        results = sagemaker.search(Resource=resource, **asked, **more)["Results"]
        return [record[resource][member or f"{resource}Name"] for record in results]

    return search


@pytest.fixture
def groups(sagemaker, name):
    names = [f"{name}-{letter}" for letter in "abc"]
    for one in names:
        tags = [{"Key": "of", "Value": name}, {"Key": "letter", "Value": one[-1]}]
        sagemaker.create_model_package_group(ModelPackageGroupName=one, Tags=tags)
    return names


def test_groups_are_found_by_name_and_tag(sagemaker, found, groups, name):
    a, b, c = groups
    assert found("ModelPackageGroup", equals("ModelPackageGroupName", b)) == [b]
    assert found("ModelPackageGroup", equals("ModelPackageGroupName", f"{b}x")) == []
    mine = equals("Tags.of", name)
    assert found("ModelPackageGroup", mine) == [c, b, a]
    assert found("ModelPackageGroup", mine, SortOrder="Ascending") == groups
    assert found("ModelPackageGroup", mine, SortBy="ModelPackageGroupName") == [c, b, a]
    assert found("ModelPackageGroup", mine, SortBy="Tags.letter", SortOrder="Ascending") == groups
    assert found("ModelPackageGroup", mine, equals("Tags.letter", "b, c", "In")) == [c, b]
    assert found("ModelPackageGroup", mine, equals("Tags.letter", "b", "NotEquals")) == [c, a]
    record = sagemaker.search(Resource="ModelPackageGroup", SearchExpression={"Filters": [mine]})
    assert record["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    tags = record["Results"][0]["ModelPackageGroup"]["Tags"]
    assert (
        tags
        == sagemaker.list_tags(
            ResourceArn=record["Results"][0]["ModelPackageGroup"]["ModelPackageGroupArn"]
        )["Tags"]
    )
    assert found("ModelPackageGroup", mine, CrossAccountFilterOption="CrossAccount") == []


def test_results_come_in_pages(sagemaker, groups, name):
    pages = sagemaker.get_paginator("search").paginate(
        Resource="ModelPackageGroup",
        SearchExpression={"Filters": [equals("Tags.of", name)]},
        SortBy="ModelPackageGroupName",
        SortOrder="Ascending",
        PaginationConfig={"PageSize": 1},
    )
    pages = [page["Results"] for page in pages]
    assert [
        [one["ModelPackageGroup"]["ModelPackageGroupName"] for one in page] for page in pages
    ] == [[group] for group in groups]


def test_a_training_job_is_found_by_its_model(sagemaker, found, name):
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://none-of-tests/train"}}
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters={"num_round": "3"},
        InputDataConfig=[
            {"ChannelName": channel, "DataSource": source} for channel in ("train", "validation")
        ],
        OutputDataConfig={"S3OutputPath": "s3://none-of-tests/models"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    uri = f"s3://none-of-tests/models/{name}/output/model.tar.gz"
    mine = equals("ModelArtifacts.S3ModelArtifacts", uri)
    assert found("TrainingJob", mine) == [name]
    assert found("TrainingJob", mine, equals("HyperParameters.num_round", "3")) == [name]
    assert found("TrainingJob", mine, equals("ResourceConfig.InstanceCount", "1.0")) == [name]
    assert found("TrainingJob", mine, equals("ResourceConfig.InstanceCount", "1", "LessThan")) == []
    assert (
        found("TrainingJob", mine, equals("CreationTime", "2024-01-01T00:00:00", "LessThan")) == []
    )
    channels = [equals("InputDataConfig.ChannelName", "train")]
    for uri, names in (("s3://none", [name]), ("s3://other", [])):
        inner = "InputDataConfig.DataSource.S3DataSource.S3Uri"
        nested = {
            "NestedPropertyName": "InputDataConfig",
            "Filters": [*channels, equals(inner, uri, "Contains")],
        }
        expression = {"Filters": [mine], "NestedFilters": [nested]}
        results = sagemaker.search(Resource="TrainingJob", SearchExpression=expression)["Results"]
        assert [one["TrainingJob"]["TrainingJobName"] for one in results] == names


def test_pipelines_and_executions_are_found(sagemaker, found, name):
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
    parameter = {"Name": "p", "Type": "String", "DefaultValue": name}
    definition = {"Version": "2020-12-01", "Parameters": [parameter], "Steps": [step]}
    sagemaker.create_pipeline(
        PipelineName=name,
        RoleArn=ROLE,
        PipelineDefinition=json.dumps(definition),
        ClientRequestToken="t" * 32,
    )
    made = sagemaker.start_pipeline_execution(PipelineName=name, ClientRequestToken="t" * 32)
    assert found("Pipeline", equals("PipelineName", name)) == [name]
    mine = equals("PipelineParameters.Value", name)
    assert found("PipelineExecution", mine, member="PipelineExecutionArn") == [
        made["PipelineExecutionArn"]
    ]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"SearchExpression": {"Filters": [equals("Nme", "a")]}}, "'Nme' is no property of Train"),
        ({"SearchExpression": {"Filters": [equals("TrainingJobName.x", "a")]}}, "is no property"),
        ({"SearchExpression": {}}, "it asks for nothing"),
        (
            {"SearchExpression": {"Filters": [equals("TrainingJobName", "a", "LessThan")]}},
            "legal: Equals, NotEquals, Contains, In, Exists",
        ),
        (
            {"SearchExpression": {"Filters": [equals("ResourceConfig", "a")]}},
            "'Equals' of the structure ResourceConfig; legal: Exists, NotExists",
        ),
        ({"SearchExpression": {"Filters": [{"Name": "TrainingJobName"}]}}, "Value: missing"),
        ({"SearchExpression": {"Filters": [equals("CreationTime", "soon")]}}, "'soon' for Creat"),
        ({"SortBy": "ResourceConfig"}, "ResourceConfig is a structure"),
        ({"SortBy": "Nme"}, "'Nme' is no property"),
        ({"NextToken": "junk"}, "is not a token of this list"),
    ],
)
def test_what_makes_no_sense_is_refused(sagemaker, params, words):
    with pytest.raises(ClientError) as refused:
        sagemaker.search(Resource="TrainingJob", **params)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert words in refused.value.response["Error"]["Message"]


def test_what_is_not_searched_is_named(sagemaker):
    with pytest.raises(ClientError, match="Search for Endpoint is not offered"):
        sagemaker.search(Resource="Endpoint")


NAMES = ("TrainingJobName", "ModelArtifacts.S3ModelArtifacts", "InputDataConfig.ChannelName")
WORDS = st.sampled_from(["a", "ab", "b"])
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "TrainingJobName": WORDS,
        "ModelArtifacts": st.fixed_dictionaries({}, optional={"S3ModelArtifacts": WORDS}),
        "InputDataConfig": st.lists(
            st.fixed_dictionaries({}, optional={"ChannelName": WORDS}), max_size=2
        ),
    },
)
OPERATORS = st.sampled_from(["Equals", "NotEquals", "Contains", "In", "Exists", "NotExists"])
FILTERS = st.builds(equals, st.sampled_from(NAMES), WORDS, OPERATORS)
EXPRESSIONS = st.recursive(
    st.fixed_dictionaries({"Filters": st.lists(FILTERS, min_size=1, max_size=2)}),
    lambda inner: st.fixed_dictionaries(
        {"SubExpressions": st.lists(inner, min_size=1, max_size=2)},
        optional={
            "Operator": st.sampled_from(["And", "Or"]),
            "Filters": st.lists(FILTERS, min_size=1, max_size=2),
        },
    ),
    max_leaves=4,
)


def holds(document, asked):
    values = {
        "TrainingJobName": [document.get("TrainingJobName")],
        "ModelArtifacts.S3ModelArtifacts": [
            document.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        ],
        "InputDataConfig.ChannelName": [
            channel.get("ChannelName") for channel in document.get("InputDataConfig", [])
        ],
    }[asked["Name"]]
    values = [value for value in values if value is not None]
    wanted = asked["Value"]
    return {
        "Equals": wanted in values,
        "In": wanted in values,
        "NotEquals": wanted not in values,
        "Contains": any(wanted in value for value in values),
        "Exists": bool(values),
        "NotExists": not values,
    }[asked["Operator"]]


def matches(document, expression):
    parts = [holds(document, asked) for asked in expression.get("Filters", [])]
    parts += [matches(document, inner) for inner in expression.get("SubExpressions", [])]
    return any(parts) if expression.get("Operator") == "Or" else all(parts)


@given(DOCUMENTS, EXPRESSIONS)
def test_an_expression_finds_what_it_says(document, expression):
    test = Search(SHAPES, "TrainingJob").expression(expression)
    assert test(document) == matches(document, expression)


@given(st.text())
def test_a_name_is_a_property_or_refused(name):
    with contextlib.suppress(InvalidInput):
        assert Search(SHAPES, "ModelPackage").find(name).kind
