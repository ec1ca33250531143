"""Who is let in, and what is said of requests that no client sends."""

from __future__ import annotations

import boto3
import mlflow
import pytest
from botocore.config import Config as ClientConfig

from clary.governance.bearer import bearer
from clary.governance.model import Credentials
from clary.kernel.names import Ref

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


def test_health_and_version_are_open(server):
    assert server.send("GET", "/health", headers={}).text == "OK"
    assert server.send("GET", "/version", headers={}).text.startswith("3.")


def test_keys_and_tokens_are_let_in(server):
    keys = server.platform.governance.owner_credentials()
    role = server.platform.governance.roles.ref("123456789012", "ClaryRole")
    job = Ref("123456789012", "eu-west-1", "training-job", "one")
    short = server.platform.governance.job_credentials(job, role.name)
    basic = {"auth": (keys.access_key_id, keys.secret_key), "headers": {}}
    assert server.send("GET", SEARCH, **basic).ok
    assert server.send("GET", SEARCH, token=bearer(short, "eu-west-1")).ok


@pytest.mark.parametrize("header", ["", "Basic x", "Basic YTpi", "Bearer x", "Digest a", "Bearer"])
def test_others_are_not(server, header):
    answer = server.send("GET", SEARCH, headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


def test_a_token_needs_the_secret(server):
    short = server.platform.governance.job_credentials(
        Ref("123456789012", "us-east-1", "training-job", "two"), "ClaryRole"
    )
    stolen = Credentials(short.access_key_id, "", short.session_token)
    assert server.send("GET", SEARCH, token=bearer(stolen, "us-east-1")).status_code == 401


def test_without_keys_only_web_pages_are_refused(open_server):
    assert open_server.send("GET", SEARCH, headers={}).ok
    answer = open_server.send("GET", SEARCH, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/2.0/mlflow/nothing", b"", 404, "ENDPOINT_NOT_FOUND"),
        ("POST", "/api/3.0/mlflow/traces", b"{}", 404, "ENDPOINT_NOT_FOUND"),
        ("POST", "/api/2.0/mlflow/runs/create", b"nonsense", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "/api/2.0/mlflow/runs/create", b"[1]", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "/api/2.0/mlflow/runs/create", b"[" * 9999, 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "/api/2.0/mlflow/runs/log-metric", b"{}", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "/api/2.0/mlflow/runs/search", b'{"max_results": 0}', 400, None),
        ("POST", "/api/2.0/mlflow/runs/search", b'{"page_token": "!"}', 400, None),
        ("GET", "/api/2.0/mlflow/experiments/get", b"", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/api/2.0/mlflow/experiments/get?" + "a=1&" * 2000, b"", 400, None),
        ("GET", "/api/2.0/mlflow/runs/get?run_id=%ff", b"", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/runs/%ff", b"", 400, "BAD_REQUEST"),
        ("PATCH", "/api/2.0/mlflow/logged-models/m-1", b'{"status": "x"}', 400, None),
    ],
)
def test_what_is_wrong_is_said_in_mlflows_words(server, method, path, body, status, code):
    answer = server.send(method, path, data=body)
    assert answer.status_code == status
    assert answer.json()["error_code"] == (code or "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"]


def test_a_long_document_is_refused(server):
    answer = server.send("POST", "/api/2.0/mlflow/runs/log-batch", data=b" " * (17 << 20))
    assert answer.json()["error_code"] == "RESOURCE_LIMIT_EXCEEDED"


def test_buckets_may_be_called_as_our_paths(server):
    keys = server.platform.governance.owner_credentials()
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_key,
        config=ClientConfig(s3={"addressing_style": "path"}),
    )
    for bucket, key in (("health", "a"), ("api", "2.0/mlflow/runs/get")):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
        url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
        assert server.send("GET", url.removeprefix(server.endpoint), headers={}).text == "x"
    s3.list_objects_v2(Bucket="health")


def test_a_region_has_runs_of_its_own(server, monkeypatch):
    keys = server.platform.governance.owner_credentials()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", bearer(keys, "eu-west-1"))
    ident = mlflow.MlflowClient().create_experiment("only-there")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", server.token)
    assert mlflow.MlflowClient().get_experiment_by_name("only-there") is None
    assert ident == "only-there"
