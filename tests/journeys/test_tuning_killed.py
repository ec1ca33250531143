"""A server that is killed in the middle of a tuning job, and another that goes on with it."""

from __future__ import annotations

import os
import signal
import time

from tests.journeys.conftest import serving
from tests.tuning.conftest import continuous, definition, ranges, request

from clary.governance.presence import find

BUCKET = "tuned"


def document():
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}}
    channels = [
        {"ChannelName": name, "ContentType": "text/csv", "DataSource": source}
        for name in ("train", "validation")
    ]
    trained = definition(
        {"num_round": "3", "objective": "reg:squarederror"},
        InputDataConfig=channels,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
    )
    searched = ranges(real=[continuous("eta", "0.1", "0.9")])
    return request(6, 2, searched=searched, trained=trained, Strategy="Bayesian")


def until(client, done):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune")
        if done(found):
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_another_server_goes_on(tmp_path):
    path = tmp_path / "home"
    with serving(path) as home:
        s3 = home.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
        s3.put_object(Bucket=BUCKET, Key="train/rows.csv", Body=rows.encode())
        client = home.client("sagemaker")
        client.create_hyper_parameter_tuning_job(**document())
        until(client, lambda found: found["TrainingJobStatusCounters"]["Completed"] >= 1)
        os.kill(find(path).pid, signal.SIGKILL)
    with serving(path) as home:
        client = home.client("sagemaker")
        found = until(client, lambda found: found["HyperParameterTuningJobStatus"] != "InProgress")
        assert found["HyperParameterTuningJobStatus"] == "Completed"
        assert found["TrainingJobStatusCounters"]["Completed"] == 6
        jobs = client.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        assert len(jobs) == 6
        assert {job["TrainingJobStatus"] for job in jobs} == {"Completed"}
