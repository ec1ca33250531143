"""Requests of a killed server are captured once: those it had written, by the next server."""

from __future__ import annotations

import json
import os
import signal
import time

from tests.endpoints.fleet_world import PYTHON, archive
from tests.journeys.conftest import serving

from clary.governance.presence import find

SCRIPT = """
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept): return data, "text/csv"
"""


def test_captures_outlive_their_server(tmp_path):
    path = tmp_path / "home"
    with serving(path) as home:
        deploy(home)
        asked = invoke(home, 0, 60)
        spool = path / "captures"
        until(lambda: sum(map(lines, spool.iterdir())) == 60)
        os.kill(find(path).pid, signal.SIGKILL)
    with serving(path) as home:
        asked += invoke(home, 60, 90)
        until(lambda: captured(home)[:1])  # the dead server's, at once
        assert sorted(set(captured(home)) - set(asked[60:])) == sorted(asked[:60])
    with serving(path) as home:  # the second one has published its own when it ended
        assert sorted(captured(home)) == sorted(asked)
        home.client("sagemaker").delete_endpoint(EndpointName="watched")


def deploy(home):
    s3, sagemaker = home.client("s3"), home.client("sagemaker")
    s3.create_bucket(Bucket="watched")
    body = archive({"code/inference.py": SCRIPT})
    s3.put_object(Bucket="watched", Key="model.tar.gz", Body=body)
    container = {"Image": PYTHON, "ModelDataUrl": "s3://watched/model.tar.gz"}
    sagemaker.create_model(ModelName="watched", PrimaryContainer=container)
    variant = {
        "VariantName": "blue",
        "ModelName": "watched",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName="watched",
        ProductionVariants=[variant],
        DataCaptureConfig={
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://watched/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        },
    )
    sagemaker.create_endpoint(EndpointName="watched", EndpointConfigName="watched")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="watched", WaiterConfig={"Delay": 0.05, "MaxAttempts": 1200}
    )


def invoke(home, first, last):
    runtime = home.client("sagemaker-runtime")
    names = [f"request-{number}" for number in range(first, last)]
    for name in names:
        answer = runtime.invoke_endpoint(
            EndpointName="watched", ContentType="text/csv", Body=name, InferenceId=name
        )
        assert answer["Body"].read() == name.encode()
    return names


def captured(home):
    s3 = home.client("s3")
    found = s3.list_objects_v2(Bucket="watched", Prefix="captured/watched/blue/")
    bodies = [
        s3.get_object(Bucket="watched", Key=one["Key"])["Body"].read()
        for one in found.get("Contents", [])
    ]
    return [
        json.loads(line)["eventMetadata"]["inferenceId"]
        for body in bodies
        for line in body.splitlines()
    ]


def lines(path):
    """Count the captured requests of a file; its first line is its own."""
    return max(0, path.read_bytes().count(b"\n") - 1)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
