"""Jobs, as boto3 sees them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from clary.kernel.clock import now
from clary.kernel.resource import Bucket

BUCKET = "jobs-of-tests"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.2-1"
ENDED = {"Completed", "Failed", "Stopped"}
CALLER = """
import boto3
s3 = boto3.client("s3")
body = s3.get_object(Bucket="jobs-of-tests", Key="in/a.txt")["Body"].read()
who = boto3.client("sts").get_caller_identity()["Arn"]
open("/opt/ml/processing/out/seen.txt", "w").write(f"{body.decode()} {who}")
print("a script may call the platform")
"""
FILLER = """
import pathlib
out = pathlib.Path("/opt/ml/processing/out")
(out / "more").mkdir()
(out / "rows.csv").write_text("id,at,km\\n7,2026-01-02T03:04:05Z,2.5\\n")
(out / "more" / "rows.jsonl").write_text('{"id": "8", "at": "2026-01-02T03:04:05Z"}\\n')
(out / "_SUCCESS").touch()
"""


@pytest.fixture(scope="module", autouse=True)
def data(platform):
    platform.objects.create_bucket(Bucket(BUCKET, "123456789012", "us-east-1", now()))
    rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
    for key, text in {
        "in/a.txt": "one",
        "code/call.py": CALLER,
        "code/fill.py": FILLER,
        "code/sleep.py": "import time; time.sleep(600)",
        "train/rows.csv": rows,
        "batch/rows.csv": "1,2\n3,1\n",
    }.items():
        platform.objects.put(BUCKET, key, [text.encode()])


def processing(name, script="call.py"):
    return {
        "ProcessingJobName": name,
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["python3", f"/opt/ml/processing/input/code/{script}"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 30,
            }
        },
        "RoleArn": ROLE,
        "ProcessingInputs": [
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": f"s3://{BUCKET}/code/{script}",
                    "LocalPath": "/opt/ml/processing/input/code",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": f"s3://{BUCKET}/{name}",
                        "LocalPath": "/opt/ml/processing/out",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    }


def training(name):
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": "3", "objective": "reg:linear"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 30,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def transform(name, model):
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch"}}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/scores"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
    }


def ended(describe, member, **name):
    deadline = time.monotonic() + 60
    while (found := describe(**name))[member] not in ENDED and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_processing_job_lives(server, sagemaker, s3, name):
    request = processing(name)
    made = sagemaker.create_processing_job(**request, Tags=[{"Key": "team", "Value": "sea"}])
    assert made["ProcessingJobArn"].endswith(f":processing-job/{name}")
    found = ended(sagemaker.describe_processing_job, "ProcessingJobStatus", ProcessingJobName=name)
    assert found["ProcessingJobStatus"] == "Completed", found
    assert {key: found[key] for key in request} == request
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert found["CreationTime"] <= found["ProcessingStartTime"] <= found["ProcessingEndTime"]
    text = s3.get_object(Bucket=BUCKET, Key=f"{name}/seen.txt")["Body"].read().decode()
    assert text.startswith("one arn:aws:sts::123456789012:assumed-role/ClaryRole/")
    tags = sagemaker.list_tags(ResourceArn=made["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "sea"}]
    logs = server.client("logs")
    group = "/aws/sagemaker/ProcessingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")[
        "logStreams"
    ]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    assert [event["message"] for event in events["events"]] == ["a script may call the platform"]
    code, message = refused(sagemaker.create_processing_job, **request)
    assert (code, "already exists" in message) == ("ResourceInUse", True)
    sagemaker.delete_processing_job(ProcessingJobName=name)
    code, _ = refused(sagemaker.describe_processing_job, ProcessingJobName=name)
    assert code == "ResourceNotFound"


def test_what_a_job_leaves_fills_a_feature_group(server, sagemaker, name):
    sagemaker.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
            {"FeatureName": "km", "FeatureType": "Fractional"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        RoleArn=ROLE,
    )
    request = processing(name, "fill.py")
    [output] = request["ProcessingOutputConfig"]["Outputs"]
    output["FeatureStoreOutput"] = {"FeatureGroupName": name}
    sagemaker.create_processing_job(**request)
    found = ended(sagemaker.describe_processing_job, "ProcessingJobStatus", ProcessingJobName=name)
    assert found["ProcessingJobStatus"] == "Completed", found
    assert found["ProcessingOutputConfig"] == request["ProcessingOutputConfig"]
    records = server.client("sagemaker-featurestore-runtime")
    batch = records.batch_get_record(
        Identifiers=[{"FeatureGroupName": name, "RecordIdentifiersValueAsString": ["7", "8"]}]
    )
    assert sorted(len(one["Record"]) for one in batch["Records"]) == [2, 3]

    absent = processing(f"{name}-absent", "fill.py")
    [output] = absent["ProcessingOutputConfig"]["Outputs"]
    output["FeatureStoreOutput"] = {"FeatureGroupName": "nobody"}
    sagemaker.create_processing_job(**absent)
    found = ended(
        sagemaker.describe_processing_job,
        "ProcessingJobStatus",
        ProcessingJobName=absent["ProcessingJobName"],
    )
    assert found["FailureReason"] == "ClientError: feature-group nobody does not exist"
    del output["S3Output"]
    absent["ProcessingJobName"] += "-2"
    code, message = refused(sagemaker.create_processing_job, **absent)
    assert (code, "has no S3Output" in message) == ("UnsupportedOperation", True), message


def test_train_model_transform(sagemaker, s3, name):
    sagemaker.create_training_job(**training(name))
    found = ended(sagemaker.describe_training_job, "TrainingJobStatus", TrainingJobName=name)
    assert found["TrainingJobStatus"] == found["SecondaryStatus"] == "Completed", found
    uri = f"s3://{BUCKET}/models/{name}/output/model.tar.gz"
    assert found["ModelArtifacts"] == {"S3ModelArtifacts": uri}
    assert [one["MetricName"] for one in found["FinalMetricDataList"]] == ["train:rmse"]
    container = {"Image": XGBOOST, "ModelDataUrl": uri}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    made = sagemaker.create_transform_job(**transform(name, name))
    assert made["TransformJobArn"].endswith(f":transform-job/{name}")
    scored = ended(sagemaker.describe_transform_job, "TransformJobStatus", TransformJobName=name)
    assert scored["TransformJobStatus"] == "Completed", scored
    body = s3.get_object(Bucket=BUCKET, Key="scores/rows.csv.out")["Body"].read().decode()
    assert len([float(line) for line in body.splitlines()]) == 2
    (listed,) = sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    assert listed["TransformJobStatus"] == "Completed"
    (listed,) = sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    assert listed["TrainingEndTime"] == found["TrainingEndTime"]
    assert sagemaker.list_training_jobs(WarmPoolStatusEquals="InUse")["TrainingJobSummaries"] == []
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name)


def test_stop(sagemaker, name):
    sagemaker.create_processing_job(**processing(name, "sleep.py"))
    code, message = refused(sagemaker.delete_processing_job, ProcessingJobName=name)
    assert "cannot be deleted: it is InProgress" in message
    assert code in {"ResourceInUse", "ValidationException"}
    sagemaker.stop_processing_job(ProcessingJobName=name)
    found = ended(sagemaker.describe_processing_job, "ProcessingJobStatus", ProcessingJobName=name)
    assert found["ProcessingJobStatus"] == "Stopped"
    code, message = refused(sagemaker.stop_processing_job, ProcessingJobName=name)
    assert (code, "it is Stopped" in message) == ("ValidationException", True)


def test_lists_filter_sort_and_page(sagemaker, name):
    names = [f"{name}-{letter}" for letter in "abc"]
    for one in names:
        sagemaker.create_processing_job(**processing(one, "missing.py"))
    for one in names:
        ended(sagemaker.describe_processing_job, "ProcessingJobStatus", ProcessingJobName=one)

    def listed(**asked):
        pages = sagemaker.get_paginator("list_processing_jobs").paginate(NameContains=name, **asked)
        return [one for page in pages for one in page["ProcessingJobSummaries"]]

    def shown(**asked):
        return [one["ProcessingJobName"] for one in listed(**asked)]

    assert shown(SortBy="Name", SortOrder="Ascending") == names
    assert shown() == names
    assert shown(MaxResults=2) == names
    assert shown(MaxResults=1, SortBy="Name", SortOrder="Descending") == names[::-1]
    assert shown(StatusEquals="Failed", SortOrder="Ascending") == names
    assert shown(StatusEquals="Completed") == []
    hour = timedelta(hours=1)
    assert shown(CreationTimeAfter=datetime.now(UTC) - hour) == names
    assert shown(CreationTimeBefore=datetime.now(UTC) - hour) == []
    assert shown(LastModifiedTimeAfter=datetime.now(UTC) + hour) == []
    reason = f"ClientError: there is no object at s3://{BUCKET}/code/missing.py"
    assert {one["FailureReason"] for one in listed()} == {reason}


def test_bad_requests(sagemaker, name):
    bad = processing(name)
    bad["AppSpecification"]["ImageUri"] = "tensorflow:2.0"
    code, message = refused(sagemaker.create_processing_job, **bad)
    assert code == "ValidationException"
    assert "'tensorflow:2.0' is no image that clary has a runtime for; legal: " in message
    pipe = training(name)
    pipe["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    _, message = refused(sagemaker.create_training_job, **pipe)
    assert "Pipe input mode" in message
    code, message = refused(sagemaker.create_transform_job, **transform(name, "no-such-model"))
    assert (code, message) == ("ResourceNotFound", "model no-such-model does not exist")
    for call, member in (
        (sagemaker.describe_training_job, "TrainingJobName"),
        (sagemaker.describe_transform_job, "TransformJobName"),
        (sagemaker.stop_training_job, "TrainingJobName"),
        (sagemaker.stop_transform_job, "TransformJobName"),
        (sagemaker.delete_training_job, "TrainingJobName"),
    ):
        code, message = refused(call, **{member: "no-such-job"})
        assert (code, "no-such-job does not exist" in message) == ("ResourceNotFound", True)


def test_the_servers_memory_limit_holds_for_its_jobs(launch, tmp_path):
    with launch(tmp_path, "--job-memory-mib", "200") as running:
        sagemaker = running.client("sagemaker")
        request = processing("hog")
        request["AppSpecification"]["ContainerEntrypoint"] = [
            "python3",
            "-c",
            "print(sum(bytearray(range(1, 256)) * (16 << 20)))",
        ]
        del request["ProcessingInputs"], request["ProcessingOutputConfig"]
        sagemaker.create_processing_job(**request)
        describe = sagemaker.describe_processing_job
        done = ended(describe, "ProcessingJobStatus", ProcessingJobName="hog")
    assert done["ProcessingJobStatus"] == "Failed"
    assert "OutOfMemory" in done["FailureReason"] or "MemoryError" in done["FailureReason"]
