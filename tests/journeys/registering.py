"""A small pipeline: prepare rows, train on them, register the model."""

from __future__ import annotations

import json
import threading

BUCKET = "sagemaker-us-east-1-123456789012"
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.5-1"
PREPARE = """
import pathlib, sys, uuid
_, rows = pathlib.Path("/opt/ml/processing/raw/rows.csv").read_text().split("\\n", 1)
out = pathlib.Path("/opt/ml/processing/train")
out.joinpath("train.csv").write_text(rows)
if sys.argv[1:] == ["unsteady"]:
    out.joinpath("note.csv").write_text(f"1,2,{uuid.uuid4().int % 10**9}\\n")
"""
ROWS = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))


def definition(name, raw, *words):
    def one(member, word, uri):
        place = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{word}"}
        mode = {"S3UploadMode": "EndOfJob"} if member == "Output" else {"S3DataType": "S3Prefix"}
        return {f"{member}Name": word, f"S3{member}": place | mode}

    output = {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}
    prepare = {
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": "python:3",
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/prepare.py"],
            "ContainerArguments": list(words) or ["steady"],
        },
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.x"}},
        "ProcessingInputs": [
            one("Input", "raw", raw),
            one("Input", "code", f"s3://{BUCKET}/code/prepare.py"),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [one("Output", "train", f"s3://{BUCKET}/{name}/train")]
        },
    }
    fit = {
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"num_round": "3", "objective": "reg:squarederror"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": output}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{name}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.x", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    model = {"Get": "Steps.Fit.ModelArtifacts.S3ModelArtifacts"}
    register = {
        "ModelPackageGroupName": name,
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": model}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    }
    steps = [
        {"Name": "Prepare", "Type": "Processing", "Arguments": prepare},
        {"Name": "Fit", "Type": "Training", "Arguments": fit},
        {"Name": "Register", "Type": "RegisterModel", "Arguments": register},
    ]
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps})


def registering(home):
    """Give what runs the pipeline once, with a group's name; its execution's ARN comes back."""
    s3, sagemaker = home.client("s3"), home.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="code/prepare.py", Body=PREPARE.encode())

    def run(name, key, *words):
        s3.put_object(Bucket=BUCKET, Key=key, Body=(ROWS + f"1,1,{len(name)}\n").encode())
        text = definition(name, f"s3://{BUCKET}/{key}", *words)
        sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE)
        arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
        waiting = threading.Event()
        while True:
            found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
            if found["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
                break
            waiting.wait(0.1)
        assert found["PipelineExecutionStatus"] == "Succeeded", found
        return arn

    return run
