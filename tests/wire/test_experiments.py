"""Experiments, trials and components, as boto3 sees them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def made(sagemaker, name):
    """Make an experiment, a trial and two components in it."""
    sagemaker.create_experiment(ExperimentName=name, Description="what for")
    sagemaker.create_trial(TrialName=f"{name}-t", ExperimentName=name)
    for letter in "ab":
        sagemaker.create_trial_component(
            TrialComponentName=f"{name}-{letter}",
            Parameters={"rate": {"NumberValue": 0.5}, "kind": {"StringValue": letter}},
            Tags=[{"Key": "letter", "Value": letter}],
        )
        sagemaker.associate_trial_component(
            TrialComponentName=f"{name}-{letter}", TrialName=f"{name}-t"
        )
    return name


def refused(call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value.response["Error"]


def test_what_is_made_is_described(sagemaker, made):
    experiment = sagemaker.describe_experiment(ExperimentName=made.upper())
    assert experiment["ExperimentName"] == experiment["DisplayName"] == made
    assert experiment["Description"] == "what for"
    assert experiment["ExperimentArn"].endswith(f":experiment/{made}")
    assert experiment["CreatedBy"]["IamIdentity"]["Arn"].startswith("arn:aws:")
    trial = sagemaker.describe_trial(TrialName=f"{made}-t")
    assert trial["ExperimentName"] == made
    component = sagemaker.describe_trial_component(TrialComponentName=f"{made}-a")
    assert component["Parameters"] == {"rate": {"NumberValue": 0.5}, "kind": {"StringValue": "a"}}
    assert component["TrialComponentArn"].endswith(f":experiment-trial-component/{made}-a")
    by_arn = sagemaker.describe_trial_component(TrialComponentName=component["TrialComponentArn"])
    assert by_arn["TrialComponentName"] == f"{made}-a"
    tags = sagemaker.list_tags(ResourceArn=component["TrialComponentArn"])["Tags"]
    assert tags == [{"Key": "letter", "Value": "a"}]


@pytest.mark.parametrize("kind", ["experiment", "trial", "trial_component"])
def test_a_name_is_given_once_whatever_its_case(sagemaker, made, kind):
    name = {"experiment": made, "trial": f"{made}-t", "trial_component": f"{made}-a"}[kind]
    member = {"experiment": "ExperimentName", "trial": "TrialName"}.get(kind, "TrialComponentName")
    more = {"ExperimentName": made} if kind == "trial" else {}
    error = refused(getattr(sagemaker, f"create_{kind}"), **{member: name.upper(), **more})
    assert error["Code"] == "ValidationException"
    assert "already exists" in error["Message"]


@pytest.mark.parametrize("kind", ["experiment", "trial", "trial_component"])
def test_what_there_is_not_is_not_found(sagemaker, kind):
    member = {"experiment": "ExperimentName", "trial": "TrialName"}.get(kind, "TrialComponentName")
    for verb in ("describe", "update", "delete"):
        error = refused(getattr(sagemaker, f"{verb}_{kind}"), **{member: "no-such"})
        assert error["Code"] == "ResourceNotFound"


def test_lists_name_what_belongs_together(sagemaker, made, name):
    def names(member, **asked):
        page = sagemaker.list_trial_components(**asked)
        return [one[member] for one in page["TrialComponentSummaries"]]

    both = [f"{made}-b", f"{made}-a"]
    assert names("TrialComponentName", ExperimentName=made) == both
    assert names("TrialComponentName", TrialName=f"{made}-t") == both
    ascending = {"SortBy": "Name", "SortOrder": "Ascending"}
    assert names("TrialComponentName", TrialName=f"{made}-t", **ascending) == both[::-1]
    assert (
        names("TrialComponentName", ExperimentName=made, CreatedBefore=datetime(2020, 1, 1)) == []
    )
    pages = sagemaker.get_paginator("list_trial_components").paginate(
        ExperimentName=made, PaginationConfig={"PageSize": 1}
    )
    assert [
        one["TrialComponentName"] for page in pages for one in page["TrialComponentSummaries"]
    ] == both
    trials = sagemaker.list_trials(ExperimentName=made)["TrialSummaries"]
    assert [one["TrialName"] for one in trials] == [f"{made}-t"]
    trials = sagemaker.list_trials(TrialComponentName=f"{made}-a")["TrialSummaries"]
    assert [one["TrialName"] for one in trials] == [f"{made}-t"]
    experiments = sagemaker.list_experiments(MaxResults=100)["ExperimentSummaries"]
    assert made in [one["ExperimentName"] for one in experiments]
    error = refused(sagemaker.list_trial_components, ExperimentName=made, TrialName=f"{made}-t")
    assert "do not go together" in error["Message"]
    error = refused(sagemaker.list_trial_components, ExperimentName="no-such")
    assert error["Code"] == "ResourceNotFound"


def test_a_component_is_changed_by_name(sagemaker, made):
    name = f"{made}-a"
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sagemaker.update_trial_component(
        TrialComponentName=name,
        DisplayName="better",
        StartTime=start,
        Status={"PrimaryStatus": "InProgress", "Message": "going on"},
        Parameters={"rate": {"NumberValue": 2}, "depth": {"NumberValue": 3}},
        OutputArtifacts={"model": {"Value": "s3://b/k", "MediaType": "text/plain"}},
    )
    sagemaker.update_trial_component(
        TrialComponentName=name,
        ParametersToRemove=["kind", "never-there"],
        InputArtifacts={"data": {"Value": "s3://b/d"}},
        OutputArtifactsToRemove=["model"],
    )
    found = sagemaker.describe_trial_component(TrialComponentName=name)
    assert found["DisplayName"] == "better"
    assert found["StartTime"] == start
    assert found["Status"] == {"PrimaryStatus": "InProgress", "Message": "going on"}
    assert found["Parameters"] == {"rate": {"NumberValue": 2.0}, "depth": {"NumberValue": 3.0}}
    assert found["InputArtifacts"] == {"data": {"Value": "s3://b/d"}}
    assert found["OutputArtifacts"] == {}


@pytest.mark.parametrize(
    "value", [{}, {"NumberValue": 1.0, "StringValue": "a"}, {"NumberValue": float("nan")}]
)
def test_a_parameter_is_either_a_number_or_a_text(sagemaker, made, value):
    for call in (sagemaker.create_trial_component, sagemaker.update_trial_component):
        name = f"{made}-{'n' if call == sagemaker.create_trial_component else 'a'}"
        error = refused(call, TrialComponentName=name, Parameters={"p": value})
        assert error["Code"] == "ValidationException"
        assert "Parameters.p: " in error["Message"]
        assert "either a finite NumberValue or a StringValue" in error["Message"]


def test_a_component_is_in_several_trials_of_several_experiments(sagemaker, made):
    name, other = f"{made}-a", f"{made}-2"
    sagemaker.create_experiment(ExperimentName=other)
    for trial in (f"{made}-u", f"{made}-v"):
        sagemaker.create_trial(TrialName=trial, ExperimentName=other)
        for _ in range(2):
            sagemaker.associate_trial_component(TrialComponentName=name, TrialName=trial)

    def members(experiment):
        page = sagemaker.list_trial_components(ExperimentName=experiment)
        return [one["TrialComponentName"] for one in page["TrialComponentSummaries"]]

    assert members(other) == [name]
    sagemaker.disassociate_trial_component(TrialComponentName=name, TrialName=f"{made}-u")
    assert members(other) == [name]
    sagemaker.disassociate_trial_component(TrialComponentName=name, TrialName=f"{made}-v")
    assert members(other) == []
    assert name in members(made)
    error = refused(
        sagemaker.disassociate_trial_component,
        TrialComponentName=name,
        TrialName=f"{made}-v",
    )
    assert error["Code"] == "ResourceNotFound"


def test_what_holds_something_is_not_deleted(sagemaker, made):
    assert "is not empty" in refused(sagemaker.delete_experiment, ExperimentName=made)["Message"]
    assert "is not empty" in refused(sagemaker.delete_trial, TrialName=f"{made}-t")["Message"]
    for letter in "ab":
        named = {"TrialComponentName": f"{made}-{letter}"}
        assert "in 1 trials" in refused(sagemaker.delete_trial_component, **named)["Message"]
        sagemaker.disassociate_trial_component(**named, TrialName=f"{made}-t")
        sagemaker.delete_trial_component(**named)
    sagemaker.delete_trial(TrialName=f"{made}-t")
    sagemaker.delete_experiment(ExperimentName=made)
    assert refused(sagemaker.describe_experiment, ExperimentName=made)["Code"] == "ResourceNotFound"
