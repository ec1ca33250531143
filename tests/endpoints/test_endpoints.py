"""The control plane of endpoints, on real fleets."""

from __future__ import annotations

import pytest
from tests.endpoints.endpoint_world import BROKEN, GOOD, opened
from tests.endpoints.fleet_world import BUCKET, PYTHON, invocation

from clary.endpoints.clients import FleetClient
from clary.endpoints.model import FLEET
from clary.kernel.errors import Conflict, InvalidInput, NotFound

SLOW = """
import time
def model_fn(folder): time.sleep(600)
"""


@pytest.fixture
def world(tmp_path):
    with opened(tmp_path) as world:
        yield world


def served(world):
    """Ask each of an endpoint's routes; answers by variant."""
    answers = {}
    for route in world.held().routes:
        client = FleetClient(world.store.get(world.named(FLEET, route.fleet)), world.fleets)
        answers[route.variant] = client.ask(invocation()).body.decode()
        client.close()
    return answers


def test_an_update_goes_from_one_model_to_another(world):
    one = world.model("one")
    two = world.model("two")
    world.config("c1", "one")
    world.config("c2", "one", "two")
    shop = world.endpoint("c1").ref
    assert world.settled() == "InService", world.held()
    assert served(world) == {"one": "one"}
    world.update("c2")
    with pytest.raises(Conflict, match="is Updating, not InService"):
        world.update("c1")
    assert world.settled() == "InService"
    assert served(world) == {"one": "one", "two": "two"}
    assert world.held().config == "c2"
    sources = [link.source for link in world.store.links(shop, incoming=True)]
    assert set(sources) == {one, two}


def test_what_is_served_does_not_hang_on_its_configuration(world):
    world.model("one")
    world.config("c1", "one")
    world.endpoint("c1")
    world.settled()
    world.endpoints.delete_config(world.named("endpoint-config", "c1"), actor="ada")
    assert world.endpoints.describe(world.named("endpoint", "shop"))["EndpointConfigName"] == "c1"
    with pytest.raises(NotFound, match="endpoint-config c1"):
        world.update("c1")


def test_an_endpoint_is_deleted_while_it_is_made(world):
    world.model("slow", SLOW)
    world.config("c1", "slow")
    shop = world.endpoint("c1").ref
    while not world.processes():
        world.store.wait(0.02)
    world.endpoints.delete(shop, actor="ada")
    assert world.settled() == ""
    assert (world.fleets_left(), world.processes()) == ([], [])
    assert world.actions() == ["created", "deleting", "deleted"]


def test_a_bad_version_of_two_variants_is_taken_back_whole(world):
    world.model("one")
    world.model("two")
    world.model("bad", BROKEN)
    world.config("c1", "one")
    world.config("c2", "two", "bad")
    world.endpoint("c1")
    world.settled()
    world.update("c2")
    assert world.settled() == "InService"
    assert (world.held().config, served(world)) == ("c1", {"one": "one"})
    assert "xyzzy" in world.held().reason
    while len(world.fleets_left()) > 1:
        world.store.wait(0.02)
    world.update("c1")
    world.settled()
    assert world.held().reason == ""


def canary(*alarms, wait_s=600):
    size = {"Type": "CAPACITY_PERCENT", "Value": 10}
    routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": wait_s}
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
    }


def test_an_alarm_takes_a_canary_back(world):
    for name in ("one", "two"):
        world.model(name)
        world.config(name, name)
    alarm = world.named("alarm", "errors")
    watched = {
        "AlarmName": "errors",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    world.alarms.put(alarm, watched, actor="ada")
    world.endpoint("one")
    world.settled()
    with pytest.raises(InvalidInput, match="'missing' does not exist"):
        world.update("two", DeploymentConfig=canary("missing"))
    world.update("two", DeploymentConfig=canary("errors"))
    while len(world.held().routes) < 2:
        world.store.wait(0.02)
    assert [round(route.weight, 3) for route in world.held().routes] == [0.9, 0.1]
    document = world.endpoints.describe(world.named("endpoint", "shop"))
    (new,) = document["PendingDeploymentSummary"]["ProductionVariants"]
    assert new["VariantStatus"][0]["Status"] == "Baking"
    assert new["CurrentWeight"] == 0.1
    world.alarms.set_state(alarm, "ALARM", "as a test", actor="ada")
    assert world.settled() == "InService"
    held = world.held()
    assert (held.config, held.reason) == ("one", "Alarm errors is in ALARM")
    assert served(world) == {"one": "one"}
    assert held.policy == canary("errors")
    assert "advanced" in world.actions()


@pytest.mark.parametrize(
    "policy",
    [
        {"BlueGreenUpdatePolicy": {}},
        {**canary(), "RollingUpdatePolicy": {}},
        canary(wait_s=4000),
    ],
)
def test_a_policy_that_cannot_be_is_refused(world, policy):
    world.model("one")
    world.config("one", "one")
    with pytest.raises(InvalidInput):
        world.endpoint("one", DeploymentConfig=policy)
    assert world.held() is None


def test_containers_in_a_row_and_one_by_one(world):
    world.model("one", GOOD)
    container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/one.tar.gz"}
    several = [{**container, "ContainerHostname": name} for name in ("first", "second")]
    for name, mode in (("row", "Serial"), ("each", "Direct")):
        more = {"Containers": several, "InferenceExecutionConfig": {"Mode": mode}}
        world.model(name, PrimaryContainer=None, **more)
        world.config(name, name)
        world.endpoint(name, name)
        assert world.settled(name) == "InService", world.held(name)
        (variant,) = world.held(name).served.variants
        assert [stage.hostname for stage in variant.stages] == ["first", "second"]
        assert (variant.direct, variant.choice) == (mode == "Direct", "native: it is not one model")


def test_an_image_that_stands_for_nothing_fails_the_endpoint(world):
    container = {"Image": "registry/nothing:1", "ModelDataUrl": f"s3://{BUCKET}/one.tar.gz"}
    world.model("one", PrimaryContainer=container)
    world.config("one", "one")
    world.endpoint("one")
    assert world.settled() == "Failed"
    assert "Image" in world.held().reason
    assert world.actions() == ["created", "failed"]
