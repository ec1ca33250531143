"""A Clarify job that is stopped or killed while it asks a model leaves no endpoint."""

from __future__ import annotations

import json
import time

import pytest
from tests.endpoints.fleet_world import PYTHON, archive

IMAGE = "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0"
SLOW = """
import time
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept): time.sleep(600)
"""
DYING = (
    "import os; from clary.monitoring.programs import clarify, predictor as p; make = p._make; "
    "p._make = lambda *given: (make(*given), os._exit(137)); clarify.main()"
)
CONFIG = {
    "dataset_type": "text/csv",
    "headers": ["y", "who", "x"],
    "label": "y",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "who"}],
    "methods": {"post_training_bias": {"methods": "all"}},
    "predictor": {
        "model_name": "slow",
        "instance_type": "ml.m5.large",
        "initial_instance_count": 1,
    },
}
PLACES = {"dataset": "rows.csv", "analysis_config": "analysis_config.json"}
PATHS = {"dataset": "data", "analysis_config": "config"}


@pytest.fixture(scope="module")
def sagemaker(home):
    s3, client = home.client("s3"), home.client("sagemaker")
    s3.create_bucket(Bucket="asked")
    s3.put_object(Bucket="asked", Key="model.tar.gz", Body=archive({"code/inference.py": SLOW}))
    s3.put_object(Bucket="asked", Key="rows.csv", Body=b"0,0,1\n1,1,2\n0,1,3\n1,0,4\n")
    s3.put_object(Bucket="asked", Key="analysis_config.json", Body=json.dumps(CONFIG).encode())
    container = {"Image": PYTHON, "ModelDataUrl": "s3://asked/model.tar.gz"}
    client.create_model(ModelName="slow", PrimaryContainer=container)
    return client


def start(sagemaker, name, command=None):
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn="arn:aws:iam::123456789012:role/ClaryRole",
        AppSpecification={
            "ImageUri": IMAGE,
            **({"ContainerEntrypoint": command} if command else {}),
        },
        ProcessingResources={"ClusterConfig": cluster},
        ProcessingInputs=[
            {
                "InputName": word,
                "S3Input": {
                    "S3Uri": f"s3://asked/{key}",
                    "LocalPath": f"/opt/ml/processing/input/{PATHS[word]}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for word, key in PLACES.items()
        ],
    )


def endpoints(sagemaker):
    return sagemaker.list_endpoints()["Endpoints"]


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(sagemaker, name):
    found = sagemaker.describe_processing_job(ProcessingJobName=name)
    return found["ProcessingJobStatus"] not in {"InProgress", "Stopping"} and found


def nothing_is_left(sagemaker):
    until(lambda: not endpoints(sagemaker))
    until(lambda: not sagemaker.list_endpoint_configs()["EndpointConfigs"])


def test_stopped(sagemaker):
    start(sagemaker, "stopped")
    until(lambda: [one["EndpointStatus"] for one in endpoints(sagemaker)] == ["InService"])
    sagemaker.stop_processing_job(ProcessingJobName="stopped")
    until(lambda: ended(sagemaker, "stopped"))
    assert ended(sagemaker, "stopped")["ProcessingJobStatus"] == "Stopped"
    nothing_is_left(sagemaker)


def test_killed(sagemaker):
    start(sagemaker, "killed", ["python3", "-c", DYING])
    until(lambda: ended(sagemaker, "killed"))
    assert "exit code: 137" in ended(sagemaker, "killed")["FailureReason"]
    nothing_is_left(sagemaker)
