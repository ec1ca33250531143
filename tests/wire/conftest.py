"""A real server in a process of its own, and real clients."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config as ClientConfig

from clary.config import Config
from clary.platform import Platform, open_platform

ONE_TRY = ClientConfig(retries={"total_max_attempts": 1}, max_pool_connections=64)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Running:
    """A server and its home."""

    endpoint: str
    home: Path
    pid: int

    @property
    def keys(self):
        return json.loads((self.home / "credentials.json").read_bytes())

    def client(self, service, *, region="us-east-1", config=None, **options):
        """Make a boto3 client that signs with the home's own key."""
        keys = self.keys
        named = {
            "aws_access_key_id": keys["access_key_id"],
            "aws_secret_access_key": keys["secret_access_key"],
        }
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            config=ONE_TRY.merge(config) if config else ONE_TRY,
            **{**named, **options},
        )


@contextmanager
def up(home, *flags):
    """Run ``clary up`` until the block ends."""
    argv = [sys.executable, "-m", "clary", "up", "--home", str(home), "--port", "0", "--attached"]
    process = subprocess.Popen(
        [*argv, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert " at http://" in line, f"the server said {line!r}"
        yield Running(line.rpartition(" at ")[2].strip(), Path(home), process.pid)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@pytest.fixture
def launch():
    """Give ``up``, for tests that want a server of their own."""
    return up


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Running:
    """Share a strict server with verified signatures, for tests that name what they make."""
    with up(tmp_path_factory.mktemp("wire")) as running:
        yield running


@pytest.fixture(scope="session")
def platform(server) -> Platform:
    """Open the shared server's home in this process too."""
    return open_platform(Config(home=server.home))


@pytest.fixture
def sagemaker(server):
    return server.client("sagemaker")


@pytest.fixture
def s3(server):
    return server.client("s3")


@pytest.fixture
def name(request):
    """Give a name that no other test uses."""
    return f"t{next(_numbers)}-{request.node.name[:24].strip('[]-_').replace('_', '-').lower()}"
