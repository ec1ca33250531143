from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from clary.governance.bearer import read_bearer
from clary.governance.client.clary_client import rewrite
from clary.governance.environment import CLIENT_DIR, client_environment, conflicts
from clary.governance.model import Credentials

KEYS = Credentials("AKIAEXAMPLE", "secret")
ANSWER = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    b"<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
    b"</GetCallerIdentityResponse>"
)
EXPLICIT_STS = """
import boto3, json
sts = boto3.client("sts", endpoint_url="https://sts.eu-west-1.amazonaws.com")
print(json.dumps(sts.get_caller_identity()["Account"]))
"""


@pytest.fixture
def endpoint():
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_an_explicit_aws_address_reaches_the_platform_signed_for_it(endpoint):
    url, seen = endpoint
    around = client_environment(url, KEYS, "eu-west-1", inherited={"HTTPS_PROXY": "http://x:1"})
    done = subprocess.run(
        [sys.executable, "-c", EXPLICIT_STS],
        env={"PATH": os.environ["PATH"], "HTTPS_PROXY": "http://127.0.0.1:1", **around},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == "123456789012"
    [headers] = seen
    assert headers["Host"] == url.removeprefix("http://")
    assert "/eu-west-1/sts/aws4_request" in headers["Authorization"]
    assert "Credential=AKIAEXAMPLE/" in headers["Authorization"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://sts.us-east-1.amazonaws.com/", "http://h:1/"),
        ("https://sts.amazonaws.com/?a=b", "http://h:1/?a=b"),
        ("https://b.c.s3.us-east-1.amazonaws.com/k%20y?x=1", "http://h:1/b.c/k%20y?x=1"),
        ("https://b.s3.amazonaws.com/", "http://h:1/b/"),
        ("https://b.s3-eu-west-1.amazonaws.com/k", "http://h:1/b/k"),
        ("https://s3.us-east-1.amazonaws.com/b/k", "http://h:1/b/k"),
        ("https://api.sagemaker.us-east-1.api.aws/x", "http://h:1/x"),
        ("https://example.com/amazonaws.com", "https://example.com/amazonaws.com"),
        ("https://amazonaws.com.example.com/", "https://amazonaws.com.example.com/"),
        ("http://127.0.0.1:8930/b/k", "http://127.0.0.1:8930/b/k"),
    ],
)
def test_rewrite(url, expected):
    assert rewrite(url, "http://h:1") == expected
    assert rewrite(url, "") == url


def test_what_is_there_is_kept():
    inherited = {
        "PYTHONPATH": "/a:/b",
        "no_proxy": "intranet",
        "NO_PROXY": "shadowed",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "mine=my_plugin",
    }
    around = client_environment("http://127.0.0.1:1", KEYS, "us-east-1", inherited=inherited)
    assert around["PYTHONPATH"] == f"{CLIENT_DIR}:/a:/b"
    assert around["NO_PROXY"] == around["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert around["BOTOCORE_EXPERIMENTAL__PLUGINS"] == "mine=my_plugin,clary=clary_client"
    again = client_environment("http://127.0.0.1:1", KEYS, "us-east-1", inherited=around)
    assert again == around


def test_what_would_lead_elsewhere_is_named():
    inherited = {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL_S3": "http://x", "PATH": "/bin"}
    assert conflicts(inherited) == ["AWS_ENDPOINT_URL_S3", "AWS_PROFILE"]
    assert "AWS_SESSION_TOKEN" not in client_environment("http://x", KEYS, "us-east-1")


def test_the_plugin_needs_nothing_but_python():
    source = (CLIENT_DIR / "clary_client.py").read_text(encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(CLIENT_DIR)!r}); import clary_client"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
    assert "import clary." not in source


def test_mlflow_is_led_here_and_nowhere_else():
    variables = client_environment("http://127.0.0.1:1", KEYS, "eu-west-1")
    assert variables["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:1"
    assert read_bearer(variables["MLFLOW_TRACKING_TOKEN"]) == (KEYS, "eu-west-1")
    around = {"MLFLOW_TRACKING_USERNAME": "a", "MLFLOW_REGISTRY_URI": "b", "MLFLOW_RUN_ID": "c"}
    assert conflicts(around) == ["MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_USERNAME"]


@pytest.mark.parametrize("word", ["", "!", "bm9wZQ==", "WzFd", "WyJhIl0=", "e" * 5000])
def test_what_is_no_bearer_token_is_refused(word):
    with pytest.raises(ValueError, match=r"bearer|parts|long"):
        read_bearer(word)
