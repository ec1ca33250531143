"""Rolls versions out and back in child processes that are killed; see ``killed.py``.

Usage: killed_rollouts.py DIRECTORY POINT...
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.endpoints import fleet_world, killed
from tests.endpoints.endpoint_world import EndpointWorld

from clary.kernel.names import Ref

ALARM = Ref(fleet_world.ACCOUNT, fleet_world.REGION, "alarm", "bell")
RINGS = {
    "Namespace": "shop",
    "MetricName": "drift",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.5,
    "ComparisonOperator": "GreaterThanThreshold",
}


prepare_models = killed.prepare


def canary(wait_s, **more):
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": wait_s}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}, **more}


def rolling():
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0}}


def prepare(home):
    prepare_models(home)
    world = EndpointWorld(home)
    for name in ("one", "two"):
        variant = {
            "VariantName": "main",
            "ModelName": name,
            "InitialInstanceCount": 2,
            "InstanceType": "ml.m5.large",
        }
        request = {"EndpointConfigName": f"{name}-twice", "ProductionVariants": [variant]}
        ref = world.named("endpoint-config", f"{name}-twice")
        world.endpoints.create_config(ref, request, actor="a")
    world.alarms.put(ALARM, RINGS, actor="a")
    world.store.close()


def live(home, point):
    """Roll out by a canary, by batches, and by a canary that an alarm sends back; then delete."""
    killed.Mortal.point = point
    fleet_world.SqliteStore = killed.Mortal
    world = EndpointWorld(home, lease_s=0.2)
    world.worker.start()
    guarded = canary(600, AutoRollbackConfiguration={"Alarms": [{"AlarmName": "bell"}]})
    steps = (
        (lambda: world.endpoint("one-twice"), "one-twice"),
        (lambda: world.update("two-twice", DeploymentConfig=canary(1)), "two-twice"),
        (lambda: world.update("one-twice", DeploymentConfig=rolling()), "one-twice"),
        (lambda: world.update("two-twice", DeploymentConfig=guarded), "one-twice"),
        (lambda: world.endpoints.delete(world.named("endpoint", "shop"), actor="ada"), ""),
    )
    for number, (ask, config) in enumerate(steps):
        if len(asked_of(world)) <= number:
            ask()
        if len(asked_of(world)) == 4:
            ring(world)
        status = world.settled()
        if config and len(asked_of(world)) == number + 1:
            whole(world, status, config)
    while world.fleets_left():
        world.store.wait(0.02)
    world.worker.stop()


def asked_of(world):
    return [x for x in world.actions() if x in {"created", "updating", "deleting"}]


def ring(world):
    """Have the alarm ring while the canary bakes."""
    while (held := world.held()) and held.deployment is not None:
        if held.deployment.stage == "Baking":
            world.alarms.set_state(ALARM, "ALARM", "told to", actor="a")
        world.store.wait(0.02)


def whole(world, status, config):
    """Check that one version is in service, with all of its instances, and nothing of another."""
    held = world.held()
    assert (status, held.config) == ("InService", config), (status, held)
    assert held.routes == held.served.routes, held
    for fleet, count in held.served.counts.items():
        found = world.fleets.state(world.store.get(world.named("endpoint-fleet", fleet)))
        assert (found.status, found.desired) == ("InService", count), found


if __name__ == "__main__":
    killed.prepare, killed.live = prepare, live
    killed.main(sys.argv[1], sys.argv[2:])
