"""A script inside a job logs by MLflow, without any setting."""

from __future__ import annotations

import time

import mlflow
import pytest

from clary.governance import presence
from clary.governance.presence import Presence
from clary.jobs.model import PROCESSING
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
CODE = "/opt/ml/processing/input/code"
SCRIPT = """
import mlflow
mlflow.set_experiment("in-a-job")
with mlflow.start_run(run_name="inside"):
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("hello", "a.txt")
"""
REQUEST = {
    "ProcessingJobName": "logs",
    "AppSpecification": {
        "ImageUri": SKLEARN,
        "ContainerEntrypoint": ["python3", f"{CODE}/log.py"],
    },
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 1,
        }
    },
    "RoleArn": ROLE,
    "ProcessingInputs": [
        {
            "InputName": "code",
            "S3Input": {
                "S3Uri": "s3://code-of-tests/log.py",
                "LocalPath": CODE,
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
    ],
}


@pytest.fixture
def working(server):
    """Let the platform work, and its jobs find the server."""
    home = server.platform.config.home
    with presence.hold(home):
        presence.announce(home, Presence(server.endpoint, 1, now()))
        server.platform.worker.start()
        yield server.platform
        server.platform.worker.stop()


def test_a_job_logs(working, client):
    working.objects.create_bucket(Bucket("code-of-tests", "123456789012", "us-east-1", now()))
    working.objects.put("code-of-tests", "log.py", [SCRIPT.encode()])
    ref = Ref("123456789012", "us-east-1", PROCESSING, "logs")
    working.jobs.create(ref, REQUEST, actor="me")
    until = time.monotonic() + 120
    while (found := working.store.get(ref)).status not in ("Completed", "Failed"):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert found.status == "Completed", found.body
    experiment = client.get_experiment_by_name("in-a-job")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status, run.data.metrics) == (
        *("inside", "FINISHED"),
        {"loss": 0.5},
    )
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/a.txt") == "hello"
