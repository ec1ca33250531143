"""A shadow variant behind a real endpoint: asked, compared, and forgotten with it."""

from __future__ import annotations

import time

import pytest
from tests.endpoints.fleet_world import PYTHON, archive

from clary.config import Config
from clary.endpoints.invocations import Invocation
from clary.endpoints.shadows import COMPARISON
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Query
from clary.platform import open_platform

SCRIPT = """
import json
def model_fn(folder): return float(open(folder + "/factor").read())
def transform_fn(model, data, content_type, accept):
    number = float(data)
    if model > 2 and number > 8: raise ValueError("too large")
    return str(model * number), "text/csv"
"""
ENDPOINT = Ref("123456789012", "us-east-1", "endpoint", "shop")


@pytest.fixture
def platform(tmp_path):
    opened = open_platform(Config(home=tmp_path / "home"))
    opened.objects.create_bucket(Bucket("models", ENDPOINT.account, ENDPOINT.region, now()))
    opened.worker.start()
    yield opened
    opened.worker.stop()
    opened.shadows.close()
    opened.serving.close()
    opened.captures.close()
    opened.recorder.close()


def wait(holds):
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, "in vain"
        time.sleep(0.02)


def variant(name):
    return {
        "VariantName": name,
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1.0,
    }


def test_a_shadow_is_asked_and_compared(platform):
    for name, factor in (("double", 2.0), ("triple", 3.0)):
        files = {"code/inference.py": SCRIPT, "factor": str(factor)}
        platform.objects.put("models", f"{name}.tar.gz", [archive(files)])
        container = {"Image": PYTHON, "ModelDataUrl": f"s3://models/{name}.tar.gz"}
        request = {"ModelName": name, "PrimaryContainer": container}
        platform.models.create_model(ENDPOINT.sibling("model", name), request, actor="ada")
    request = {
        "EndpointConfigName": "both",
        "ProductionVariants": [variant("double")],
        "ShadowProductionVariants": [variant("triple")],
    }
    config = ENDPOINT.sibling("endpoint-config", "both")
    platform.endpoints.create_config(config, request, actor="ada")
    request = {"EndpointName": "shop", "EndpointConfigName": "both"}
    platform.endpoints.create(ENDPOINT, request, actor="ada")
    wait(lambda: platform.store.get(ENDPOINT).status == "InService")
    for number in range(11):
        invocation = Invocation(ENDPOINT, str(number).encode(), "text/csv")
        target, reply = platform.serving.invoke(invocation)
        assert (target.variant, float(reply.body)) == ("double", number * 2)
    wait(lambda: platform.shadows.settle(1))
    (found,) = platform.shadows.report(ENDPOINT)
    assert (found.variant, found.shadow_of) == ("triple", "double")
    assert (found.requests, found.errors, found.dropped) == (11, 2, 0)
    assert found.agreement == pytest.approx(1 / 9)
    assert found.difference["max"] == 8.0
    platform.endpoints.delete(ENDPOINT, actor="ada")
    wait(lambda: platform.store.get(ENDPOINT) is None)
    assert not platform.store.select(Query(COMPARISON)).items
