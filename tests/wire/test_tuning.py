"""Tuning jobs, as boto3 sees them."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError
from tests.tuning.conftest import continuous, definition, ranges, request

from clary.kernel.clock import now
from clary.kernel.names import parse_arn
from clary.kernel.resource import Bucket

BUCKET = "tuning-of-tests"


@pytest.fixture(scope="module", autouse=True)
def data(platform):
    platform.objects.create_bucket(Bucket(BUCKET, "123456789012", "us-east-1", now()))
    rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
    platform.objects.put(BUCKET, "train/rows.csv", [rows.encode()])


def channel(name):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": source},
    }


def document(name, rounds=3, most=2, parallel=2, **config):
    trained = definition(
        {"num_round": str(rounds), "objective": "reg:squarederror"},
        InputDataConfig=[channel("train"), channel("validation")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
    )
    searched = ranges(
        real=[continuous("eta", "0.1", "0.9")], integer=[continuous("max_depth", "1", "5")]
    )
    config = {"Strategy": "Bayesian", **config}
    whole = request(most, parallel, searched=searched, trained=trained, **config)
    return {**whole, "HyperParameterTuningJobName": name}


def ended(client, name):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if found["HyperParameterTuningJobStatus"] in {"Completed", "Failed", "Stopped"}:
            return found
        time.sleep(0.05)
    pytest.fail(f"{name} does not end: {found}")


@pytest.fixture
def tuning(name):
    return name[:32].rstrip("-")


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]


def test_a_tuning_job_lives(sagemaker, tuning):
    name = tuning
    made = sagemaker.create_hyper_parameter_tuning_job(
        **document(name), Tags=[{"Key": "team", "Value": "sea"}]
    )
    assert made["HyperParameterTuningJobArn"].endswith(f":hyper-parameter-tuning-job/{name}")
    found = ended(sagemaker, name)
    assert found["HyperParameterTuningJobStatus"] == "Completed", found
    listed = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, SortBy="FinalObjectiveMetricValue"
    )["TrainingJobSummaries"]
    assert len(listed) == 2
    assert listed[0] == found["BestTrainingJob"]
    best = sagemaker.describe_training_job(TrainingJobName=listed[0]["TrainingJobName"])
    assert best["TuningJobArn"] == found["HyperParameterTuningJobArn"]
    assert best["HyperParameters"]["_tuning_objective_metric"] == "validation:rmse"
    assert best["TrainingJobStatus"] == "Completed"
    tags = sagemaker.list_tags(ResourceArn=best["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "sea"}]
    summaries = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)
    assert summaries["HyperParameterTuningJobSummaries"][0]["Strategy"] == "Bayesian"
    sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert sagemaker.describe_training_job(TrainingJobName=listed[1]["TrainingJobName"])


def test_hyperband_stops_training_jobs(sagemaker, tuning):
    band = {"HyperbandStrategyConfig": {"MinResource": 5, "MaxResource": 20}}
    asked = document(tuning, rounds=10**6, most=3, Strategy="Hyperband", StrategyConfig=band)
    sagemaker.create_hyper_parameter_tuning_job(**asked)
    found = ended(sagemaker, tuning)
    assert found["TrainingJobStatusCounters"]["Stopped"] == 3, found
    assert found["ObjectiveStatusCounters"]["Succeeded"] == 3
    assert found["BestTrainingJob"]["TrainingJobStatus"] == "Stopped"
    best = sagemaker.describe_training_job(
        TrainingJobName=found["BestTrainingJob"]["TrainingJobName"]
    )
    assert best["SecondaryStatus"] == "Stopped"


def test_a_tuning_job_is_stopped(sagemaker, tuning):
    sagemaker.create_hyper_parameter_tuning_job(**document(tuning, rounds=10**6))
    named = {"HyperParameterTuningJobName": tuning}
    while not sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**named)[
        "TrainingJobSummaries"
    ]:
        time.sleep(0.02)
    deleted = refused(sagemaker.delete_hyper_parameter_tuning_job, **named)
    assert "cannot be deleted: it is InProgress" in deleted["Message"]
    sagemaker.stop_hyper_parameter_tuning_job(**named)
    found = ended(sagemaker, tuning)
    assert found["HyperParameterTuningJobStatus"] == "Stopped"
    assert found["TrainingJobStatusCounters"]["InProgress"] == 0
    listed = sagemaker.list_hyper_parameter_tuning_jobs(StatusEquals="Stopped")
    assert tuning in [
        one["HyperParameterTuningJobName"] for one in listed["HyperParameterTuningJobSummaries"]
    ]


def test_lineage_leads_from_a_training_job_to_its_tuning_job(sagemaker, tuning, platform):
    sagemaker.create_hyper_parameter_tuning_job(**document(tuning, most=1))
    best = ended(sagemaker, tuning)["BestTrainingJob"]["TrainingJobArn"]
    component = best.replace(":training-job/", ":experiment-trial-component/")
    start = f"{component}-aws-training-job"  # which is made shortly after the job
    deadline = time.monotonic() + 120
    while not sagemaker.list_trial_components(SourceArn=best)["TrialComponentSummaries"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found = sagemaker.query_lineage(StartArns=[start], Direction="Both", IncludeEdges=True)
    assert found["Vertices"]
    tree = platform.lineage.tree(parse_arn(best))
    assert tuning in [one.ref.name for one in tree.children]


def test_pages_of_training_jobs(sagemaker, tuning):
    words = [{"Name": "booster", "Values": ["gbtree", "dart", "gblinear"]}]
    asked = document(tuning, most=3, Strategy="Grid")
    config = asked["HyperParameterTuningJobConfig"]
    config["ParameterRanges"] = {"CategoricalParameterRanges": words}
    sagemaker.create_hyper_parameter_tuning_job(**asked)
    ended(sagemaker, tuning)
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=tuning,
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"PageSize": 2},
    )
    pages = [page["TrainingJobSummaries"] for page in pages]
    assert [len(page) for page in pages] == [2, 1]
    tried = [one["TunedHyperParameters"]["booster"] for page in pages for one in page]
    assert tried == ["gblinear", "dart", "gbtree"]
    failed = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=tuning, StatusEquals="Failed"
    )
    assert failed["TrainingJobSummaries"] == []


def test_what_is_refused(sagemaker, tuning):
    create = sagemaker.create_hyper_parameter_tuning_job
    asked = document(tuning)
    asked["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"] = "x"
    error = refused(create, **asked)
    assert error["Code"] == "ValidationException"
    assert "no metric 'x'; legal: train:accuracy" in error["Message"]
    error = refused(create, **document(tuning), Autotune={"Mode": "Enabled"})
    assert error["Code"] == "UnsupportedOperation"
    sagemaker.create_hyper_parameter_tuning_job(**document(tuning, most=1))
    assert refused(create, **document(tuning))["Code"] == "ResourceInUse"
    for verb in ("describe", "stop", "delete"):
        call = getattr(sagemaker, f"{verb}_hyper_parameter_tuning_job")
        assert "does not exist" in refused(call, HyperParameterTuningJobName="none")["Message"]
