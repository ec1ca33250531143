"""Whenever the process that answers asynchronous requests is killed, each is answered once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from clary.config import Config
from clary.doors.python.session import connect
from clary.endpoints.asynchronous import INVOCATION
from clary.kernel.codec import plain
from clary.kernel.names import Ref
from clary.platform import open_platform
from clary.queues.model import QUEUE

PROGRAM = Path(__file__).with_name("killed_async.py")
MOMENTS = ("after-put", "in-end", "after-end")
TOPIC = "arn:aws:sns:us-east-1:123456789012:told"


class Turning:
    def predict(self, text):
        return text[::-1]


def run(home, moment):
    argv = [sys.executable, str(PROGRAM), str(home), moment]
    return subprocess.run(argv, timeout=60, check=False, capture_output=True, text=True)


@pytest.fixture
def endpoint(tmp_path):
    """Make an endpoint asynchronous; its workers go on when the session ends, and go at the end."""
    with connect(tmp_path / "home") as session:
        plain = session.endpoints.deploy(Turning, "plain", wait=False)
        endpoints, actor = session.platform.endpoints, session.actor
        variant = {
            "VariantName": "A",
            "ModelName": plain.variants["main"]["model"],
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        session.platform.queues.create(session.ref(QUEUE, "told"), {}, actor=actor)
        output = {
            "S3OutputPath": f"s3://{session.bucket}/out",
            "NotificationConfig": {"SuccessTopic": TOPIC},
        }
        config = session.ref("endpoint-config", "later")
        request = {
            "EndpointConfigName": "later",
            "ProductionVariants": [variant],
            "AsyncInferenceConfig": {"OutputConfig": output},
        }
        endpoints.create_config(config, request, actor=actor)
        asked = {"EndpointName": "later", "EndpointConfigName": "later"}
        endpoints.create(session.ref("endpoint", "later"), asked, actor=actor)
        session.endpoints.get("later").wait()
    yield session.ref("endpoint", "later")
    with connect(tmp_path / "home") as session:
        for one in session.endpoints.list():
            one.delete(wait=False)
        for one in session.endpoints.list():
            one.wait()


def test_each_request_is_answered_once(tmp_path, endpoint):
    home = tmp_path / "home"
    platform = open_platform(Config(home=home))
    kept = []
    for moment in MOMENTS:
        asked = {
            "EndpointName": "later",
            "Body": b"abc",
            "ContentType": "text/plain",
            "Accept": "application/json",
        }
        kept.append(platform.async_invocations.accept(endpoint, asked, actor="me"))
        assert run(home, moment).returncode == -signal.SIGKILL, moment
    late = platform.async_invocations.accept(endpoint, asked, actor="me")
    expire(platform.store, endpoint.sibling(INVOCATION, f"later/{late.uid}"))
    done = run(home, "never")
    assert done.returncode == 0, done.stderr
    assert failures(platform) == ["its time to live was over before a worker was free"]
    for one in kept:
        bucket, _, key = one.places.output.removeprefix("s3://").partition("/")
        assert b"".join(platform.objects.read(bucket, key)) == b'"cba"'
    ends = Counter(event.ref.name for event in platform.store.events() if is_end(event))
    assert ends == {f"later/{one.uid}": 1 for one in [*kept, late]}
    told = list(platform.queues.messages.all(Ref(endpoint.account, endpoint.region, QUEUE, "told")))
    assert len(told) == len(kept)
    assert platform.async_invocations.backlog(endpoint) == 0
    platform.async_invocations.accept(endpoint, asked, actor="me")
    platform.endpoints.delete(endpoint, actor="me")
    assert run(home, "never").returncode == 0
    assert "not found" in failures(platform)[-1]


def expire(store, ref):
    """Have a request received two days ago."""
    with store.begin() as transaction:
        found = transaction.get(ref)
        then = plain(found.created_at - timedelta(days=2))
        transaction.update(replace(found, body={**found.body, "received_at": then}))


def failures(platform):
    return [
        event.detail["failureReason"]
        for event in platform.store.events()
        if is_end(event) and event.action.endswith(".failed")
    ]


def is_end(event):
    return event.ref.kind == INVOCATION and event.action.endswith((".succeeded", ".failed"))
