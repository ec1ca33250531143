"""Fleets whose instances come when requests need them: serverless, and multi-model containers."""

from __future__ import annotations

import threading

import pytest
from tests.endpoints.fleet_world import invocation, opened

from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints import frames
from clary.endpoints.invocations import Refused
from clary.endpoints.model import Serverless, Stage
from clary.kernel.errors import InvalidInput, LimitExceeded
from clary.metrics.recorder import Recorder

NAMED = """
import time, uuid
LOADED = uuid.uuid4()
def model_fn(folder): return open(f"{folder}/name").read()
def transform_fn(model, data, content_type, accept):
    if data == "nap": time.sleep(0.3)
    return f"{model} {LOADED}", "text/plain"
"""


def model(name):
    return {"code/inference.py": NAMED, "name": name}


@pytest.fixture
def world(tmp_path):
    with opened(tmp_path, drain_s=0.1) as world:
        yield world


def ask(client, word="on", name=""):
    return client.ask(invocation(word.encode(), "text/plain", model=name)).body.decode()


def beat(world, process):
    return frames.beat(world.runner.workspace(process) / "run/beat.sock", 5.0)


def at_once(count, call):
    """Call so often at the same time; returns answers and errors."""
    found = []

    def run():
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_serverless_comes_and_goes_by_use(world):
    ref = world.create("less", model("a"), serverless=Serverless(3), limits={"idle_s": 0.5})
    client = world.client(ref)
    assert ask(client).startswith("a ")
    world.wait(ref, lambda state: state.ready == 0 and not world.instances(ref))
    assert world.processes() == []
    state = world.state(ref)
    assert (state.status, state.desired) == ("InService", 0)
    assert ask(client).startswith("a ")  # a cold start
    found = at_once(5, lambda: ask(client, "nap"))
    refused = [one for one in found if isinstance(one, LimitExceeded)]
    answered = [one for one in found if isinstance(one, str)]
    assert len(refused) == 2, found
    assert len(answered) == 3


def test_provisioned_concurrency_is_kept(world):
    ref = world.create(
        "kept", model("a"), serverless=Serverless(2, provisioned=1), limits={"idle_s": 0.2}
    )
    client = world.client(ref)
    assert len(at_once(2, lambda: ask(client, "nap"))) == 2
    world.wait(ref, lambda state: state.ready == 1 and len(world.instances(ref)) == 1)
    before = ask(client)
    world.wait(ref, lambda _: beat(world, *world.processes()).idle_s > 0.5)
    assert ask(client) == before


def test_a_serverless_model_that_cannot_be_loaded_fails_at_once(world):
    ref = world.create("bad", {"code/inference.py": "import nothing"}, serverless=Serverless(2))
    state = world.state(ref)
    assert state.status == "Failed"
    assert "nothing" in state.reason


@pytest.fixture
def many(world):
    for name in ("a", "b", "sub/c"):
        world.put(f"many/{name}.tar.gz", model(name))
    world.put(
        "many/bad.tar.gz", {"code/inference.py": "def model_fn(folder): raise OSError('bad')"}
    )
    stage = Stage(
        "python:3",
        "s3://models/many/",
        multi_model=True,
        environment={"SAGEMAKER_MAX_LOADED_MODELS": "2"},
    )
    ref = world.create("many", stages=(stage,))
    return ref, world.client(ref)


def test_models_are_loaded_when_they_are_named(world, many):
    ref, client = many
    assert world.state(ref).status == "InService"
    assert world.processes() == []
    first = ask(client, name="a.tar.gz")
    assert first.startswith("a ")
    assert ask(client, name="a.tar.gz") == first
    assert ask(client, name="b.tar.gz").startswith("b ")
    assert ask(client, name="a.tar.gz") == first
    world.wait(ref, lambda _: all(beat(world, one).idle_s for one in world.processes()))
    assert ask(client, name="sub/c.tar.gz").startswith("sub/c ")  # b makes room: longest unused
    loaded = [one["model"] for one in world.instances(ref) if one["phase"] == "ready"]
    assert sorted(loaded) == ["a.tar.gz", "sub/c.tar.gz"]
    assert ask(client, name="a.tar.gz") == first
    assert ask(client, name="b.tar.gz").startswith("b ")
    with pytest.raises(Refused, match="OSError: bad") as refused:
        ask(client, name="bad.tar.gz")
    assert refused.value.status == 500


def test_a_new_artifact_is_a_new_model(world, many):
    ref, client = many
    assert ask(client, name="a.tar.gz").startswith("a ")
    world.put("many/a.tar.gz", model("anew"))
    world.wait(ref, lambda _: ask(client, name="a.tar.gz").startswith("anew "))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none.tar.gz", "there is no artifact at s3://models/many/none.tar.gz"),
        ("", "is no such name"),
        ("../other/model.tar.gz", "is no such name"),
        ("a//b", "is no such name"),
        ("a\nb", "is no such name"),
        ("x" * 2000, "is no such name"),
    ],
)
def test_names_that_lead_nowhere(many, name, problem):
    with pytest.raises(InvalidInput, match=problem):
        ask(many[1], name=name)


def test_a_name_where_there_is_one_model(world):
    ref = world.create("one", model("a"))
    with pytest.raises(InvalidInput, match="no multi-model"):
        ask(world.client(ref), name="a.tar.gz")


def test_how_long_starts_took_is_measured(tmp_path):
    with opened(tmp_path, drain_s=0.1) as world:
        recorder = Recorder(SqliteSeries(tmp_path / "series.db"))
        world.fleets._recorder = recorder
        world.create("less", model("a"), serverless=Serverless(1))
        (total,) = recorder.totals()
        assert (total.metric.name, total.metric.unit) == ("ModelSetupTime", "Microseconds")
        assert 1e3 < total.tally.total < 60e6
        recorder.close()
