"""A server in this process, and unmodified MLflow clients of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow
import pytest
import requests

from clary.config import Config
from clary.doors.wire.server import Server
from clary.governance.bearer import bearer
from clary.platform import Platform, open_platform


@dataclass(frozen=True)
class Running:
    """A server and the platform it serves."""

    endpoint: str
    platform: Platform

    @property
    def token(self):
        return bearer(self.platform.governance.owner_credentials(), "us-east-1")

    def send(self, method, path, *, token=None, **options):
        """Send a request as no client of MLflow's would."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        url = f"{self.endpoint}{path}"
        return requests.request(method, url, timeout=30, **{"headers": headers, **options})


@contextmanager
def serving(config):
    platform = open_platform(config)
    server = Server(platform)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield Running(server.endpoint, platform)
    finally:
        server.stop()
        thread.join(20)


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    with serving(Config(home=tmp_path_factory.mktemp("mlflow"), port=0)) as running:
        yield running


@pytest.fixture
def open_server(tmp_path):
    """Serve a home that asks nobody who they are."""
    with serving(Config(home=tmp_path, port=0, authenticate=False)) as running:
        yield running


@pytest.fixture(autouse=True)
def led(server, monkeypatch):
    """Lead this process's client to the server."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", server.token)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(server.endpoint)
    yield
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(server):
    return mlflow.MlflowClient()


@pytest.fixture
def experiment(client, request):
    """Make an experiment that no other test uses."""
    name = request.node.name
    mlflow.set_experiment(name)
    return client.get_experiment_by_name(name).experiment_id
