"""Search of what experiments hold: parameters, metrics, parents; pages that stay true."""

from __future__ import annotations

import math
import time

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire import model
from clary.doors.wire.search_expressions import Search

SHAPES = model.service("sagemaker").shapes
COMPONENT = "ExperimentTrialComponent"


def asks(name, operator, value=None):
    return {"Name": name, "Operator": operator, **({"Value": value} if value else {})}


@pytest.fixture
def components(sagemaker, server, name):
    """Make three components in a trial, whose rates are 0, 1, 2 and whose losses fall."""
    sagemaker.create_experiment(ExperimentName=name)
    sagemaker.create_trial(TrialName=f"{name}-T", ExperimentName=name)
    metrics = server.client("sagemaker-metrics")
    made = [f"{name}-{letter}" for letter in "abc"]
    for number, one in enumerate(made):
        sagemaker.create_trial_component(
            TrialComponentName=one,
            Status={"PrimaryStatus": "Completed" if number else "Failed"},
            Parameters={
                "rate": {"NumberValue": number},
                "kind.of": {"StringValue": f"k{number}"},
                "text": {"StringValue": str(number * 10)},
            },
            OutputArtifacts={"model": {"Value": f"s3://b/{one}"}},
            Tags=[{"Key": "n", "Value": str(number)}],
        )
        sagemaker.associate_trial_component(TrialComponentName=one, TrialName=f"{name}-T")
        points = [
            {
                "MetricName": "val:loss",
                "Value": float(9 - number - step),
                "Timestamp": str(int(time.time())),
                "Step": step,
            }
            for step in range(2)
        ]
        metrics.batch_put_metrics(TrialComponentName=one, MetricData=points)
    return made


@pytest.fixture
def found(sagemaker, components, name):
    def search(*filters, **more):
        mine = asks("Parents.ExperimentName", "Equals", name)
        results = sagemaker.search(
            Resource=COMPONENT, SearchExpression={"Filters": [mine, *filters]}, **more
        )["Results"]
        names = [one["TrialComponent"]["TrialComponentName"] for one in results]
        return "".join(one[-1] for one in names)

    return search


@pytest.mark.parametrize(
    ("asked", "letters"),
    [
        (asks("Parameters.rate", "GreaterThan", "0.5"), "cb"),
        (asks("Parameters.rate.NumberValue", "LessThanOrEqualTo", "1"), "ba"),
        (asks("Parameters.rate", "Equals", "1.0"), "b"),
        (asks("Parameters.text", "GreaterThan", "9"), "cb"),
        (asks("Parameters.kind.of", "Equals", "k2"), "c"),
        (asks("Parameters.kind.of", "NotEquals", "k2"), "ba"),
        (asks("Parameters.kind.of", "In", "k0, k1"), "ba"),
        (asks("Parameters.none", "NotExists"), "cba"),
        (asks("Metrics.val:loss", "LessThan", "7.5"), "cb"),
        (asks("metrics.val:loss.max", "GreaterThan", "8"), "a"),
        (asks("Metrics.val:loss.Count", "Equals", "2"), "cba"),
        (asks("Metrics.MetricName", "Equals", "val:loss"), "cba"),
        (asks("Metrics.other", "Exists"), ""),
        (asks("OutputArtifacts.model", "Contains", "-b"), "b"),
        (asks("OutputArtifacts.model.Value", "Contains", "-b"), "b"),
        (asks("Status.PrimaryStatus", "Equals", "Failed"), "a"),
        (asks("Tags.n", "Equals", "2"), "c"),
        (asks("CreationTime", "GreaterThan", "2024-01-01T00:00:00"), "cba"),
        (asks("CreationTime", "LessThan", "2024-01-01T00:00:00"), ""),
    ],
)
def test_components_are_found_by_what_they_hold(found, asked, letters):
    assert "".join(sorted(found(asked), reverse=True)) == letters


def test_components_are_found_by_trial_and_name(found, components, name):
    assert len(found(asks("Parents.TrialName", "Equals", f"{name}-T"))) == 3
    assert found(asks("Parents.TrialName", "Equals", f"{name}-none")) == ""
    assert found(asks("TrialComponentName", "Equals", components[1])) == "b"
    assert found(asks("TrialComponentName", "Contains", f"{name}-c")) == "c"


def test_any_value_gives_an_order(found):
    for by in ("Parameters.rate", "parameters.rate", "Tags.n", "TrialComponentName"):
        assert found(SortBy=by) == "cba"
        assert found(SortBy=by, SortOrder="Ascending") == "abc"
    assert found(SortBy="Metrics.val:loss.Min", SortOrder="Ascending") == "cba"
    assert found(SortBy="CreationTime", SortOrder="Ascending") == "abc"
    assert sorted(found(SortBy="Parameters.none")) == ["a", "b", "c"]


def test_nested_filters_hold_of_one_element(sagemaker, found, name):
    def nested(statistic, operator, value):
        filters = [
            asks("Metrics.MetricName", "Equals", "val:loss"),
            asks(f"Metrics.{statistic}", operator, value),
        ]
        expression = {
            "Filters": [asks("TrialComponentName", "Contains", name)],
            "NestedFilters": [{"NestedPropertyName": "Metrics", "Filters": filters}],
        }
        return len(sagemaker.search(Resource=COMPONENT, SearchExpression=expression)["Results"])

    assert nested("Max", "GreaterThan", "7.5") == 2
    assert nested("Max", "GreaterThan", "99") == 0


def test_results_say_everything(sagemaker, components, name):
    record = sagemaker.search(
        Resource=COMPONENT,
        SearchExpression={"Filters": [asks("TrialComponentName", "Equals", components[0])]},
    )["Results"][0]["TrialComponent"]
    assert record["Parents"] == [{"TrialName": f"{name}-T", "ExperimentName": name}]
    assert record["Metrics"][0]["MetricName"] == "val:loss"
    assert record["Tags"] == [{"Key": "n", "Value": "0"}]
    expression = {"Filters": [asks("TrialName", "Equals", f"{name}-T")]}
    (trial,) = sagemaker.search(Resource="ExperimentTrial", SearchExpression=expression)["Results"]
    lines = trial["Trial"]["TrialComponentSummaries"]
    assert sorted(line["TrialComponentName"] for line in lines) == components
    expression = {"Filters": [asks("ExperimentName", "Equals", name)]}
    (one,) = sagemaker.search(Resource="Experiment", SearchExpression=expression)["Results"]
    assert one["Experiment"]["ExperimentArn"].endswith(f":experiment/{name}")
    nothing = {"Filters": [{"Name": "FeatureGroupName", "Operator": "Equals", "Value": "no"}]}
    found = sagemaker.search(Resource="FeatureGroup", SearchExpression=nothing)
    assert found["Results"] == []


@pytest.mark.parametrize("by", ["CreationTime", "Parameters.rate", "TrialComponentName"])
def test_pages_stay_true_when_something_is_made_or_deleted(sagemaker, components, name, by):
    params = {
        "Resource": COMPONENT,
        "SearchExpression": {"Filters": [asks("TrialComponentName", "Contains", name)]},
        "SortBy": by,
        "MaxResults": 1,
    }
    seen = []
    answer = sagemaker.search(**params)
    while True:
        seen += [one["TrialComponent"]["TrialComponentName"][-1] for one in answer["Results"]]
        if "NextToken" not in answer:
            break
        if len(seen) == 1:
            late = f"{name}-d"
            sagemaker.create_trial_component(
                TrialComponentName=late, Parameters={"rate": {"NumberValue": 9}}
            )
        if len(seen) == 2:
            gone = {"TrialComponentName": components[2]}
            sagemaker.disassociate_trial_component(**gone, TrialName=f"{name}-T")
            sagemaker.delete_trial_component(**gone)
        answer = sagemaker.search(**params, NextToken=answer["NextToken"])
    assert seen == ["c", "b", "a"]


def test_a_token_belongs_to_its_search(sagemaker, components, name):
    mine = {"Filters": [asks("TrialComponentName", "Contains", name)]}
    token = sagemaker.search(Resource=COMPONENT, SearchExpression=mine, MaxResults=1)["NextToken"]
    with pytest.raises(ClientError, match="is not a token of this list"):
        sagemaker.search(Resource=COMPONENT, NextToken=token)


def test_names_are_suggested(sagemaker, components):
    def suggested(resource, hint):
        query = {"PropertyNameQuery": {"PropertyNameHint": hint}}
        answer = sagemaker.get_search_suggestions(Resource=resource, SuggestionQuery=query)
        return [one["PropertyName"] for one in answer["PropertyNameSuggestions"]]

    assert "Parameters.kind.of" in suggested(COMPONENT, "parameters.k")
    assert "Metrics.val:loss" in suggested(COMPONENT, "Metrics.v")
    assert "Tags.n" in suggested(COMPONENT, "Tags")
    assert suggested("TrainingJob", "TrainingJobN") == ["TrainingJobName"]
    assert suggested("TrainingJob", "nothing like it") == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (asks("Parameters.rate", "LessThan", "much"), "is no number"),
        (asks("Metrics.loss", "Contains", "1"), "'Contains' of the double Metrics.loss"),
        (asks("Parents.Name", "Equals", "x"), "'Parents.Name' is no property"),
    ],
)
def test_what_makes_no_sense_is_refused(sagemaker, asked, words):
    with pytest.raises(ClientError, match=words):
        sagemaker.search(Resource=COMPONENT, SearchExpression={"Filters": [asked]})


HELD = st.none() | st.sampled_from(["0.5", "2", "2.7", "x", "1e1", "nan"])
OPERATORS = ["Equals", "NotEquals", "LessThan", "GreaterThanOrEqualTo"]


@given(HELD, st.sampled_from(OPERATORS), st.sampled_from(["0.5", "2", "2.5", "-3"]))
def test_hyperparameters_compare_as_numbers(held, operator, wanted):
    document = {} if held is None else {"HyperParameters": {"p": held}}
    test = Search(SHAPES, "TrainingJob").expression(
        {"Filters": [asks("HyperParameters.p", operator, wanted)]}
    )
    try:
        number = float(held)
    except (TypeError, ValueError):
        number = None
    if number is not None and "." not in wanted and math.isfinite(number):
        number = float(int(number))
    holds = {
        "Equals": number is not None and number == float(wanted),
        "NotEquals": number is None or number != float(wanted),
        "LessThan": number is not None and number < float(wanted),
        "GreaterThanOrEqualTo": number is not None and number >= float(wanted),
    }
    assert test(document) == holds[operator]
