from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from clary.config import Config
from clary.doors.wire.server import Server
from clary.kernel.errors import Unavailable
from clary.platform import open_platform


def connect(running):
    url = urlsplit(running.endpoint)
    return socket.create_connection((url.hostname, url.port), timeout=20)


def talk(running, request):
    with connect(running) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


def ask(running, method, path, body=None, headers=None):
    url = urlsplit(running.endpoint)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_health_answers_when_ready(server):
    assert ask(server, "GET", "/_clary/health") == (200, b'{"status": "ready"}')
    assert ask(server, "HEAD", "/_clary/health") == (200, b"")


def test_reset_is_offered_only_when_allowed(server):
    assert ask(server, "POST", "/_clary/reset")[0] == 404


def test_reset_empties_the_home_but_not_for_a_web_page(launch, tmp_path):
    with launch(tmp_path, "--allow-reset") as running:
        client = running.client("sagemaker")
        client.create_model_package_group(ModelPackageGroupName="a")
        assert ask(running, "POST", "/_clary/reset", headers={"Origin": "http://x"})[0] == 403
        assert len(client.list_model_package_groups()["ModelPackageGroupSummaryList"]) == 1
        assert ask(running, "POST", "/_clary/reset")[0] == 200
        client = running.client("sagemaker")
        assert client.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_taken_port_is_refused_in_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        platform = open_platform(Config(home=tmp_path, port=port))
        with pytest.raises(Unavailable, match=f"address 127.0.0.1:{port} is taken"):
            Server(platform)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path, number):
    argv = [sys.executable, "-m", "clary", "up", "--home", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""


def test_a_signal_ends_it_in_the_middle_of_an_upload(tmp_path, launch):
    with launch(tmp_path) as running:
        client = running.client("s3", config=ClientConfig(signature_version="s3v4"))
        client.create_bucket(Bucket="bucket")
        url = client.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "k"})
        target = url.removeprefix(running.endpoint).encode()
        host = urlsplit(url).netloc.encode()
        with connect(running) as sock:
            sock.sendall(b"PUT %s HTTP/1.1\r\nHost: %s\r\n" % (target, host))
            sock.sendall(b"Content-Length: 9000000\r\n\r\n" + b"a" * 4_000_000)
            os.kill(running.pid, signal.SIGTERM)
            while sock.recv(4096):
                pass
    assert running_has_ended(running.pid)


def running_has_ended(pid):
    return not Path(f"/proc/{pid}").exists()


def test_abandoned_downloads_leave_the_server_well(server, s3):
    s3.create_bucket(Bucket="abandoned")
    s3.put_object(Bucket="abandoned", Key="k", Body=bytes(20_000_000))
    for _ in range(8):
        body = s3.get_object(Bucket="abandoned", Key="k")["Body"]
        body.read(1000)
        body.close()
    assert s3.get_object(Bucket="abandoned", Key="k")["Body"].read() == bytes(20_000_000)


def test_a_large_upload_that_is_refused_gets_its_answer(server):
    client = server.client("s3", aws_secret_access_key="wrong")
    for _ in range(20):  # the answer overtakes the body at any moment of it
        with pytest.raises(ClientError) as refused:
            client.put_object(Bucket="bucket", Key="k", Body=bytes(20_000_000))
        assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_a_large_object_passes_through_little_memory(server, s3):
    s3.create_bucket(Bucket="memory")
    before = peak_bytes(server.pid)
    size = 256 << 20  # whoever held half of it would be seen, whatever else the server does
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        s3.put_object(Bucket="memory", Key="k", Body=file)
    got = sum(len(piece) for piece in s3.get_object(Bucket="memory", Key="k")["Body"].iter_chunks())
    assert got == size
    assert peak_bytes(server.pid) - before < size // 2
    s3.delete_object(Bucket="memory", Key="k")


def peak_bytes(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_stop_from_another_thread_ends_it(tmp_path):
    server = Server(open_platform(Config(home=tmp_path, port=0)))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    assert ready.wait(20)
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\xff\xfe?\xe9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: \xe9\xff\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed_http_is_refused_and_the_server_lives(server, request_bytes):
    answer = talk(server, request_bytes)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert ask(server, "GET", "/_clary/health")[0] == 200


def test_a_head_too_large_is_refused(server):
    with connect(server) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = b""
        try:
            for _ in range(64):
                sock.sendall(b"X-Big: " + b"a" * 16_000 + b"\r\n")
            answer = sock.recv(4096)
        except (ConnectionError, TimeoutError):
            pass
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert ask(server, "GET", "/_clary/health")[0] == 200


def test_a_document_too_large_is_refused_without_holding_it(server):
    target = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    status, body = ask(server, "POST", "/", b" " * (17 << 20), target)
    assert status == 413
    assert json.loads(body)["__type"] == "RequestEntityTooLarge"


def test_connections_are_kept_alive(server):
    url = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(url.hostname, url.port)
    sockets = set()
    for _ in range(3):
        connection.request("GET", "/_clary/health")
        connection.getresponse().read()
        sockets.add(connection.sock.getsockname())
    connection.close()
    assert len(sockets) == 1


def test_expect_continue_is_answered_before_the_body(server):
    with connect(server) as sock:
        sock.sendall(
            b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"abc")
        assert sock.recv(4096).startswith(b"HTTP/1.1 403 ")


def test_an_error_to_head_has_no_body(server):
    answer = talk(
        server, b"HEAD /no-such-bucket/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert body == b""


def test_clients_that_leave_in_the_middle_cost_nothing_lasting(server):
    for _ in range(20):
        with connect(server) as sock:
            sock.sendall(
                b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 99
            )
    threads = f"/proc/{server.pid}/task"
    deadline = time.monotonic() + 10
    while ask(server, "GET", "/_clary/health")[0] != 200 and time.monotonic() < deadline:
        pass
    assert len(list(Path(threads).iterdir())) < 120


def test_other_addresses_of_clary_say_what_is_legal(server):
    status, body = ask(server, "GET", "/_clary/nothing")
    assert status == 404
    assert b"GET /_clary/health" in body


def test_an_operation_not_offered_names_itself(sagemaker):
    with pytest.raises(ClientError) as refused:
        sagemaker.list_clusters()
    error = refused.value.response["Error"]
    assert error["Code"] == "UnsupportedOperation"
    assert error["Message"].startswith("clary does not offer sagemaker:ListClusters; see ")


@pytest.mark.parametrize(
    ("service", "operation", "named"),
    [
        ("batch", "describe_job_queues", "batch"),
        ("glue", "list_jobs", "AWSGlue.ListJobs"),
        ("sns", "list_topics", "sns"),
        ("ecr", "describe_repositories", "AmazonEC2ContainerRegistry"),
    ],
)
def test_a_service_not_offered_names_itself(server, service, operation, named):
    with pytest.raises(ClientError) as refused:
        getattr(server.client(service), operation)()
    error = refused.value.response["Error"]
    assert error["Code"] == "UnsupportedOperation"
    assert error["Message"].startswith(f"clary does not offer {named}")
