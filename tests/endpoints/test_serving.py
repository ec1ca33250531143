"""Requests follow the routes of their endpoint, whoever changes them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from tests.endpoints.endpoint_world import ENDPOINT, opened

from clary.adapters.files import FileObjects
from clary.adapters.onnx_models import OnnxModels
from clary.adapters.sqlite import SqliteStore
from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints.captures import Captures
from clary.endpoints.clients import FleetClient
from clary.endpoints.invocations import Invocation
from clary.endpoints.live import Tools
from clary.endpoints.meters import Meters
from clary.endpoints.serving import Serving
from clary.endpoints.shadows import Shadows
from clary.kernel.errors import InvalidInput, ModelFailed
from clary.metrics.recorder import Recorder

FAILING = """
def model_fn(folder): return 1
def transform_fn(model, data, content_type, accept):
    error = ValueError("not " + data)
    error.add_note("a note")
    raise error
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("serving")) as opened_world:
        yield opened_world


@pytest.fixture(scope="module")
def serving(world):
    """Serve the same home as another process would: by a store of its own."""
    store = SqliteStore(world.home / "metadata.db")
    recorder = Recorder(SqliteSeries(world.home / "series.db"))
    objects = FileObjects(world.home / "buckets")
    captures = Captures(world.home / "captures", objects, recorder)
    tools = Tools(
        lambda fleet: FleetClient(fleet, world.fleets),
        OnnxModels(world.home / "compiled"),
        captures,
        Meters(recorder),
        Shadows(store),
    )
    made = Serving(store, tools)
    yield made
    made.close()
    captures.close()
    recorder.close()


def asked(serving, body=b"x", **more):
    target, reply = serving.invoke(Invocation(ENDPOINT, body, "text/csv", **more))
    return target.variant, reply.body


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_requests_follow_an_endpoint_from_its_first_day_to_its_last(world, serving):
    with pytest.raises(InvalidInput, match=r"Endpoint shop of account 123456789012 not found"):
        asked(serving)
    for name in ("one", "two"):
        world.model(name)
    world.endpoint(world.config("both", "one", "two").ref.name)
    assert world.settled() == "InService"
    assert asked(serving, variant="one") == ("one", b"one")
    assert {asked(serving) for _ in range(60)} == {("one", b"one"), ("two", b"two")}
    with pytest.raises(InvalidInput, match=r"'three' is no variant of shop; legal: one, two"):
        asked(serving, variant="three")

    held = world.store.get(ENDPOINT)
    weightless = [one | {"weight": 0.0} for one in held.body["routes"]]
    with world.store.begin() as change:
        change.update(replace(held, body={**held.body, "routes": weightless}))
    until(lambda: serving.find(Invocation(ENDPOINT, b"x")) is None)
    with pytest.raises(InvalidInput, match=r"every variant of endpoint shop has the weight 0"):
        asked(serving)
    assert asked(serving, variant="two") == ("two", b"two")

    world.endpoints.delete(ENDPOINT, actor="ada")
    assert world.settled() == ""
    with pytest.raises(InvalidInput, match="not found"):
        asked(serving)


def test_a_model_that_raises_is_told_from_one_that_is_gone(world, serving):
    world.model("bad", FAILING)
    world.endpoint(world.config("bad", "bad").ref.name)
    assert world.settled() == "InService"
    with pytest.raises(ModelFailed, match="ValueError: not x") as caught:
        asked(serving)
    assert caught.value.status == 500
    with pytest.raises(InvalidInput, match="6291456"):
        asked(serving, b"x" * ((6 << 20) + 1))
    world.endpoints.delete(ENDPOINT, actor="ada")
    assert world.settled() == ""
