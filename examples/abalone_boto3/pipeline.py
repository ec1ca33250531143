"""The Abalone pipeline with boto3: ``clary run -- python pipeline.py [NAME=VALUE …]``.

Nothing in this file knows of clary. It needs boto3, scikit-learn and scikit-lego. The definition
and the scripts are those of ``../abalone``. The arguments set parameters: ``MseThreshold=3``.
"""

import sys
import tempfile
import time
from pathlib import Path
from string import Template

import boto3
from botocore.exceptions import ClientError

PIPELINE = "AbalonePipeline"
SOURCE = Path(__file__).resolve().parent.parent / "abalone"
sys.path.insert(0, str(SOURCE))
import data  # noqa: E402 - it lies in the folder just added to the path

sts, sagemaker, s3 = (boto3.client(name) for name in ("sts", "sagemaker", "s3"))
caller = sts.get_caller_identity()
role = f"arn:aws:iam::{caller['Account']}:role/{caller['Arn'].split('/')[1]}"
bucket = f"sagemaker-{sagemaker.meta.region_name}-{caller['Account']}"


def upload(folder):
    """Upload the data and the scripts."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    scripts = [SOURCE / "preprocessing.py", SOURCE / "evaluation.py"]
    for file in [*data.write(folder), *scripts]:
        key = f"{PIPELINE}/code" if file.suffix == ".py" else "abalone"
        s3.put_object(Bucket=bucket, Key=f"{key}/{file.name}", Body=file.read_bytes())


def put(definition):
    """Create the pipeline, or give it this definition."""
    document = {"PipelineName": PIPELINE, "PipelineDefinition": definition, "RoleArn": role}
    try:
        sagemaker.create_pipeline(**document)
    except ClientError as error:
        if "already exists" not in error.response["Error"]["Message"]:
            raise
        sagemaker.update_pipeline(**document)


def wait(arn):
    """Wait for an execution; return its description."""
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        if found["PipelineExecutionStatus"] not in {"Executing", "Stopping"}:
            return found
        time.sleep(0.25)


def main(arguments):
    with tempfile.TemporaryDirectory() as folder:
        upload(folder)
    text = (SOURCE / "definition.json").read_text(encoding="utf-8")
    put(Template(text).substitute(bucket=bucket, role=role))
    given = [one.split("=", 1) for one in arguments]
    arn = sagemaker.start_pipeline_execution(
        PipelineName=PIPELINE,
        PipelineParameters=[{"Name": name, "Value": value} for name, value in given],
    )["PipelineExecutionArn"]
    found = wait(arn)
    print(arn, found["PipelineExecutionStatus"])
    if found["PipelineExecutionStatus"] != "Succeeded":
        sys.exit(found.get("FailureReason"))


if __name__ == "__main__":
    main(sys.argv[1:])
