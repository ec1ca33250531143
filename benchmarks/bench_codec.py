"""Reading, checking and answering one CreateTrainingJob, without any network."""

from __future__ import annotations

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
from figure import Figure, interleaved_s

from clary.doors.wire.codec import codec
from clary.doors.wire.message import Request
from clary.doors.wire.model import service
from clary.doors.wire.validation import validator

NAME = "CreateTrainingJob"
LOOPS = 200
BUCKET = "s3://sagemaker-us-east-1-123456789012"
ARN = {"TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/abalone-1"}


def channel(name):
    """Describe one channel as the SDK does."""
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"{BUCKET}/abalone/{name}",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


REQUEST = {
    "TrainingJobName": "abalone-1",
    "HyperParameters": {
        "objective": "reg:linear",
        "num_round": "50",
        "max_depth": "5",
        "eta": "0.2",
        "gamma": "4",
        "min_child_weight": "6",
        "subsample": "0.7",
    },
    "AlgorithmSpecification": {
        "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        "TrainingInputMode": "File",
        "MetricDefinitions": [
            {"Name": "validation:rmse", "Regex": r".*\[[0-9]+\].*#011validation-rmse:(\S+)"}
        ],
    },
    "RoleArn": "arn:aws:iam::123456789012:role/clary",
    "InputDataConfig": [channel("train"), channel("validation")],
    "OutputDataConfig": {"S3OutputPath": f"{BUCKET}/abalone/model"},
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "Tags": [{"Key": "team", "Value": "rings"}, {"Key": "stage", "Value": "dev"}],
}


def figures():
    """Measure ours, and botocore writing the same request and reading the same answer."""
    document = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    reference = botocore.model.ServiceModel(document, "sagemaker").operation_model(NAME)
    serializer = botocore.serialize.create_serializer("json")
    parser = botocore.parsers.create_parser("json")
    body = serializer.serialize_to_request(REQUEST, reference)["body"]
    operation = service("sagemaker").operations[NAME]
    ours, check = codec("sagemaker"), validator("sagemaker", strict=True)

    def answer():
        params = ours.decode(operation, Request("POST", "/", body=(body,)), {})
        check.validate(operation, params)
        return ours.encode(operation, ARN, "4a1f7b2c")

    reply = answer()
    received = {"headers": reply.headers, "body": reply.body, "status_code": reply.status}

    def client():
        serializer.serialize_to_request(REQUEST, reference)
        parser.parse(received, reference.output_shape)

    def loop(action):
        return lambda: [action() for _ in range(LOOPS)]

    mine, theirs = interleaved_s(25, loop(answer), loop(client))
    return [
        Figure(
            "decode, validate and encode CreateTrainingJob",
            mine / LOOPS * 1e6,
            "us",
            250,
            "botocore writes the request and reads the answer",
            theirs / LOOPS * 1e6,
        )
    ]
