"""Tuning jobs, as boto3 sees them."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError
from tests.tuning.conftest import continuous, definition, objective, ranges, request

from clary.kernel.clock import now
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


def document(name, **more):
    trained = definition(
        {"num_round": "3", "objective": "reg:squarederror"},
        InputDataConfig=[channel("train"), channel("validation")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
    )
    searched = ranges(
        real=[continuous("eta", "0.1", "0.9")], integer=[continuous("max_depth", "1", "5")]
    )
    return {
        **request(2, 2, searched=searched, trained=trained, Strategy="Bayesian"),
        "HyperParameterTuningJobName": name,
        **more,
    }


def ended(client, name):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if found["HyperParameterTuningJobStatus"] in {"Completed", "Failed", "Stopped"}:
            return found
        time.sleep(0.05)
    pytest.fail(f"{name} does not end: {found}")


def test_a_tuning_job_lives(sagemaker, name, server):
    name = name[:32].rstrip("-")
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
