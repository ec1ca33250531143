"""A home of its own for each module, and clients of it in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from clary.config import Config
from clary.doors.cli.env import environment_of
from clary.governance.environment import conflicts
from clary.governance.presence import find

ROOT = Path(__file__).parents[2]
CLARY = (sys.executable, "-m", "clary")
SDK_PYTHON = ROOT / ".venv-sagemaker" / "bin" / "python"


@dataclass(frozen=True)
class Home:
    """A home with a server."""

    path: Path

    @property
    def environment(self):
        """The environment that ``clary run`` would give a program."""
        gone = conflicts(os.environ)
        around = {name: value for name, value in os.environ.items() if name not in gone}
        return around | environment_of(Config(home=self.path))

    def client(self, service):
        keys = self.environment
        return boto3.client(
            service,
            endpoint_url=keys["AWS_ENDPOINT_URL"],
            region_name=keys["AWS_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )

    def clary(self, *args):
        """Run a command on the home."""
        return subprocess.run(
            [*CLARY, *args, "--home", str(self.path)], capture_output=True, text=True, check=False
        )


@contextmanager
def serving(path):
    """Run ``clary up`` on a home until the block ends."""
    process = subprocess.Popen(
        [*CLARY, "up", "--home", str(path), "--port", "0", "--attached"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline().startswith("clary serves")
        assert find(path) is not None
        yield Home(path)
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("journey") / "home") as running:
        yield running


@pytest.fixture
def sdk(home):
    """Run a Python program in the SDK's environment, against the home."""
    if not SDK_PYTHON.exists():
        pytest.skip("needs the SDK's environment: make .venv-sagemaker/.done")

    def run(*args):
        return subprocess.run(
            [SDK_PYTHON, *args], env=home.environment, capture_output=True, text=True, check=False
        )

    return run
