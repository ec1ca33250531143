"""A platform's jobs on real adapters, with a worker at work."""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from clary.adapters.files import FileObjects
from clary.adapters.logfiles import LogFiles
from clary.adapters.process.runner import ProcessRunner
from clary.adapters.sqlite import SqliteStore
from clary.adapters.uv import UvEnvironments
from clary.jobs.environments import Environments
from clary.jobs.model import ENDED, KINDS
from clary.jobs.service import Jobs
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.kernel.resource import Bucket, Resource
from clary.kernel.work import Worker
from clary.lineage.service import Lineage

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "data"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ClaryRole"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:{}"


def environment(ref, role):
    return {"AWS_REGION": ref.region, "AWS_DEFAULT_REGION": ref.region, "GIVEN_ROLE": role}


@dataclass
class World:
    """Everything jobs need, below one directory."""

    home: Path
    memory_bytes: int | None = None
    lease_s: float = 2.0

    def __post_init__(self):
        self.store = SqliteStore(self.home / "metadata.db")
        self.objects = FileObjects(self.home / "buckets")
        self.logs = LogFiles(self.home / "logs")
        self.runner = ProcessRunner(self.home / "processes")
        self.lineage = Lineage(self.store)
        builder = UvEnvironments(self.home / "environments")
        self.environments = Environments(self.store, builder)
        self.jobs = Jobs(
            self.store,
            self.objects,
            self.runner,
            self.logs,
            self.lineage,
            environment=environment,
            environments=self.environments,
            memory_bytes=self.memory_bytes,
        )
        self.worker = self.new_worker()

    def new_worker(self):
        kinds = dict.fromkeys(KINDS, self.jobs.run)
        return Worker(self.store, kinds, dict.fromkeys(KINDS, 2), lease_s=self.lease_s)

    def put(self, key, data):
        content = data.encode() if isinstance(data, str) else data
        return self.objects.put(BUCKET, key, [content])

    def read(self, key):
        return b"".join(self.objects.read(BUCKET, key))

    def keys(self, prefix=""):
        return [info.key for info in self.objects.list(BUCKET, prefix=prefix).objects]

    def wait(self, ref, *, until=None, timeout_s=60.0) -> Resource:
        deadline = time.monotonic() + timeout_s
        while True:
            resource = self.jobs.get(ref)
            if until(resource) if until else resource.status in ENDED:
                return resource
            if time.monotonic() > deadline:
                pytest.fail(f"{ref} is still {resource.status}: {resource.body}")
            time.sleep(0.01)

    def run(self, ref, request, **more):
        self.jobs.create(ref, request, actor="tester", **more)
        self.wait(ref)
        return self.jobs.describe(ref)

    def log(self, ref, host=0):
        streams = self.jobs.streams(ref)
        page = self.logs.tail(ACCOUNT, REGION, streams.group, streams.names[host], 1000)
        return [line.text for line in page.lines]


@pytest.fixture
def bare_world(tmp_path):
    world = World(tmp_path)
    world.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    return world


@pytest.fixture
def world(bare_world):
    bare_world.worker.start()
    yield bare_world
    assert bare_world.worker.stop()


def job(kind, name):
    return Ref(ACCOUNT, REGION, f"{kind}-job", name)


def processing(script_key, *, inputs=(), outputs=(), **more):
    """Compose a CreateProcessingJob document that runs one script."""
    given = [("code", f"s3://{BUCKET}/{script_key}", "/opt/ml/processing/input/code", {}), *inputs]
    return {
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": [
                "python3",
                f"/opt/ml/processing/input/code/{script_key.rpartition('/')[2]}",
            ],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 30,
            }
        },
        "RoleArn": ROLE,
        "ProcessingInputs": [
            {
                "InputName": name,
                "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", **extra},
            }
            for name, uri, path, extra in given
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": name,
                    "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode},
                }
                for name, uri, path, mode in outputs
            ]
        },
        **more,
    }


def training(image, channels, hyperparameters, **more):
    """Compose a CreateTrainingJob document."""
    return {
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": hyperparameters,
        "InputDataConfig": [
            {
                "ChannelName": name,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for name, uri in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 9},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **more,
    }


def make_model(world, name, uri, image, environment=None):
    ref = Ref(ACCOUNT, REGION, "model", name)
    container = {"Image": image, "ModelDataUrl": uri, "Environment": environment or {}}
    request = {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    with world.store.begin() as change:
        change.insert(Resource(ref, {"request": request}, now(), now()))


def transform(model, uri, **more):
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    return {
        "ModelName": model,
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/scores"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"},
        **more,
    }


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
