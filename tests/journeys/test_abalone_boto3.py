"""The Abalone pipeline through boto3, to both of its ends."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklego.datasets import load_abalone

ROOT = Path(__file__).parents[2]
STEPS = [
    "AbaloneProcess",
    "AbaloneTrain",
    "AbaloneEval",
    "AbaloneMSECond",
    "AbaloneRegisterModel",
    "AbaloneCreateModel",
    "AbaloneTransform",
]
GROUP = "AbaloneModelPackageGroup"


@pytest.fixture(scope="module")
def demo(home):
    """Run the example once, for the tests that look at what it left."""
    done = example(home)
    assert done.returncode == 0, done.stderr
    return done


def example(home, *words):
    argv = [sys.executable, ROOT / "examples/abalone_boto3/pipeline.py", *words]
    return subprocess.run(argv, env=home.environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def execution(home, demo):
    sagemaker = home.client("sagemaker")
    [found] = sagemaker.list_pipeline_executions(PipelineName="AbalonePipeline")[
        "PipelineExecutionSummaries"
    ]
    return found["PipelineExecutionArn"]


def steps(home, execution):
    page = home.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=execution)
    return {step["StepName"]: step for step in reversed(page["PipelineExecutionSteps"])}


def made(step):
    [item] = step["Metadata"].values()
    return item["Arn"].rpartition("/")[2]


def read(home, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return home.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def test_every_step_of_the_branch_succeeded(home, execution):
    sagemaker = home.client("sagemaker")
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
    assert found["PipelineExecutionStatus"] == "Succeeded"
    run = steps(home, execution)
    assert list(run)[:4] == STEPS[:4]
    assert sorted(run) == sorted(STEPS)
    assert {step["StepStatus"] for step in run.values()} == {"Succeeded"}
    assert run["AbaloneMSECond"]["Metadata"] == {"Condition": {"Outcome": "True"}}


def test_the_error_decided(home, execution):
    run = steps(home, execution)
    job = home.client("sagemaker").describe_processing_job(
        ProcessingJobName=made(run["AbaloneEval"])
    )
    [output] = job["ProcessingOutputConfig"]["Outputs"]
    report = json.loads(read(home, output["S3Output"]["S3Uri"] + "/evaluation.json"))
    metric = report["regression_metrics"]["mse"]
    assert 3 < metric["value"] <= 6
    assert 0 < metric["standard_deviation"] ** 2 <= metric["value"]


def test_the_model_version_can_be_traced_to_the_data(home, execution):
    sagemaker = home.client("sagemaker")
    [version] = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)[
        "ModelPackageSummaryList"
    ]
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    tree = home.clary("lineage", f"{GROUP}/1")
    data = read(home, "s3://sagemaker-us-east-1-123456789012/abalone/abalone.csv")
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" in tree.stdout
    assert home.clary("models", "approve", f"{GROUP}/1").returncode == 0
    found = sagemaker.describe_model_package(ModelPackageName=version["ModelPackageArn"])
    assert found["ModelApprovalStatus"] == "Approved"


def test_a_row_in_a_score_out(home, execution):
    job = home.client("sagemaker").describe_transform_job(
        TransformJobName=made(steps(home, execution)["AbaloneTransform"])
    )
    rows = read(home, job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]).split()
    scores = [
        float(line)
        for line in read(home, job["TransformOutput"]["S3OutputPath"] + "/batch.csv.out").split()
    ]
    rings = load_abalone(as_frame=True)["rings"][::10]
    assert len(scores) == len(rows) == len(rings)
    errors = [(score - ring) ** 2 for score, ring in zip(scores, rings, strict=True)]
    assert sum(errors) / len(errors) < 8


@pytest.mark.parametrize("step", ["AbaloneProcess", "AbaloneTrain", "AbaloneEval"])
def test_the_jobs_have_logs(home, execution, step):
    job = made(steps(home, execution)[step])
    text = home.clary("logs", job).stdout
    expected = {
        "AbaloneProcess": "read 3759 animals",
        "AbaloneTrain": "validation-rmse:",
        "AbaloneEval": "mean squared error",
    }
    assert expected[step] in text


def test_too_large_an_error_fails_with_its_message(home, demo):
    done = example(home, "MseThreshold=0.5")
    assert done.returncode == 1
    assert "The mean squared error exceeds 0.5" in done.stderr
    sagemaker = home.client("sagemaker")
    newest = sagemaker.list_pipeline_executions(PipelineName="AbalonePipeline")[
        "PipelineExecutionSummaries"
    ][0]
    arn = newest["PipelineExecutionArn"]
    assert newest["PipelineExecutionStatus"] == "Failed"
    run = steps(home, arn)
    assert sorted(run) == sorted([*STEPS[:4], "AbaloneMSEFail"])
    assert run["AbaloneMSECond"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    assert run["AbaloneMSEFail"]["StepStatus"] == "Failed"
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert "The mean squared error exceeds 0.5" in found["FailureReason"]
    versions = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    assert len(versions["ModelPackageSummaryList"]) == 1
