"""Compilations on real adapters, with a worker at work, and models to compile."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost

from clary.adapters.files import FileObjects
from clary.adapters.logfiles import LogFiles
from clary.adapters.onnx_models import OnnxModels
from clary.adapters.process.runner import ProcessRunner
from clary.adapters.sqlite import SqliteStore
from clary.adapters.uv import UvEnvironments
from clary.endpoints.compilations import COMPILATION, Compilations
from clary.endpoints.model import Stage
from clary.endpoints.workers import Tools
from clary.jobs.environments import Environments
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket
from clary.kernel.work import Worker
from clary.lineage.service import Lineage

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "models"
NEAR = Ref(ACCOUNT, REGION, "endpoint", "shop")
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


@dataclass
class World:
    """Everything compilations need, below one directory."""

    home: Path
    lease_s: float = 2.0

    def __post_init__(self):
        self.store = SqliteStore(self.home / "metadata.db")
        self.objects = FileObjects(self.home / "buckets")
        self.runner = ProcessRunner(self.home / "processes")
        self.models = OnnxModels(self.home / "compiled")
        self.lineage = Lineage(self.store)
        tools = Tools(
            self.store,
            self.objects,
            self.runner,
            LogFiles(self.home / "logs"),
            lambda ref, role: {},
            Environments(self.store, UvEnvironments(self.home / "environments")),
        )
        self.compilations = Compilations(tools, self.models, self.lineage)

    def new_worker(self):
        return Worker(self.store, {COMPILATION: self.compilations.run}, {}, lease_s=self.lease_s)

    def put(self, files, name="model", **members):
        """Store an artifact and say what its container is."""
        key = f"{name}/model.tar.gz"
        info = self.objects.put(BUCKET, key, [archive(files)])
        return Stage(XGBOOST, f"s3://{BUCKET}/{key}", sha256=info.sha256, **members)

    def ensure(self, stage, waiter=None):
        with self.store.begin() as change:
            return self.compilations.ensure(stage, NEAR, waiter=waiter, transaction=change)

    def ended(self, stage, timeout_s=60.0):
        """Have it compiled, and wait."""
        deadline = time.monotonic() + timeout_s
        found = self.ensure(stage)
        while found.status == "Pending":
            if time.monotonic() > deadline:
                pytest.fail(f"{found}")
            time.sleep(0.01)
            found = self.compilations.get(self.ref(found))
        return found

    def workspaces(self):
        """List what is left of processes."""
        return [path for path in (self.home / "processes").iterdir() if path.name[0] != "."]

    def ref(self, compilation):
        return NEAR.sibling(COMPILATION, compilation.key)


def world(home):
    made = World(home)
    made.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    return made


def archive(files):
    """Pack files, as content by name; the same files are the same archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return gzip.compress(data.getvalue(), mtime=0)


def booster(seed=1, features=4, rounds=6, **parameters):
    """Train a small model of random data with missing values."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(300, features)).astype(np.float32)
    rows[draw.random(rows.shape) < 0.1] = np.nan
    label = np.nan_to_num(rows).sum(axis=1) + 0.1 * draw.normal(size=len(rows))
    parameters = {"max_depth": 4, "nthread": 1, "seed": seed, **parameters}
    return xgboost.train(parameters, xgboost.DMatrix(rows, label=label), rounds)
