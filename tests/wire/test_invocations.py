"""Inference requests, as boto3 and bare connections send them."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import time
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest
import xgboost
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError

BUCKET = "invocations-of-tests"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
PYTHON = "python:3.11"
QUICK = {"Delay": 0.05, "MaxAttempts": 1200}
SCRIPT = """
def model_fn(folder):
    return "model"

def transform_fn(model, data, content_type, accept):
    if data == "raise":
        raise ValueError("no such thing as raise")
    if data == "refuse":
        raise Refused("no such thing as refuse")
    if data == "stream":
        return (piece for piece in (b"one,", b"two,", b"three")), "text/csv"
    if data == "break":
        return broken(), "text/csv"
    return data.upper(), "text/csv"

class Refused(Exception):
    status_code, phrase = 422, "Unprocessable Entity"

def broken():
    yield b"one,"
    raise ValueError("the second piece is lost")
"""


def packed(name: str, content: bytes) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


@pytest.fixture(scope="module")
def booster():
    random = np.random.default_rng(1)
    rows = random.random((500, 4), dtype=np.float32)
    data = xgboost.DMatrix(rows, label=rows @ [1.0, 2.0, 3.0, 4.0])
    return xgboost.train({"max_depth": 3, "nthread": 1}, data, num_boost_round=20)


@pytest.fixture(scope="module", autouse=True)
def endpoints(server, booster):
    """Two endpoints: ``scores`` is compiled, ``words`` runs a script."""
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    model = packed("xgboost-model", bytes(booster.save_raw("json")))
    s3.put_object(Bucket=BUCKET, Key="scores.tar.gz", Body=model)
    s3.put_object(
        Bucket=BUCKET, Key="words.tar.gz", Body=packed("code/inference.py", SCRIPT.encode())
    )
    for name, image in (("scores", XGBOOST), ("words", PYTHON)):
        container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
        sagemaker.create_model(ModelName=name, PrimaryContainer=container)
        variants = [
            {
                "VariantName": variant,
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": weight,
            }
            for variant, weight in (("main", 1.0), ("spare", 0.0))[: 2 if name == "scores" else 1]
        ]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    for name in ("scores", "words"):
        waiter = sagemaker.get_waiter("endpoint_in_service")
        waiter.wait(EndpointName=name, WaiterConfig=QUICK)
    yield
    for name in ("scores", "words"):
        sagemaker.delete_endpoint(EndpointName=name)
    for name in ("scores", "words"):
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=QUICK)


@pytest.fixture(scope="module")
def runtime(server):
    return server.client("sagemaker-runtime")


def csv(rows) -> str:
    return "\n".join(
        ",".join("" if np.isnan(one) else repr(float(one)) for one in row) for row in rows
    )


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response


ROWS = np.array([[0.1, 0.2, 0.3, 0.4], [0.9, np.nan, 0.5, 0.0]], dtype=np.float32)


def predicted(booster, rows):
    return booster.predict(xgboost.DMatrix(rows, nthread=1))


@pytest.mark.parametrize("repeat", [1, 2000], ids=["small", "large"])
def test_a_compiled_model_answers_as_the_booster_does(runtime, booster, repeat):
    rows = np.tile(ROWS, (repeat, 1))
    answer = runtime.invoke_endpoint(
        EndpointName="scores", Body=csv(rows), ContentType="text/csv", InferenceId="seven"
    )
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "main"
    found = np.array(answer["Body"].read().split(), dtype=np.float32)
    np.testing.assert_allclose(found, predicted(booster, rows), rtol=1e-5)


def test_a_variant_of_weight_0_answers_when_it_is_named(runtime):
    named = runtime.invoke_endpoint(
        EndpointName="scores", Body=csv(ROWS), ContentType="text/csv", TargetVariant="spare"
    )
    assert named["InvokedProductionVariant"] == "spare"
    drawn = [
        runtime.invoke_endpoint(EndpointName="scores", Body=csv(ROWS), ContentType="text/csv")
        for _ in range(20)
    ]
    assert {one["InvokedProductionVariant"] for one in drawn} == {"main"}


def test_json_comes_where_it_is_accepted(runtime, booster):
    answer = runtime.invoke_endpoint(
        EndpointName="scores", Body=csv(ROWS), ContentType="text/csv", Accept="application/json"
    )
    scores = [one["score"] for one in json.load(answer["Body"])["predictions"]]
    np.testing.assert_allclose(scores, predicted(booster, ROWS), rtol=1e-5)


BAD = {
    "content type": (
        {"ContentType": "application/json", "Body": "[[1,2,3,4]]"},
        415,
        "application/json",
    ),
    "text": ({"Body": "a,b,c,d"}, 415, "could not convert"),
    "columns": ({"Body": "1,2,3,4,5"}, 400, "5 features"),
    "rows": ({"Body": "1,2,3,4\n1,2"}, 415, "row 2"),
    "accept": ({"Body": "1,2,3,4", "Accept": "image/png"}, 406, "image/png"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_the_model_refuses_is_a_model_error(runtime, bad):
    params, status, words = BAD[bad]
    response = refused(
        runtime.invoke_endpoint, EndpointName="scores", **{"ContentType": "text/csv", **params}
    )
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert words in response["OriginalMessage"]
    assert response["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/scores")


def test_what_is_nowhere_is_said_so(runtime):
    response = refused(runtime.invoke_endpoint, EndpointName="nowhere", Body="1")
    assert response["Error"]["Code"] == "ValidationError"
    assert "Endpoint nowhere of account" in response["Error"]["Message"]
    response = refused(
        runtime.invoke_endpoint, EndpointName="scores", Body="1", TargetVariant="other"
    )
    assert response["Error"]["Code"] == "ValidationError"
    assert "'other'" in response["Error"]["Message"]
    assert "main, spare" in response["Error"]["Message"]


def test_a_body_over_6_mib_is_refused(runtime):
    response = refused(runtime.invoke_endpoint, EndpointName="scores", Body=b"1" * ((6 << 20) + 1))
    assert response["Error"]["Code"] == "ValidationError"


def test_a_script_answers_and_outlives_its_errors(runtime):
    response = refused(
        runtime.invoke_endpoint, EndpointName="words", Body="raise", ContentType="text/csv"
    )
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 500)
    assert "no such thing as raise" in response["OriginalMessage"]
    response = refused(
        runtime.invoke_endpoint, EndpointName="words", Body="refuse", ContentType="text/csv"
    )
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 422)
    assert response["OriginalMessage"].endswith("no such thing as refuse")
    answer = runtime.invoke_endpoint(EndpointName="words", Body="hello", ContentType="text/csv")
    assert answer["Body"].read() == b"HELLO"
    answer = runtime.invoke_endpoint(EndpointName="words", Body="stream", ContentType="text/csv")
    assert answer["Body"].read() == b"one,two,three"


def test_a_stream_comes_in_parts(runtime):
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="words", Body="stream", ContentType="text/csv"
    )
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "main"
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert parts == [b"one,", b"two,", b"three"]
    whole = runtime.invoke_endpoint_with_response_stream(
        EndpointName="scores", Body=csv(ROWS), ContentType="text/csv"
    )
    assert b"".join(event["PayloadPart"]["Bytes"] for event in whole["Body"]).count(b"\n") == 2


def test_a_stream_that_breaks_says_so(runtime):
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="words", Body="break", ContentType="text/csv"
    )
    with pytest.raises(EventStreamError, match=r"ModelStreamError.*second piece"):
        list(answer["Body"])


def test_requests_are_counted(server, runtime):
    before = counted(server, "Invocation4XXErrors", "SampleCount")
    for _ in range(3):
        runtime.invoke_endpoint(EndpointName="scores", Body=csv(ROWS), ContentType="text/csv")
    refused(runtime.invoke_endpoint, EndpointName="scores", Body="x", ContentType="text/csv")
    deadline = time.monotonic() + 30
    while (after := counted(server, "Invocation4XXErrors", "SampleCount")) < before + 4:
        assert time.monotonic() < deadline, after
        time.sleep(0.2)
    assert counted(server, "Invocations", "Sum") == after


def counted(server, metric, statistic):
    points = server.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[
            {"Name": "EndpointName", "Value": "scores"},
            {"Name": "VariantName", "Value": "main"},
        ],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(point[statistic] for point in points)


def signed(server, body: str, *, name: str = "scores", secret: str = "") -> dict[str, str]:
    url = f"{server.endpoint}/endpoints/{name}/invocations"
    request = AWSRequest("POST", url, {"Content-Type": "text/csv"}, body)
    keys = server.keys
    credentials = Credentials(keys["access_key_id"], secret or keys["secret_access_key"])
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    headers = dict(request.headers.items())
    return {"Host": urlsplit(url).netloc, **headers}


def head(headers: dict[str, str], *, name: str = "scores") -> bytes:
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    return f"POST /endpoints/{name}/invocations HTTP/1.1\r\n{lines}\r\n".encode()


def talk(server, *pieces: bytes, answers: int = 1) -> list[tuple[bytes, bytes]]:
    """Send pieces, each after a while, and read so many answers."""
    url = urlsplit(server.endpoint)
    found = []
    with closing(socket.create_connection((url.hostname, url.port), timeout=30)) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(0.02)
        stream = line.makefile("rb")
        for _ in range(answers):
            first = stream.readline()
            lines = iter(stream.readline, b"\r\n")
            headers = dict(one.lower().rstrip().split(b": ", 1) for one in lines if one)
            found.append((first, stream.read(int(headers[b"content-length"]))))
        if headers.get(b"connection") == b"close":
            assert not stream.read()
    return found


BODY = "0.1,0.2,0.3,0.4"


def test_requests_in_a_row_are_answered_in_their_order(server):
    whole = b""
    for body in (BODY, "x", BODY + "\n" + BODY):
        whole += head({**signed(server, body), "Content-Length": str(len(body))}) + body.encode()
    answers = talk(server, whole, answers=3)
    assert [first.split()[1] for first, _ in answers] == [b"200", b"424", b"200"]
    assert answers[2][1] == answers[0][1] * 2


def test_a_request_may_come_in_pieces_and_close(server):
    headers = {**signed(server, BODY), "Content-Length": str(len(BODY)), "Connection": "close"}
    start = head(headers)
    pieces = (start[:20], start[20:-3], start[-3:], BODY[:5].encode(), BODY[5:].encode())
    [(first, body)] = talk(server, *pieces)
    assert (first.split()[1], body.count(b"\n")) == (b"200", 1)


@pytest.mark.long  # the server has 20 s of patience
def test_a_body_that_never_comes_ends_the_connection(server):
    headers = {**signed(server, BODY), "Content-Length": str(len(BODY))}
    [(first, body)] = talk(server, head(headers) + BODY[:5].encode())
    assert first.split()[1] == b"400"
    assert b"too slow" in body


def test_a_body_in_chunks_is_answered_alike(server):
    headers = {**signed(server, BODY), "Transfer-Encoding": "chunked"}
    chunked = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n".encode()
    [(first, body)] = talk(server, head(headers) + chunked)
    assert (first.split()[1], body.count(b"\n")) == (b"200", 1)


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_only_who_has_the_key_is_answered(server, secret):
    headers = signed(server, BODY, secret="x" * 40) if secret else {"Host": "here"}
    [(first, body)] = talk(
        server, head({**headers, "Content-Length": str(len(BODY))}) + BODY.encode()
    )
    assert first.split()[1] in (b"400", b"403")
    assert (b"signature" in body) or (b"AccessDenied" in body)


def test_a_changed_body_is_refused(server):
    headers = {**signed(server, BODY), "Content-Length": str(len(BODY))}
    [(first, body)] = talk(server, head(headers) + BODY.replace("1", "2").encode())
    assert first.split()[1] in (b"400", b"403")
    assert b"signature" in body


def test_without_keys_an_endpoint_is_found_by_its_path(launch, tmp_path):
    with launch(tmp_path / "home", "--no-auth") as open_server:
        request = head({"Host": "here", "Content-Length": str(len(BODY))}) + BODY.encode()
        [(first, body)] = talk(open_server, request)
    assert first.split()[1] == b"400"
    assert b"Endpoint scores of account" in body
