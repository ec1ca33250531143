"""Updates under load: whatever is rolled out, rolled back or scaled, no client sees it fail."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import boto3
import numpy as np
import pytest
import xgboost
from botocore.config import Config
from tests.endpoints.fleet_world import PYTHON, XGBOOST, archive

from clary.adapters.sqlite import SqliteStore
from clary.endpoints import body
from clary.kernel.names import Ref

CLIENTS = 3
BUCKET, NAME = "rolled-out", "shop"
QUICK = {"Delay": 0.05, "MaxAttempts": 1200}
ONE_TRY = Config(retries={"total_max_attempts": 1}, read_timeout=30)
SCRIPT = """
def model_fn(folder): return open(folder + "/words").read()
def transform_fn(model, data, content_type, accept): return model, "text/csv"
"""
BROKEN = """
def model_fn(folder): raise RuntimeError("no such weights: xyzzy")
"""


class Server:
    """A server of its own, and clients of it."""

    def __init__(self, home):
        argv = [sys.executable, "-m", "clary", "up", "--home", str(home), "--port", "0"]
        self.process = subprocess.Popen(
            [*argv, "--attached"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert " at http://" in line, line
        self.endpoint = line.rpartition(" at ")[2].strip()
        self.home = home
        self.keys = json.loads((home / "credentials.json").read_bytes())

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.keys["access_key_id"],
            aws_secret_access_key=self.keys["secret_access_key"],
            config=ONE_TRY,
        )

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("rollouts"))
    running.client("s3").create_bucket(Bucket=BUCKET)
    yield running
    running.stop()


class Load:
    """Clients that ask all the time; what they were answered, and what failed."""

    def __init__(self, server):
        self.answers = Counter()
        self.failures = []
        self.latest_s = 0.0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(server.client("sagemaker-runtime"),))
            for _ in range(CLIENTS)
        ]

    def _ask(self, runtime):
        while not self._stop.is_set():
            try:
                reply = runtime.invoke_endpoint(
                    EndpointName=NAME, Body=b"1,2,3", ContentType="text/csv"
                )
                self.answers[reply["Body"].read().decode()] += 1
            except Exception as error:  # counted: the test fails with all of them
                self.failures.append(repr(error))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def counted(self):
        """Give a counter of what is answered within the block."""
        before, seen = Counter(self.answers), Counter()
        yield seen
        seen.update(self.answers - before)


class Shop:
    """The endpoint, and what it is made from."""

    def __init__(self, server):
        self.sagemaker, self.s3 = server.client("sagemaker"), server.client("s3")

    def version(self, name, script=SCRIPT, count=2, **more):
        """Make a model that answers its own name, and a configuration of it."""
        body = archive({"code/inference.py": script, "words": name})
        self.s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=body)
        container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container)
        self.config(name, self.variant("main", name, count), **more)

    def booster(self, name, slope):
        """Make a model of the built-in XGBoost container, which the server compiles."""
        rows = np.random.default_rng(7).random((60, 3))
        given = xgboost.DMatrix(rows, rows.sum(axis=1) * slope)
        made = xgboost.train({"max_depth": 2}, given, num_boost_round=3)
        body = archive({"xgboost-model": bytes(made.save_raw("ubj"))})
        self.s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=body)
        container = {"Image": XGBOOST, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container)
        self.config(name, self.variant("main", name, 2))

    def config(self, name, *variants, **more):
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants), **more
        )

    @staticmethod
    def variant(name, model, count=1, weight=1.0):
        return {
            "VariantName": name,
            "ModelName": model,
            "InitialInstanceCount": count,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": weight,
        }

    def update(self, config, policy=None, **more):
        """Update the endpoint, and wait for the end; gives every state that was seen."""
        policy = {"DeploymentConfig": policy} if policy else {}
        self.sagemaker.update_endpoint(
            EndpointName=NAME, EndpointConfigName=config, **policy, **more
        )
        return self.settled()

    def settled(self):
        seen = []
        until = time.monotonic() + 60
        while True:
            found = self.sagemaker.describe_endpoint(EndpointName=NAME)
            if not seen or found["EndpointStatus"] != seen[-1]["EndpointStatus"]:
                seen.append(found)
            if found["EndpointStatus"] in {"InService", "Failed", "UpdateRollbackFailed"}:
                return [*seen[:-1], found]
            assert time.monotonic() < until, found
            time.sleep(0.02)

    def scale(self, **wanted):
        self.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=NAME, DesiredWeightsAndCapacities=[wanted]
        )
        return self.settled()


def blue_green(kind, size=None, wait=1):
    routing = {"Type": kind, "WaitIntervalInSeconds": wait}
    if size:
        member = "CanarySize" if kind == "CANARY" else "LinearStepSize"
        routing[member] = {"Type": "CAPACITY_PERCENT", "Value": size}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def rolling(count=1, wait=1):
    size = {"Type": "INSTANCE_COUNT", "Value": count}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}}


def guard(alarms, name):
    """Make an alarm that changes only when it is told to."""
    alarms.put_metric_alarm(
        AlarmName=name,
        Namespace=NAME,
        MetricName=name,
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name}]}}


@pytest.fixture(scope="module")
def shop(server):
    """An endpoint with two instances of version one, and what it may be updated to."""
    shop = Shop(server)
    for name in ("one", "two"):
        shop.version(name)
    shop.version("broken", BROKEN, count=1)
    shop.sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName="one")
    assert shop.settled()[-1]["EndpointStatus"] == "InService"
    yield shop
    shop.sagemaker.delete_endpoint(EndpointName=NAME)
    gone = shop.sagemaker.get_waiter("endpoint_deleted")
    gone.wait(EndpointName=NAME, WaiterConfig=QUICK)


@pytest.fixture
def load(server, shop):
    """Clients that ask while a test runs; none of them may fail."""
    with Load(server) as load:
        yield load
    assert load.failures == []
    assert sum(load.answers.values()) > 20


def test_a_canary(shop, load):
    seen = shop.update("two", blue_green("CANARY", 20))
    assert [one["EndpointStatus"] for one in seen] == ["Updating", "InService"]
    assert seen[-1]["LastDeploymentConfig"] == blue_green("CANARY", 20)
    assert seen[0]["PendingDeploymentSummary"]["EndpointConfigName"] == "two"
    assert load.answers["one"] > 0 < load.answers["two"]


def test_linear_steps(shop, load):
    before = shop.sagemaker.describe_endpoint(EndpointName=NAME)["EndpointConfigName"]
    shop.update("one", blue_green("LINEAR", 50))
    assert set(load.answers) == {before, "one"}


def test_a_rolling_update_with_the_same_policy_again(shop, load):
    assert shop.update("two", rolling())[-1]["EndpointConfigName"] == "two"
    last = shop.update("one", RetainDeploymentConfig=True)[-1]
    assert last["LastDeploymentConfig"] == rolling()
    assert last["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_a_broken_version_gets_no_traffic(shop, load):
    before = shop.sagemaker.describe_endpoint(EndpointName=NAME)["EndpointConfigName"]
    last = shop.update("broken")[-1]
    assert (last["EndpointStatus"], last["EndpointConfigName"]) == ("InService", before)
    assert "xyzzy" in last["FailureReason"]
    assert set(load.answers) == {before}


def test_an_alarm_sends_all_traffic_back(server, shop, load):
    alarms = server.client("cloudwatch")
    policy = {**blue_green("CANARY", 50, wait=600), **guard(alarms, "drift")}
    shop.update("one")
    shop.sagemaker.update_endpoint(
        EndpointName=NAME, EndpointConfigName="two", DeploymentConfig=policy
    )
    until = time.monotonic() + 60
    while not load.answers["two"]:
        assert time.monotonic() < until, "no request met the canary"
        time.sleep(0.02)
    found = shop.sagemaker.describe_endpoint(EndpointName=NAME)
    (variant,) = found["PendingDeploymentSummary"]["ProductionVariants"]
    assert variant["VariantStatus"][0]["Status"] == "Baking"
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (0.5, 1.0)
    alarms.set_alarm_state(AlarmName="drift", StateValue="ALARM", StateReason="it drifts")
    last = shop.settled()[-1]
    assert (last["EndpointStatus"], last["EndpointConfigName"]) == ("InService", "one")
    assert last["FailureReason"] == "Alarm drift is in ALARM"
    with pytest.raises(shop.sagemaker.exceptions.ClientError, match="is in ALARM already"):
        shop.update("two", policy)
    unknown = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "none"}]}}
    with pytest.raises(shop.sagemaker.exceptions.ClientError, match="'none' does not exist"):
        shop.update("two", {**policy, **unknown})


def test_instances_and_weights_change(shop, load):
    for count in (3, 1, 2):
        last = shop.scale(VariantName="main", DesiredInstanceCount=count)[-1]
        assert last["ProductionVariants"][0]["CurrentInstanceCount"] == count
    shop.config("both", shop.variant("a", "one", weight=1.0), shop.variant("b", "two", weight=0.0))
    shop.update("both")
    last = shop.scale(VariantName="b", DesiredWeight=3.0)[-1]
    weights = [one["CurrentWeight"] for one in last["ProductionVariants"]]
    assert weights == [1.0, 3.0]
    shop.update("one")


def test_compiled_versions_change_like_others(server, shop, load):
    for name, slope in (("flat", 1.0), ("steep", 9.0)):
        shop.booster(name, slope)
    shop.update("flat")
    shop.update("steep", blue_green("CANARY", 50))
    store = SqliteStore(server.home / "metadata.db")
    held = body.read(store.get(Ref("123456789012", "us-east-1", "endpoint", NAME)))
    store.close()
    assert all(one.choice.startswith("compiled: ") for one in held.served.variants)
    shop.update("one", rolling())
    assert len({answer for answer in load.answers if answer not in {"one", "two"}}) == 2
