"""A real server on a home of its own, and a client that costs little: one socket, signed ahead."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from clary.governance.keys import open_keys
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 60.0
EXPIRES_S = 3600


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    home: Path
    endpoint: str
    pid: int
    credentials: Credentials

    def client(self, service):
        """Make a boto3 client of it."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.credentials.access_key,
            aws_secret_access_key=self.credentials.secret_key,
            region_name=DEFAULT_REGION,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def signed(self, target: str, document: object) -> bytes:
        """Return the bytes of a signed call of the SageMaker API."""
        headers = {"X-Amz-Target": f"SageMaker.{target}"}
        headers["Content-Type"] = "application/x-amz-json-1.1"
        request = AWSRequest("POST", f"{self.endpoint}/", headers, json.dumps(document))
        SigV4Auth(self.credentials, "sagemaker", DEFAULT_REGION).add_auth(request)
        return written(request.prepare())

    def signed_put(self, path: str, body: bytes) -> bytes:
        """Return the bytes of a PUT, signed in its headers as boto3 does it."""
        headers = {"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest("PUT", f"{self.endpoint}{path}", headers, body)
        S3SigV4Auth(self.credentials, "s3", DEFAULT_REGION).add_auth(request)
        return written(request.prepare())

    def presigned(self, method: str, path: str) -> str:
        """Return the path and query of a presigned S3 request."""
        request = AWSRequest(method, f"{self.endpoint}{path}")
        S3SigV4QueryAuth(self.credentials, "s3", DEFAULT_REGION, EXPIRES_S).add_auth(request)
        url = urlsplit(request.prepare().url)
        return f"{url.path}?{url.query}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return address(self.endpoint)

    @property
    def peak_bytes(self) -> int:
        """The most resident memory that the server has had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def address(endpoint: str) -> tuple[str, int]:
    """Return host and port of an endpoint."""
    url = urlsplit(endpoint)
    return str(url.hostname), int(url.port or 80)


def written(prepared) -> bytes:
    """Write a prepared request as HTTP/1.1."""
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    headers = {"Host": url.netloc, "Content-Length": str(len(body))}
    headers |= {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in prepared.headers.items()
    }
    head = f"{prepared.method} {url.path or '/'} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body)


class Line:
    """One kept connection that sends ready bytes and reads answers of known length."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._socket = socket.create_connection(to)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """Send a request; return the answer's body. Anything but 200 is an error."""
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), data
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += self._more()
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 16)
        assert data, "the server closed the connection"
        return data

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_ready(process: subprocess.Popen[bytes], port: int, path: str = "/_clary/health") -> None:
    """Return as soon as a GET is answered with 200."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as line:
                line.request("GET", path)
                if line.getresponse().status == 200:
                    return
        except OSError:
            time.sleep(0.002)
    raise TimeoutError(f"no server answers on port {port}")


def start(home: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """Start `clary up`."""
    argv = (sys.executable, "-m", "clary", "up", "--home", str(home), "--port", str(port), *options)
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and wait for it."""
    process.terminate()
    process.wait(DEADLINE_S)


@contextmanager
def serving(home: Path, *options: str) -> Iterator[Served]:
    """Serve a home until the block ends."""
    port = free_port()
    process = start(home, port, *options)
    try:
        wait_ready(process, port)
        keys = open_keys(home, DEFAULT_ACCOUNT)
        credentials = Credentials(keys.access_key_id, keys.secret_access_key)
        yield Served(home, f"http://127.0.0.1:{port}", process.pid, credentials)
    finally:
        stop(process)
