"""What a model gets in the place of keys, and what is refused."""

from __future__ import annotations

import json

import pytest
from tests.features.test_views import HOUR, NOW, World, ref

from clary.endpoints.invocations import Invocation, Refused, Reply
from clary.endpoints.model import FleetSpec, Stage
from clary.endpoints.viewed import trained_on, view_of, viewed
from clary.features.views import VIEW
from clary.kernel.errors import Conflict, InvalidInput, NotFound, NotSupported, Unavailable
from clary.lineage.model import Node

ENDPOINT = ref("endpoint", "shop")


class Echo:
    """A model that answers what it was asked."""

    def ask(self, invocation):
        return Reply(invocation.body, invocation.content_type)

    def refresh(self, fleet):
        del fleet

    def close(self):
        pass


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home").make()
    yield made
    made.store.close()


def ask(world, body, *, view="shown/1", kind="application/json", **variables):
    environment = {"CLARY_FEATURE_VIEW": view, **variables}
    spec = FleetSpec("shop", "main", (Stage("image", environment=environment),))
    client = viewed(spec, ENDPOINT, Echo(), world.store.view_log)
    text = body if isinstance(body, str) else json.dumps(body)
    reply = client.ask(Invocation(ENDPOINT, text.encode(), kind))
    return reply.content_type, reply.body.decode()


def show(world, **features):
    definition = {
        "sources": {"customers": ["age"]},
        "inputs": {"name": "String", "x": "Fractional"},
        "features": {"age": "age", "name": "name", "x": "x", **features},
    }
    world.define(definition, "shown")
    world.put("customers", id=1, at=NOW - HOUR, age=30)


def test_lines_for_each_entity(world):
    show(world)
    asked = [
        {"keys": {"id": 1}, "request": {"name": 'a,"b"\nc', "x": 0.1}},
        {"keys": {"id": "2"}, "request": {"x": 1e300}},
    ]
    assert ask(world, asked) == ("text/csv", '30,"a,""b""\nc",0.1\nnan,,1e+300\n')
    kind, text = ask(world, asked, CLARY_INTERFACE="python", kind="Application/JSON; charset=utf-8")
    frame = json.loads(text)["dataframe_split"]
    assert (kind, frame["columns"]) == ("application/json", ["age", "name", "x"])
    assert frame["data"][0] == [30, 'a,"b"\nc', 0.1]
    assert str(frame["data"][1]) == "[nan, None, 1e+300]"
    assert ask(world, "1,2", kind="text/csv") == ("text/csv", "1,2")


def test_lists_are_for_frames(world):
    show(world, both="[x, x * 2]")
    asked = {"keys": {"id": 1}, "request": {"x": 2.0}}
    with pytest.raises(Refused, match="both cannot be CSV"):
        ask(world, asked)
    _, text = ask(world, asked, CLARY_FEATURE_FORM="frame")
    assert json.loads(text)["dataframe_split"]["data"] == [[30, None, 2.0, [2.0, 4.0]]]


def test_nothing_of_a_request_that_fails_is_logged(world):
    show(world, twice="age * CAST(x AS BIGINT)")
    asked = [{"keys": {"id": 1}, "request": {"x": number}} for number in (2.0, 9e18)]
    with pytest.raises(Refused) as refused:
        ask(world, asked)
    assert refused.value.status == 400
    assert world.store.facts.flush()
    assert list(world.store.fact_queries.each(ref(VIEW, "shown"))) == []


@pytest.mark.parametrize(
    "body",
    [
        '{"keys": {"id": 1000000000000000000000000000000}}',
        '{"keys": {"id": 1.5}}',
        '{"keys": {"id": null}}',
        '{"keys": {"id": ["1"]}}',
        '{"keys": {"id": "\\ud800"}}',
        '{"keys": {"id": ""}}',
        '{"keys": {"id": 1, "shop": 2}}',
        '{"keys": {}}',
        '{"keys": {"id": 1}, "more": 1}',
        '{"keys": {"id": 1}, "request": [1]}',
        '{"keys": {"id": 1}, "request": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        "[" * 100_000,
        "null",
        "",
        "\xff",
    ],
)
def test_hostile_requests_are_refused(world, body):
    show(world)
    with pytest.raises(Refused) as refused:
        ask(world, body)
    assert refused.value.status == 400


def test_a_view_that_cannot_answer(world):
    view = world.define(name="filling")  # its aggregates are not there yet
    with pytest.raises(Unavailable):
        ask(world, {"keys": {"id": 1}}, view="filling/1")
    world.views.delete(view, actor="me")
    with pytest.raises(Refused, match="cannot be computed") as refused:
        ask(world, {"keys": {"id": 1}}, view="filling/1")
    assert refused.value.status == 500


@pytest.mark.parametrize(
    "variables",
    [
        {"CLARY_FEATURE_VIEW": "shown"},
        {"CLARY_FEATURE_VIEW": "/1"},
        {"CLARY_FEATURE_VIEW": "shown/0"},
        {"CLARY_FEATURE_VIEW": "shown/²"},
        {"CLARY_FEATURE_VIEW": "shown/99999999999"},
        {"CLARY_FEATURE_VIEW": "shown/1", "CLARY_FEATURE_FORM": "xml"},
    ],
)
def test_variables_that_make_no_sense(variables):
    with pytest.raises(InvalidInput, match="CLARY_FEATURE"):
        view_of([Stage("image", environment=variables)], ENDPOINT)


def test_no_view_is_no_work():
    client, spec = Echo(), FleetSpec("shop", "main", (Stage("image"),))
    assert viewed(spec, ENDPOINT, client, None) is client
    named = Stage("image", environment={"CLARY_FEATURE_VIEW": "shown/1"})
    with pytest.raises(NotSupported):
        viewed(FleetSpec("shop", "main", (named,)), ENDPOINT, client, None)


def test_a_model_goes_back_to_one_view():
    model, one, two = ref("model-package", "m", 1), ref(VIEW, "a", 1), ref(VIEW, "a", 2)
    with pytest.raises(NotFound, match="model-package m/1"):
        trained_on(Node(model))
    node = Node(model, children=(Node(ref("training-job", "j"), children=(Node(one),)),))
    assert trained_on(node) == one
    with pytest.raises(Conflict, match=r"a/1, feature-view a/2"):
        trained_on(Node(model, children=(node, Node(two))))
