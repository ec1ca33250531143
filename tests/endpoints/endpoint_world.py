"""Endpoints on real adapters, with a worker at work on them and their fleets."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from tests.endpoints.fleet_world import (
    ACCOUNT,
    BUCKET,
    ENDPOINT,
    PYTHON,
    REGION,
    World,
    archive,
)

from clary.adapters.onnx_models import OnnxModels
from clary.adapters.sqlite_series import SqliteSeries
from clary.endpoints import body
from clary.endpoints import model as kinds
from clary.endpoints.compilations import Compilations
from clary.endpoints.controller import Controller
from clary.endpoints.service import Endpoints
from clary.kernel.clock import now
from clary.kernel.resource import Bucket, Query, Resource
from clary.kernel.work import Worker
from clary.lineage.service import Lineage
from clary.metrics.alarms import Alarms
from clary.metrics.recorder import Recorder
from clary.metrics.service import Metrics

GOOD = """
def model_fn(folder): return open(folder + "/words").read()
def transform_fn(model, data, content_type, accept): return model, "text/plain"
"""
BROKEN = """
def model_fn(folder): raise RuntimeError("xyzzy")
"""


class EndpointWorld(World):
    """Fleets, and the endpoints that have them; ``shop`` is the endpoint unless another is said."""

    def __post_init__(self):
        super().__post_init__()
        self.endpoints = Endpoints(self.store, self.fleets, self.alarms)

    def new_worker(self):
        series = SqliteSeries(self.home / "series.db")
        self.alarms = Alarms(self.store, Metrics(series, Recorder(series)))
        compilations = Compilations(
            self.fleets.tools, OnnxModels(self.home / "compiled"), Lineage(self.store)
        )
        self.controller = Controller(
            self.store, self.objects, self.fleets, compilations, self.alarms
        )
        handlers = {kinds.FLEET: self.fleets.run, kinds.ENDPOINT: self.controller.run}
        slots = {kinds.FLEET: 8, kinds.ENDPOINT: 2}
        return Worker(self.store, handlers, slots, lease_s=self.lease_s, poll_s=0.02)

    def model(self, name, script=GOOD, **request):
        """Keep a model that answers its own name, unless its script says otherwise."""
        files = {"code/inference.py": script, "words": name}
        self.objects.put(BUCKET, f"{name}.tar.gz", [archive(files)])
        container = {"Image": PYTHON, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
        request = {"ModelName": name, "PrimaryContainer": container, **request}
        ref = ENDPOINT.sibling("model", name)
        with self.store.begin() as change:
            change.insert(Resource(ref, {"request": request}, now(), now()))
        return ref

    def config(self, name, *models, **more):
        """Make a configuration with a variant of the same name for each model."""
        variants = [
            {
                "VariantName": one,
                "ModelName": one,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
            for one in models
        ]
        request = {"EndpointConfigName": name, "ProductionVariants": variants, **more}
        return self.endpoints.create_config(self.named("endpoint-config", name), request, actor="a")

    def endpoint(self, config, name="shop", **more):
        request = {"EndpointName": name, "EndpointConfigName": config, **more}
        return self.endpoints.create(self.named("endpoint", name), request, actor="ada")

    def update(self, config, name="shop", **more):
        request = {"EndpointName": name, "EndpointConfigName": config, **more}
        return self.endpoints.update(self.named("endpoint", name), request, actor="ada")

    def named(self, kind, name):
        return ENDPOINT.sibling(kind, name)

    def held(self, name="shop"):
        """Read the body of an endpoint, or None."""
        found = self.store.get(self.named("endpoint", name))
        return found and body.read(found)

    def settled(self, name="shop", timeout_s=60.0):
        """Wait until nothing is under way; give the status, or an empty one when it is gone."""
        until = time.monotonic() + timeout_s
        while True:
            found = self.store.get(self.named("endpoint", name))
            if found is None:
                return ""
            if found.status in {"InService", "Failed", "UpdateRollbackFailed"}:
                return found.status
            if time.monotonic() > until:
                pytest.fail(f"{found}")
            self.store.wait(0.02)

    def fleets_left(self):
        return [
            one.ref.name for one in self.store.select(Query(kinds.FLEET, ACCOUNT, REGION)).items
        ]

    def actions(self, name="shop"):
        events = self.store.events(ref=self.named("endpoint", name))
        return [one.action.partition(".")[2] for one in events]


@contextmanager
def opened(home, **members):
    """Open a world with a worker at work; its processes end with it."""
    world = EndpointWorld(home, **members)
    world.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    world.worker.start()
    try:
        yield world
    finally:
        world.close()
