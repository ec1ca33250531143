"""Fleets on real adapters, with a worker at work, and a client of one fleet."""

from __future__ import annotations

import io
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from clary.adapters.files import FileObjects
from clary.adapters.logfiles import LogFiles
from clary.adapters.process.runner import ProcessRunner
from clary.adapters.sqlite import SqliteStore
from clary.adapters.uv import UvEnvironments
from clary.endpoints.clients import FleetClient
from clary.endpoints.fleets import Fleets
from clary.endpoints.invocations import Invocation
from clary.endpoints.model import FLEET, FleetSpec, Stage
from clary.endpoints.workers import Tools
from clary.jobs.environments import Environments
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.kernel.work import Worker

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "models"
ENDPOINT = Ref(ACCOUNT, REGION, "endpoint", "shop")
PYTHON = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


@dataclass
class World:
    """Everything fleets need, below one directory."""

    home: Path
    lease_s: float = 2.0
    beat_s: float = 5.0
    drain_s: float = 2.0

    def __post_init__(self):
        self.store = SqliteStore(self.home / "metadata.db")
        self.objects = FileObjects(self.home / "buckets")
        self.logs = LogFiles(self.home / "logs")
        self.runner = ProcessRunner(self.home / "processes")
        builder = UvEnvironments(self.home / "environments")
        self.fleets = Fleets(
            Tools(
                self.store,
                self.objects,
                self.runner,
                self.logs,
                lambda ref, role: {"GIVEN_ROLE": role},
                Environments(self.store, builder),
                beat_s=self.beat_s,
                drain_s=self.drain_s,
            )
        )
        self.worker = self.new_worker()

    def new_worker(self):
        return Worker(self.store, {FLEET: self.fleets.run}, {FLEET: 8}, lease_s=self.lease_s)

    def put(self, key, files):
        return self.objects.put(BUCKET, key, [archive(files)])

    def create(self, name, files=None, *, wait=True, **members):
        """Make a fleet of one stage, whose artifact holds ``files``, and wait for it."""
        stages = members.pop("stages", None)
        if stages is None:
            image = members.pop("image", PYTHON)
            environment = members.pop("environment", {})
            info = self.put(f"{name}/model.tar.gz", files or {})
            uri = f"s3://{BUCKET}/{name}/model.tar.gz"
            stages = (Stage(image, uri, environment=environment, sha256=info.sha256),)
        ref = ENDPOINT.sibling(FLEET, name)
        spec = FleetSpec(ENDPOINT.name, "AllTraffic", stages, **members)
        with self.store.begin() as change:
            self.fleets.create(ref, spec, parent=ENDPOINT, transaction=change)
        if wait:
            self.wait(ref, lambda found: found.status != "Starting")
        return ref

    def change(self, verb, ref, *arguments):
        with self.store.begin() as change:
            getattr(self.fleets, verb)(ref, *arguments, transaction=change)

    def state(self, ref):
        return self.fleets.state(self.store.get(ref))

    def wait(self, ref, until, timeout_s=60.0):
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.store.get(ref)
            if until(found and self.fleets.state(found)):
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"{ref}: {found}")
            time.sleep(0.01)

    def client(self, ref):
        return FleetClient(self.store.get(ref), self.fleets)

    def instances(self, ref):
        return self.store.get(ref).body["state"]["instances"]

    def serials(self, ref):
        return [one["serial"] for one in self.instances(ref)]

    def processes(self):
        """Names of the processes that run."""
        found = [path.name for path in self.runner._root.iterdir() if not path.name.startswith(".")]
        statuses = {name: self.runner.status(name) for name in found}
        return sorted(name for name, one in statuses.items() if one and one.state == "running")

    def log(self, process):
        page = self.logs.tail(
            ACCOUNT, REGION, "/aws/sagemaker/Endpoints/shop", f"AllTraffic/{process}", 1000
        )
        return [line.text for line in page.lines]

    def close(self):
        assert self.worker.stop()
        for path in self.runner._root.iterdir():
            if not path.name.startswith("."):
                self.runner.discard(path.name)


@contextmanager
def opened(home, **members):
    """Open a world with a worker at work; its processes end with it."""
    world = World(home, **members)
    world.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    world.worker.start()
    try:
        yield world
    finally:
        world.close()


def invocation(body=b"1,2\n", content_type="text/csv", accept="", **more):
    return Invocation(ENDPOINT, body, content_type, accept, **more)


def archive(files):
    """Pack a tar.gz from names and texts."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as packed:
        for name, text in files.items():
            content = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return data.getvalue()
