"""Routing, error words and what a request meets on its way, with a real platform."""

from __future__ import annotations

import json
import logging
from urllib.parse import urlsplit

import botocore
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from clary.config import Config
from clary.doors.wire import errors, model, operations, routing
from clary.doors.wire.errors import WireError
from clary.doors.wire.gateway import Gateway
from clary.doors.wire.message import Request
from clary.kernel import errors as kernel
from clary.kernel.names import Ref
from clary.platform import open_platform

REF = Ref("123456789012", "us-east-1", "training-job", "a")


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def gateway(home):
    return Gateway(open_platform(Config(home=home)))


@pytest.fixture
def call(home):
    """Sign and send a request as a client does, through a gateway and no socket."""

    def send(gateway, service, method, path, body=b"", **headers):
        keys = json.loads((home / "credentials.json").read_bytes())
        credentials = Credentials(keys["access_key_id"], keys["secret_access_key"])
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        aws = AWSRequest(method=method, url=f"http://h{path}", data=body, headers=named)
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(credentials, service, "us-east-1").add_auth(aws)
        url = urlsplit(aws.url)
        sent = {name.lower(): value for name, value in aws.headers.items()} | {"host": "h"}
        return gateway.handle(Request(method, url.path or "/", url.query, sent, (body,)))

    return send


def test_every_public_function_is_an_operation():
    for service, modules in operations.MODULES.items():
        known = {botocore.xform_name(name) for name in model.service(service).operations}
        for module in modules:
            own = {
                name
                for name, value in vars(module).items()
                if getattr(value, "__module__", "") == module.__name__
                and not name.startswith("_")
                and value.__annotations__.get("return", "").startswith("JsonObject")
            }
            assert own <= known, f"{module.__name__}: {sorted(own - known)}"
            assert own


@pytest.mark.parametrize(
    ("scope", "method", "path", "headers", "service"),
    [
        (None, "POST", "/", {"x-amz-target": "SageMaker.ListModels"}, "sagemaker"),
        ("sagemaker", "POST", "/", {"x-amz-target": "SageMaker.ListModels"}, "sagemaker"),
        (None, "POST", "/", {"x-amz-target": "Logs_20140328.GetLogEvents"}, "logs"),
        ("sagemaker", "POST", "/endpoints/e/invocations", {}, "sagemaker-runtime"),
        ("sagemaker", "GET", "/FeatureGroup/g", {}, "sagemaker-featurestore-runtime"),
        ("sagemaker", "POST", "/BatchGetRecord", {}, "sagemaker-featurestore-runtime"),
        ("sagemaker", "PUT", "/BatchPutMetrics", {}, "sagemaker-metrics"),
        ("sts", "POST", "/", {}, "sts"),
        ("s3", "POST", "/", {"content-type": "application/x-www-form-urlencoded"}, "s3"),
        (None, "GET", "/bucket/key", {}, "s3"),
    ],
)
def test_the_service_is_found(scope, method, path, headers, service):
    query = "RecordIdentifierValueAsString=a" if "FeatureGroup" in path else ""
    assert routing.choose_service(Request(method, path, query, headers), scope) == service


@pytest.mark.parametrize(("action", "service"), [("GetRole", "iam"), ("AssumeRole", "sts")])
def test_without_a_signature_a_form_says_its_service(action, service):
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = Request("POST", "/", "", headers, (f"Action={action}".encode(),))
    assert routing.choose_service(request, None) == service


@pytest.mark.parametrize(
    ("scope", "headers"),
    [("glue", {}), (None, {"x-amz-target": "AWSGlue.ListJobs"})],
)
def test_a_service_not_offered_is_named(scope, headers):
    with pytest.raises(WireError, match=r"clary does not offer (glue|AWSGlue\.List)"):
        routing.choose_service(Request("POST", "/", "", headers), scope)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/", "", {}, "ListBuckets"),
        ("GET", "/b", "", {}, "ListObjects"),
        ("GET", "/b/", "list-type=2", {}, "ListObjectsV2"),
        ("GET", "/b", "location", {}, "GetBucketLocation"),
        ("HEAD", "/b", "", {}, "HeadBucket"),
        ("PUT", "/b", "", {}, "CreateBucket"),
        ("POST", "/b", "delete", {}, "DeleteObjects"),
        ("PUT", "/b/k", "", {}, "PutObject"),
        ("PUT", "/b/k/", "x-id=PutObject", {}, "PutObject"),
        ("PUT", "/b/k", "", {"x-amz-copy-source": "/b/o"}, "CopyObject"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", {}, "UploadPart"),
        (
            "PUT",
            "/b/k",
            "partNumber=1&uploadId=u",
            {"x-amz-copy-source": "/b/o"},
            "UploadPartCopy",
        ),
        ("POST", "/b/k", "uploads", {}, "CreateMultipartUpload"),
        ("POST", "/b/k", "uploadId=u", {}, "CompleteMultipartUpload"),
        ("GET", "/b/k", "uploadId=u", {}, "ListParts"),
        ("GET", "/b//k%2F..", "", {}, "GetObject"),
        ("GET", "/b/k", "acl", {}, "GetObjectAcl"),
    ],
)
def test_s3_operations_are_found(method, path, query, headers, operation):
    request = Request(method, path, query, headers)
    assert routing.find_operation(model.service("s3"), request).operation.name == operation


def test_an_unknown_operation_is_named(gateway, call):
    response = call(gateway, "sagemaker", "POST", "/", b"{}", X_Amz_Target="SageMaker.Nonsense")
    assert response.status == 400
    assert json.loads(response.body)["__type"] == "UnknownOperationException"
    assert b"sagemaker has no operation 'Nonsense'" in response.body
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    response = call(gateway, "sts", "POST", "/", b"Action=Nonsense", **form)
    assert b"<Code>InvalidAction</Code>" in response.body
    response = call(gateway, "s3", "PATCH", "/bucket/key")
    assert response.status == 405


@pytest.mark.parametrize("service", ["sagemaker", "sts", "s3", "logs"])
def test_a_request_without_signature_is_refused(gateway, service):
    headers = {
        "sagemaker": {"x-amz-target": "SageMaker.ListModels"},
        "logs": {"x-amz-target": "Logs_20140328.DescribeLogGroups"},
        "sts": {"content-type": "application/x-www-form-urlencoded"},
        "s3": {},
    }[service]
    body = b"Action=GetCallerIdentity" if service == "sts" else b"{}"
    response = gateway.handle(Request("POST", "/", "", headers, (body,)))
    assert response.status in (400, 403)
    word = b"AccessDenied" if service == "s3" else b"MissingAuthenticationToken"
    assert word in response.body


def test_without_authentication_anybody_is_the_owner(home):
    gateway = Gateway(open_platform(Config(home=home, authenticate=False)))
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = (b"Action=GetCallerIdentity&Version=2011-06-15",)
    response = gateway.handle(Request("POST", "/", "", form, body))
    assert b"assumed-role/ClaryRole/owner" in response.body
    page = Request("POST", "/", "", form | {"origin": "http://evil.example"}, body)
    assert b"<Code>MissingAuthenticationToken</Code>" in gateway.handle(page).body


def test_the_region_is_the_one_signed_for(server):
    made = {
        region: server.client("sagemaker", region=region).create_model_package_group(
            ModelPackageGroupName="region-test"
        )["ModelPackageGroupArn"]
        for region in ("us-east-1", "eu-west-1")
    }
    assert all(f":{region}:" in arn for region, arn in made.items())


def test_wrong_types_are_serialization_errors(gateway, call):
    for target, body in (("ListModels", b'{"MaxResults": "x"}'), ("ListModels", b"{")):
        response = call(gateway, "sagemaker", "POST", "/", body, X_Amz_Target=f"SageMaker.{target}")
        assert (response.status, json.loads(response.body)["__type"]) == (
            400,
            "SerializationException",
        )


def test_a_bug_is_an_internal_failure_without_its_text(home, call, caplog, monkeypatch):
    def broken(_):
        raise RuntimeError("the secret is xyzzy")

    registry = {**operations.registry(), ("sagemaker", "ListModels"): broken}
    monkeypatch.setattr(operations, "registry", lambda: registry)
    gateway = Gateway(open_platform(Config(home=home)))
    with caplog.at_level(logging.ERROR):
        response = call(
            gateway, "sagemaker", "POST", "/", b"{}", X_Amz_Target="SageMaker.ListModels"
        )
    assert response.status == 500
    document = json.loads(response.body)
    assert document["__type"] == "InternalFailure"
    assert response.headers["x-amzn-RequestId"] in document["message"]
    assert b"xyzzy" not in response.body
    assert "the secret is xyzzy" in caplog.text


def test_secrets_are_not_logged(server):
    server.client("sts").get_session_token()
    log = (server.home / "server.log").read_text()
    assert "sts:GetSessionToken 200" in log
    assert server.keys["secret_access_key"] not in log


KINDS = [
    kernel.InvalidInput("a", "wrong"),
    kernel.NotFound(REF),
    kernel.AlreadyExists(REF),
    kernel.Conflict("busy"),
    kernel.Forbidden("me", "see", REF),
    kernel.LimitExceeded("many"),
    kernel.NotSupported("no"),
    kernel.Unavailable("later", retry_after_s=7),
    kernel.Throttled("often", retry_after_s=7),
    kernel.JobFailed(REF, "why"),
    kernel.ModelFailed(500, "why"),
]


@pytest.mark.parametrize("service", model.SERVICES)
@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
def test_every_error_has_words_for_every_service(service, error):
    for operation in (None, *model.service(service).operations.values()):
        said = errors.translate(error, service, operation)
        assert said.code
        assert error.message in said.message
        assert 400 <= said.status < 600


def test_every_kind_of_error_is_in_the_table():
    kinds = {
        kind
        for kind in vars(kernel).values()
        if isinstance(kind, type) and issubclass(kind, kernel.ClaryError)
    }
    assert {type(error) for error in KINDS} == kinds - {kernel.ClaryError}


@pytest.mark.parametrize(
    ("error", "operation", "code"),
    [
        (kernel.NotFound(REF), "DescribeTrainingJob", "ResourceNotFound"),
        (kernel.NotFound(REF), "DescribeModel", "ValidationException"),
        (kernel.AlreadyExists(REF), "CreateTrainingJob", "ResourceInUse"),
        (kernel.AlreadyExists(REF), "CreatePipeline", "ValidationException"),
        (kernel.AlreadyExists(REF), "CreateModelPackageGroup", "ValidationException"),
        (kernel.Conflict("x"), "UpdatePipeline", "ConflictException"),
        (kernel.Conflict("x"), "DeleteModel", "ValidationException"),
        (kernel.LimitExceeded("x"), "CreateModel", "ResourceLimitExceeded"),
        (kernel.Forbidden("a", "b", REF), "CreateModel", "AccessDeniedException"),
        (kernel.Unavailable("x"), "CreateModel", "ServiceUnavailable"),
    ],
)
def test_the_word_is_one_the_operation_declares(error, operation, code):
    found = model.service("sagemaker").operations[operation]
    assert errors.translate(error, "sagemaker", found).code == code


def test_unavailable_says_when_to_come_back():
    said = errors.translate(kernel.Unavailable("x", retry_after_s=7), "s3", None)
    assert said.headers == {"Retry-After": "7"}


def test_a_second_pipeline_of_a_name_is_what_the_sdk_expects(sagemaker, name):
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
    definition = {"Version": "2020-12-01", "Parameters": [], "Steps": [step]}
    request = {
        "PipelineName": name,
        "RoleArn": "arn:aws:iam::123456789012:role/ClaryRole",
        "PipelineDefinition": json.dumps(definition),
        "ClientRequestToken": "t" * 32,
    }
    sagemaker.create_pipeline(**request)
    request["ClientRequestToken"] = "u" * 32
    with pytest.raises(ClientError, match="already exists") as refused:
        sagemaker.create_pipeline(**request)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
