"""Running pipelines again: results reused, steps selected, executions retried; as boto3 sees it."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now
from clary.kernel.names import parse_arn
from clary.kernel.resource import Bucket

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
COPY = """
import pathlib
root = pathlib.Path("/opt/ml/processing")
text = "".join(sorted(file.read_text() for file in (root / "raw").iterdir()))
(root / "out" / "all.txt").write_text(text)
"""


def processing(name, raw, **more):
    inputs = {"code": "s3://again/code/copy.py", "raw": raw}
    out = {"S3UploadMode": "EndOfJob", "LocalPath": "/opt/ml/processing/out"}
    folder = ["s3:/", "again", {"Get": "Execution.PipelineExecutionId"}, name]
    out["S3Uri"] = {"Std:Join": {"On": "/", "Values": folder}}
    arguments = {
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/copy.py"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 1,
            }
        },
        "ProcessingInputs": [
            {
                "InputName": one,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"/opt/ml/processing/{one}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for one, uri in inputs.items()
        ],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": out}]},
        "RoleArn": ROLE,
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **more}


CACHE = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
MADE = {"Get": "Steps.First.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
STEPS = [
    processing("First", {"Get": "Parameters.Raw"}, **CACHE),
    processing("Second", MADE, **CACHE),
]
RETRIES = {"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "MaxAttempts": 3}


@pytest.fixture
def objects(platform):
    if "again" not in {bucket.name for bucket in platform.objects.buckets()}:
        platform.objects.create_bucket(Bucket("again", "123456789012", "us-east-1", now()))
    platform.objects.put("again", "code/copy.py", [COPY.encode()])
    platform.objects.put("again", "raw/1/a.txt", [b"sea"])
    platform.objects.put("again", "raw/2/a.txt", [b"sea"])
    platform.objects.put("again", "raw/3/a.txt", [b"land"])
    return platform.objects


@pytest.fixture
def pipeline(sagemaker, objects, name):
    document = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Raw", "Type": "String", "DefaultValue": "s3://again/raw/1"}],
        "PipelineExperimentConfig": {
            "ExperimentName": {"Get": "Execution.PipelineName"},
            "TrialName": {"Get": "Execution.PipelineExecutionId"},
        },
        "Steps": STEPS,
    }
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(document), RoleArn=ROLE
    )
    return name


def run(sagemaker, pipeline, raw="s3://again/raw/1", **more):
    execution = sagemaker.start_pipeline_execution(
        PipelineName=pipeline, PipelineParameters=[{"Name": "Raw", "Value": raw}], **more
    )["PipelineExecutionArn"]
    return execution, wait(sagemaker, execution)


def wait(sagemaker, execution):
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        if found["PipelineExecutionStatus"] not in {"Executing", "Stopping"}:
            return found["PipelineExecutionStatus"]
        time.sleep(0.02)


def steps(sagemaker, execution):
    listed = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)
    return {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}


def sources(sagemaker, execution):
    return {
        name: step.get("CacheHitResult", {}).get("SourcePipelineExecutionArn")
        for name, step in steps(sagemaker, execution).items()
    }


def test_results_are_reused_by_content(sagemaker, platform, pipeline):
    first, status = run(sagemaker, pipeline)
    assert status == "Succeeded"
    assert sources(sagemaker, first) == {"First": None, "Second": None}
    same, _ = run(sagemaker, pipeline, "s3://again/raw/2")
    assert sources(sagemaker, same) == {"First": first, "Second": first}
    other, _ = run(sagemaker, pipeline, "s3://again/raw/3")
    assert sources(sagemaker, other) == {"First": None, "Second": None}
    [difference] = platform.pipelines.why(parse_arn(other), "First").differences
    assert difference.startswith('inputs.raw was "sha256:')
    job = steps(sagemaker, other)["First"]["Metadata"]["ProcessingJob"]["Arn"]
    described = sagemaker.describe_processing_job(ProcessingJobName=job.rpartition("/")[2])
    assert described["ExperimentConfig"] == {
        "ExperimentName": pipeline,
        "TrialName": other.rpartition("/")[2],
        "TrialComponentDisplayName": "First",
    }
    key = f"{first.rpartition('/')[2]}/First/all.txt"
    platform.objects.put("again", key, [b"sea, overwritten"])
    again, _ = run(sagemaker, pipeline)
    assert sources(sagemaker, again) == {"First": None, "Second": first}
    assert key in platform.pipelines.why(parse_arn(again), "First").reason


def test_a_step_runs_alone_and_an_execution_goes_on(sagemaker, platform, pipeline):
    first, _ = run(sagemaker, pipeline)
    second, status = run(
        sagemaker,
        pipeline,
        SelectiveExecutionConfig={"SelectedSteps": [{"StepName": "Second"}]},
    )
    assert status == "Succeeded"
    found = steps(sagemaker, second)
    assert found["First"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": first}
    assert "SelectiveExecutionResult" not in found["Second"]
    failed, status = run(sagemaker, pipeline, "s3://again/late")
    assert status == "Failed"
    platform.objects.put("again", "late/a.txt", [b"late"])
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=failed)
    assert wait(sagemaker, failed) == "Succeeded"
    attempts = {name: x["AttemptCount"] for name, x in steps(sagemaker, failed).items()}
    assert attempts == {"First": 2, "Second": 1}
    with pytest.raises(ClientError) as caught:
        sagemaker.retry_pipeline_execution(PipelineExecutionArn=failed)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    platform.objects.delete("again", "late/a.txt")


def test_versions_have_names(sagemaker, pipeline):
    arn = sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineArn"]
    given = {"PipelineVersionDisplayName": "first", "PipelineVersionDescription": "of the sea"}
    made = sagemaker.update_pipeline_version(PipelineArn=arn, PipelineVersionId=1, **given)
    assert made["PipelineVersionId"] == 1
    assert sagemaker.describe_pipeline(PipelineName=pipeline).items() >= given.items()
    [listed] = sagemaker.list_pipeline_versions(PipelineName=pipeline)["PipelineVersionSummaries"]
    assert listed.items() >= given.items()
    for version, code in ((2, "ResourceNotFound"), (1, "UnsupportedOperation")):
        operations = {"PipelineVersionAliasOperations": {"Add": ["a"]}} if version == 1 else {}
        with pytest.raises(ClientError) as caught:
            sagemaker.update_pipeline_version(
                PipelineArn=arn, PipelineVersionId=version, **operations
            )
        assert caught.value.response["Error"]["Code"] == code
