"""Generated requests to every operation offered: always an answer that parses, never a failure."""

from __future__ import annotations

import gzip
import json
import logging
import random
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.config import Config
from clary.doors.wire import model, operations, patterns
from clary.doors.wire.gateway import Gateway
from clary.doors.wire.message import Request
from clary.kernel.clock import now
from clary.kernel.resource import Bucket
from clary.platform import open_platform

DECLARED = (501, 503)
STEP = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
PARAMETER = {"Name": "p", "Type": "Integer", "DefaultValue": 1}
DEFINITION = json.dumps({"Version": "2020-12-01", "Parameters": [PARAMETER], "Steps": [STEP]})
ACCOUNT = "arn:aws:sagemaker:us-east-1:123456789012"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
TEXTS = (
    *("a", "b", "bucket", "key/one", "s3://bucket/key", "s3://bucket", "1", "true", "*", "/"),
    *("model.tar.gz", "ml.m5.large", "2024-01-01", "text/csv", "Name", "CreationTime", "é\u2028"),
    *(f"{ACCOUNT}:{path}" for path in ("model/a", "model-package-group/a", "model-package/a/1")),
    *(f"{ACCOUNT}:{path}" for path in ("pipeline/a", "pipeline/a/execution/b", "training-job/a")),
    *("arn:aws:iam::123456789012:role/ClaryRole", "arn:aws:s3:::bucket", "arn:::", IMAGE),
    *("/aws/sagemaker/TrainingJobs", "a/algo-1", DEFINITION, '{"Steps":[', "0" * 40),
)
BROKEN = (
    *(None, True, "", -1, 0, 1 << 31, 1 << 63, 10**40, 1.5, -1e308, [], {}, [None], {"": None}),
    *("x" * 5000, "\x00", "\ud800", "NaN", [[[[[]]]]], {"a": {"a": {}}}, "..", "../../etc", "%"),
)
ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
CHANNEL = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/key"}}}
CONTAINER = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}
SPECIFICATION = {"Containers": [CONTAINER], "SupportedContentTypes": ["text/csv"]}
EXECUTION = f"{ACCOUNT}:pipeline/a/execution/{'b' * 12}"
METRIC = {"Namespace": "a", "MetricName": "a"}
TAGS = [{"Key": "team", "Value": "sea"}]
# requests that are right, by operation; what is not here is made from the model
TEMPLATES = {
    "PutMetricData": {
        "Namespace": "a",
        "MetricData": [{"MetricName": "a", "Values": [1, 2], "Unit": "Count"}],
    },
    "PutMetricAlarm": {
        **METRIC,
        "AlarmName": "a",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Tags": TAGS,
    },
    "GetMetricData": {
        "MetricDataQueries": [
            {"Id": "a", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Sum"}},
            {"Id": "b", "Expression": "a / 2"},
        ],
        "StartTime": 0,
        "EndTime": 86400,
    },
    "CreateModel": {
        "ModelName": "a",
        "PrimaryContainer": CONTAINER,
        "ExecutionRoleArn": ROLE,
        "Tags": TAGS,
    },
    "CreateModelPackageGroup": {"ModelPackageGroupName": "a", "Tags": TAGS},
    "CreateModelPackage": {
        "ModelPackageGroupName": "a",
        "InferenceSpecification": SPECIFICATION,
        "ModelApprovalStatus": "Approved",
        "CustomerMetadataProperties": {"a": "b"},
        "ClientToken": "t" * 36,
    },
    "UpdateModelPackage": {
        "ModelPackageArn": f"{ACCOUNT}:model-package/a/1",
        "ModelApprovalStatus": "Rejected",
        "CustomerMetadataPropertiesToRemove": ["a"],
        "AdditionalInferenceSpecificationsToAdd": [{"Name": "x", "Containers": [CONTAINER]}],
    },
    "CreatePipeline": {
        "PipelineName": "a",
        "PipelineDefinition": DEFINITION,
        "ClientRequestToken": "t" * 36,
        "RoleArn": ROLE,
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 2},
    },
    "UpdatePipeline": {"PipelineName": "a", "PipelineDefinition": DEFINITION},
    "StartPipelineExecution": {
        "PipelineName": "a",
        "PipelineParameters": [{"Name": "p", "Value": "2"}],
        "ClientRequestToken": "t" * 36,
    },
    "CreateTrainingJob": {
        "TrainingJobName": "a",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", **CHANNEL}],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": CLUSTER,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"num_round": "3"},
        "Environment": {"A": "b"},
    },
    "CreateProcessingJob": {
        "ProcessingJobName": "a",
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "x.py"]},
        "ProcessingResources": {"ClusterConfig": CLUSTER},
        "RoleArn": ROLE,
        "ProcessingInputs": [
            {
                "InputName": "i",
                "S3Input": {
                    "S3Uri": "s3://bucket/key",
                    "LocalPath": "/opt/ml/processing/in",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "o",
                    "S3Output": {
                        "S3Uri": "s3://bucket/out",
                        "LocalPath": "/opt/ml/processing/out",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    },
    "CreateTransformJob": {
        "TransformJobName": "a",
        "ModelName": "a",
        "TransformInput": {"ContentType": "text/csv", "SplitType": "Line", **CHANNEL},
        "TransformOutput": {"S3OutputPath": "s3://bucket/out", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "DataProcessing": {"InputFilter": "$[1:]", "JoinSource": "Input"},
    },
    "GetLogEvents": {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": "a/algo-1"},
    "FilterLogEvents": {"logGroupName": "/aws/sagemaker/TrainingJobs", "filterPattern": "a ?b"},
    "DescribeLogStreams": {"logGroupName": "/aws/sagemaker/TrainingJobs"},
    "AddTags": {"ResourceArn": f"{ACCOUNT}:model-package-group/a", "Tags": TAGS},
}
NAMES = (
    "ModelName",
    "TrainingJobName",
    "ProcessingJobName",
    "PipelineName",
    "ModelPackageGroupName",
)

SCALARS = {
    "boolean": (True, False),
    "timestamp": (0, 1.7e9, -1, 4e12, "2024-01-01T00:00:00Z"),
}
TARGETS = {
    "sagemaker": "SageMaker",
    "logs": "Logs_20140328",
    "cloudwatch": "GraniteServiceVersion20100801",
}
JSON = st.sampled_from(
    [
        *(b"", b"null", b"[]", b"1e999", b'"', b"{", b"NaN", b"{}{}", b'{"a":1,"a":2}', b"\xff"),
        *(b'{"MaxResults":1e400}', b'{"MaxResults":NaN}', b'{"NameContains":"\\ud800"}'),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b'{"NextToken":"W10="}'),
    ]
)
QUERIES = (
    *("list-type=2", "delimiter=/", "max-keys=0", "max-keys=-1", "max-keys=x", "prefix=%ff"),
    *("uploads", "uploadId=x", "partNumber=1", "partNumber=0", "tagging", "location", "acl"),
    *("delete", "versionId=1", "continuation-token=x", "marker=a", "encoding-type=url"),
    *("X-Amz-Signature=x", "AWSAccessKeyId=x", "response-content-type=a%0d%0ab", "key-marker=k"),
)
HEADERS = (
    *("x-amz-copy-source", "range", "if-match", "if-none-match", "if-modified-since", "expect"),
    *("content-md5", "x-amz-checksum-crc32", "x-amz-content-sha256", "x-amz-tagging"),
    *("x-amz-decoded-content-length", "x-amz-trailer", "content-encoding", "authorization"),
    *("x-amz-expected-bucket-owner", "x-amz-meta-a", "content-type", "x-amz-date"),
    *("x-amz-copy-source-range", "x-amz-sdk-checksum-algorithm", "transfer-encoding"),
)
VALUES = (
    *("", "x", "*", "0", "-1", "bucket/key", "/bucket/key?versionId=1", "bytes=0-1", "bytes=9-"),
    *("bytes=-0", "bytes=a-b", "%", "é", "a=b&c", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    *("Thu, 01 Jan 1970 00:00:00 GMT", "aws-chunked", "AAAAAA==", "100-continue", "9" * 40),
    *("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0", "AWS a:b"),
)
BODIES = (
    *(b"", b"<a/>", b"<a>", b"<Delete><Object><Key>key2</Key></Object></Delete>", b"<Delete/>"),
    *(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" * 1000, b"5\r\nhello\r\n0\r\n\r\n"),
    *(b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", b"\xff\xfe<\x00a\x00"),
    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
)
fuzzed = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Maker:
    """Makes parameters of one operation, most of them right or nearly so."""

    def __init__(self, operation, rng, seen):
        self.operation = operation
        self.shapes = model.service(operation.service).shapes
        self.rng = rng
        self.seen = seen

    def params(self):
        template = TEMPLATES.get(self.operation.name)
        if template is not None and self.rng.random() < 0.7:
            params = json.loads(json.dumps(template))
            params |= {key: self.rng.choice("ab") for key in params if key in NAMES}
        elif self.operation.input:
            params = self.structure(self.shapes[self.operation.input], 1)
        else:
            params = {}
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            self.spoil(params)
        return params

    def spoil(self, holder):
        """Replace, drop or add something, anywhere."""
        while True:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            if not keys:
                return
            key = self.rng.choice(keys)
            if not isinstance(holder[key], dict | list) or self.rng.random() < 0.3:
                break
            holder = holder[key]
        if self.rng.random() < 0.2:
            del holder[key]
        else:
            holder[key] = self.rng.choice((*BROKEN, *TEXTS, *self.seen))

    def value(self, name, shape_name, depth):
        shape = self.shapes[shape_name]
        few = range(self.rng.choice((0, 1, 1, 2)))
        match shape["type"]:
            case "structure":
                return self.structure(shape, depth)
            case "list":
                return [self.value(name, shape["member"]["shape"], depth + 1) for _ in few]
            case "map":
                inner = shape["value"]["shape"]
                return {self.rng.choice("ab"): self.value(name, inner, depth + 1) for _ in few}
            case "string":
                return self.text(name, shape)
            case "boolean" | "timestamp":
                return self.rng.choice(SCALARS[shape["type"]])
        numbers = (1, 2, shape.get("min", 0), shape.get("max", 3600))
        return "YWJj" if shape["type"] == "blob" else self.rng.choice(numbers)

    def structure(self, shape, depth):
        required = shape.get("required", ())
        return {
            name: self.value(name, member["shape"], depth + 1)
            for name, member in shape["members"].items()
            if name in required or self.rng.random() < 0.3 / depth
        }

    def text(self, name, shape):
        if "enum" in shape:
            return self.rng.choice(shape["enum"])
        if name.lower().endswith("token"):
            return self.rng.choice((*self.seen, "t" * 36))
        if name.endswith("Name") and self.rng.random() < 0.8:
            return self.rng.choice("ab")
        pool = (*TEXTS, *self.seen)
        if "pattern" in shape:
            pattern = patterns.compile_pattern(shape["pattern"])
            pool = [text for text in pool if pattern.matches(text)] or pool
        return self.rng.choice(pool)


@pytest.fixture(scope="module", params=["strict", "lenient"])
def gateway(request, tmp_path_factory):
    """Give a gateway that checks no signatures, so that everything comes through to it."""
    home = tmp_path_factory.mktemp("fuzz")
    config = Config(home=home, authenticate=False, strict=request.param == "strict")
    platform = open_platform(config)
    platform.objects.create_bucket(Bucket("bucket", "123456789012", "us-east-1", now()))
    platform.objects.put("bucket", "key", [b"a,b"])
    platform.objects.put("bucket", "model.tar.gz", [b"model"])
    return Gateway(platform)


def answered(gateway, request, caplog):
    """Send a request and return the status and the document that came back."""
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        response = gateway.handle(request)
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    assert not caplog.records, caplog.text
    assert response.status < 500 or response.status in DECLARED
    kind = response.headers.get("Content-Type", "")
    if "json" in kind:
        return response.status, json.loads(body or b"{}")
    return response.status, ET.fromstring(body) if body and "xml" in kind else None


def offered(*services):
    return [key for key in operations.registry() if key[0] in services]


@fuzzed
@given(
    seeds=st.lists(st.integers(0, 2**32), min_size=10, max_size=20),
    services=st.sampled_from([("sagemaker", "logs"), ("cloudwatch",)]),
)
def test_json_operations_answer_whatever_they_are_given(gateway, caplog, seeds, services):
    seen = ["junk"]
    for seed in seeds:
        rng = random.Random(seed)
        service, name = rng.choice(offered(*services))
        params = Maker(model.service(service).operations[name], rng, seen).params()
        headers = {"x-amz-target": f"{TARGETS[service]}.{name}"}
        request = Request("POST", "/", "", headers, (json.dumps(params).encode(),))
        status, document = answered(gateway, request, caplog)
        if status == 200:
            strings = [value for value in document.values() if isinstance(value, str)]
            seen = [*seen, *strings][-12:]
        else:
            assert document["__type"]
            assert document["message"]


@fuzzed
@given(body=st.binary(max_size=200) | JSON, target=st.sampled_from(["ListModels", "Search", "No"]))
def test_bodies_that_are_no_request_are_refused(gateway, caplog, body, target):
    headers = {"x-amz-target": f"SageMaker.{target}"}
    answered(gateway, Request("POST", "/", "", headers, (body,)), caplog)


@fuzzed
@given(body=st.binary(max_size=200), zipped=st.booleans())
def test_bodies_that_are_no_cbor_are_refused(gateway, caplog, body, zipped):
    headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}
    headers |= {"content-encoding": "gzip"} if zipped else {}
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    request = Request("POST", path, "", headers, (gzip.compress(body) if zipped else body,))
    assert answered(gateway, request, caplog)[0] == 400


def test_what_unzips_without_end_is_refused(gateway, caplog):
    headers = {"x-amz-target": f"{TARGETS['cloudwatch']}.PutMetricData", "content-encoding": "gzip"}
    bomb = gzip.compress(b" " * (17 << 20))
    assert answered(gateway, Request("POST", "/", "", headers, (bomb,)), caplog)[0] == 413
    assert answered(gateway, Request("POST", "/", "", headers, (b"no gzip",)), caplog)[0] == 400


@fuzzed
@given(seed=st.integers(0, 2**32))
def test_forms_are_answered(gateway, caplog, seed):
    rng = random.Random(seed)
    service, name = rng.choice(offered("sts", "iam", "cloudwatch"))
    params = Maker(model.service(service).operations[name], rng, ["junk"]).params()
    form = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()
    }
    more = {"Tags.member.1.Key": "a", "Tags.member.x.Key": "b", "Tags.member": "c", "..": "d"}
    form |= {key: more[key] for key in more if rng.random() < 0.2}
    body = urlencode({"Action": name, **form}, errors="surrogatepass").encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    status, document = answered(gateway, Request("POST", "/", "", headers, (body,)), caplog)
    assert status == 200 or document.find(".//{*}Code").text


@fuzzed
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]),
    path=st.sampled_from(["/", "/bucket", "/bucket/key", "/bucket/../x", "//", "/bucket/%ff%00"])
    | st.text("/abkey.%20~", max_size=12).map("/{}".format),
    query=st.lists(st.sampled_from(QUERIES) | st.text("a=&%1", max_size=6), max_size=4),
    headers=st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(VALUES), max_size=3),
    body=st.sampled_from(BODIES) | st.binary(max_size=60),
)
def test_s3_answers_any_request(gateway, caplog, method, path, query, headers, body):  # noqa: PLR0917 - the parts of a request
    answered(gateway, Request(method, path, "&".join(query), headers, (body,)), caplog)
