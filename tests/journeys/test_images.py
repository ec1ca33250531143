"""The images people name run, whatever their version; and a job can use the platform itself."""

from __future__ import annotations

import json

import pytest

BUCKET = "journey"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
ROWS = "".join(f"{2 * n},{n},{n % 3}\n" for n in range(60))

USES_SKLEARN = """
import json, sklearn
from sklearn.preprocessing import OneHotEncoder
from pathlib import Path
rows = OneHotEncoder().fit_transform([["a"], ["b"], ["a"]]).toarray().tolist()
out = Path("/opt/ml/processing/out")
out.mkdir(parents=True, exist_ok=True)
(out / "rows.json").write_text(json.dumps(rows))
"""
USES_BOTO3 = """
import boto3, os
who = boto3.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com").get_caller_identity()
body = boto3.client("s3").get_object(Bucket="journey", Key="code/boto.py")["Body"].read()
text = f"{who['Arn']} {len(body)} {boto3.session.Session().region_name}"
boto3.client("s3").put_object(Bucket="journey", Key="said.txt", Body=text.encode())
newest = {"SortOrder": "Descending"}
jobs = boto3.client("sagemaker").list_processing_jobs(**newest)["ProcessingJobSummaries"]
print("jobs:", [job["ProcessingJobName"] for job in jobs])
"""


@pytest.fixture(scope="module")
def s3(home):
    client = home.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="train/rows.csv", Body=ROWS.encode())
    client.put_object(Bucket=BUCKET, Key="batch/rows.csv", Body=b"1,1\n2,2\n3,0\n")
    client.put_object(Bucket=BUCKET, Key="code/onehot.py", Body=USES_SKLEARN.encode())
    client.put_object(Bucket=BUCKET, Key="code/boto.py", Body=USES_BOTO3.encode())
    return client


@pytest.fixture
def sagemaker(home, s3):
    return home.client("sagemaker")


def ended(sagemaker, kind, name):
    """Wait for a job's end and return its description."""
    word = {"processing": "ProcessingJob", "training": "TrainingJob", "transform": "TransformJob"}
    waiter = sagemaker.get_waiter(f"{kind}_job_completed_or_stopped")
    named = {f"{word[kind]}Name": name}
    waiter.wait(**named, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1200})
    found = getattr(sagemaker, f"describe_{kind}_job")(**named)
    assert found[f"{word[kind]}Status"] == "Completed"
    return found


def process(sagemaker, name, image, script):
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=ROLE,
        AppSpecification={
            "ImageUri": f"{REGISTRY}/{image}",
            "ContainerEntrypoint": ["python3", f"/opt/ml/processing/code/{script}"],
        },
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 1,
            }
        },
        ProcessingInputs=[
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": f"s3://{BUCKET}/code/{script}",
                    "LocalPath": "/opt/ml/processing/code",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        ProcessingOutputConfig={
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
    )
    return ended(sagemaker, "processing", name)


@pytest.mark.parametrize("version", ["0.23-1", "1.2-1"])
def test_scikit_learn(sagemaker, s3, version):
    name = f"onehot-{version.replace('.', '-')}"
    process(sagemaker, name, f"sagemaker-scikit-learn:{version}-cpu-py3", "onehot.py")
    rows = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{name}/rows.json")["Body"].read())
    assert rows == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("tag", ["1.0-1-cpu-py3", "1.2-1", "1.3-1", "1.5-1", "1.7-1"])
def test_xgboost_trains_and_scores(sagemaker, s3, tag):
    name = f"boost-{tag.replace('.', '-')}"
    image = f"{REGISTRY}/sagemaker-xgboost:{tag}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={"objective": "reg:linear", "num_round": "20", "eta": "0.5"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/train/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models"},
        ResourceConfig={
            "InstanceCount": 1,
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 1,
        },
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    job = ended(sagemaker, "training", name)
    container = {"Image": image, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=name,
        TransformInput={
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/scores/{name}", "AssembleWith": "Line"},
        TransformResources={"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
    )
    ended(sagemaker, "transform", name)
    key = f"scores/{name}/rows.csv.out"
    scores = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().split()
    assert [round(float(score) / 2) for score in scores] == [1, 2, 3]


def test_a_script_uses_the_platform_from_inside_its_job(sagemaker, s3, home):
    process(sagemaker, "talks", "sagemaker-scikit-learn:1.2-1-cpu-py3", "boto.py")
    said = s3.get_object(Bucket=BUCKET, Key="said.txt")["Body"].read().decode()
    arn = "arn:aws:sts::123456789012:assumed-role/ClaryRole/talks"
    assert said == f"{arn} {len(USES_BOTO3)} us-east-1"
    assert "jobs: ['talks'" in home.clary("logs", "talks").stdout
