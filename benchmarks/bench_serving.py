"""What a request to a model costs: ours beside the servers that people use."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from figure import Figure
from served import DEADLINE_S, serving, written
from serving_peers import CSV, MAKERS, ROW, cpu_s, request, running

from clary.kernel.names import DEFAULT_REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Served

ROLE = "arn:aws:iam::123456789012:role/clary"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
GOALS = {"mlflow": 20, "bentoml": 15, "mlserver": 15, "flask": 10}
SECONDS = 4
RATE = 12_000
MILLION = 1_000_000


@dataclass(frozen=True)
class Loaded:
    """How a server bore a load."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    failed: int
    per_s: float


def model(folder: Path) -> Path:
    """Train what every server is to serve."""
    random = np.random.default_rng(7)
    rows = random.random((5000, len(ROW)), dtype=np.float32)
    labels = rows @ random.random(len(ROW)) + np.sin(9 * rows[:, 0])
    data = xgboost.DMatrix(rows, label=labels)
    booster = xgboost.train({"max_depth": 6, "nthread": 1}, data, num_boost_round=50)
    path = folder / "model.json"
    booster.save_model(path)
    return path


def load(pid: int, port: int, sent: bytes, **how: Any) -> Loaded:
    """Send a request again and again."""
    given = {"host": "127.0.0.1", "port": port, "request": sent.decode("latin-1"), **how}
    before = cpu_s(pid)
    program = [sys.executable, str(Path(__file__).with_name("load.py"))]
    done = subprocess.run(
        program, input=json.dumps(given).encode(), capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert not found["failed"], found["first_failure"]
    count = found["answered"]
    return Loaded(
        (cpu_s(pid) - before) / count * 1e6,
        found["p50_ms"],
        found["p99_ms"],
        found["failed"],
        count / found["took_s"],
    )


def archive(path: Path) -> bytes:
    """Pack a model as a training job does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(path, "xgboost-model")
    return packed.getvalue()


def deploy(served: Served, path: Path, name: str, *, capture: bool) -> float:
    """Make an endpoint of a registered model; return how long CreateEndpoint took to InService."""
    s3, client = served.client("s3"), served.client("sagemaker")
    s3.create_bucket(Bucket="bench") if name == "captured" else None
    s3.put_object(Bucket="bench", Key="model.tar.gz", Body=archive(path))
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bench/model.tar.gz"}
    client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    config: dict[str, Any] = {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
            | {"InstanceType": "ml.m5.large"}
        ],
    }
    if capture:
        config["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://bench/captures",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }
    client.create_endpoint_config(**config)
    time.sleep(3)  # as between a registration and a deployment: what follows a new model is done
    began = time.perf_counter()
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait(client, name)
    return time.perf_counter() - began


def wait(client: Any, name: str) -> None:
    """Wait until an endpoint is in service."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        found = client.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] == "InService":
            return
        assert found["EndpointStatus"] != "Failed", found["FailureReason"]
        time.sleep(0.01)
    raise TimeoutError(found)


def signed(served: Served, name: str) -> bytes:
    """Write a request as boto3 signs it."""
    url = f"{served.endpoint}/endpoints/{name}/invocations"
    ready = AWSRequest("POST", url, {"Content-Type": "text/csv"}, CSV)
    SigV4Auth(served.credentials, "sagemaker", DEFAULT_REGION).add_auth(ready)
    return written(ready.prepare())


def resident(pid: int) -> int:
    """Return the resident memory of a process, bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def open_server(folder: Path, *options: str) -> Iterator[Served]:
    """Serve a home, and wait until what starts with it is done."""
    with serving(folder, *options) as served:
        time.sleep(3)  # the fork servers load their libraries
        yield served


def figures() -> list[Figure]:
    """Measure ours and the peers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = model(folder)
        peers = {peer: _peer(peer, path, folder) for peer in GOALS}
        return [*_unsigned(path, folder, peers), *_signed(path, folder, peers["mlflow"])]


def _peer(name: str, path: Path, folder: Path) -> Loaded:
    peer = MAKERS[name](path, folder)
    with running(peer) as pid:
        load(pid, peer.port, peer.request, connections=2, seconds=1)
        return load(pid, peer.port, peer.request, connections=8, seconds=SECONDS)


def _unsigned(path: Path, folder: Path, peers: dict[str, Loaded]) -> list[Figure]:
    with open_server(folder / "open", "--no-auth") as served:
        soon_s = deploy(served, path, "captured", capture=True)
        deploy(served, path, "plain", capture=False)
        port, pid = served.address[1], served.pid
        sent = {
            name: request(f"/endpoints/{name}/invocations", "text/csv", CSV, port)
            for name in ("captured", "plain")
        }
        for each in sent.values():
            load(pid, port, each, connections=2, seconds=1)
        rounds = [
            {name: load(pid, port, each, connections=8, seconds=2) for name, each in sent.items()}
            for _ in range(3)
        ]
        captured = sorted(one["captured"].cpu_us for one in rounds)[1]
        plain = sorted(one["plain"].cpu_us for one in rounds)[1]
        # at one rate too: whoever is slower sleeps less, and wakes whom it answers more often
        paced = [
            {
                name: load(pid, port, each, connections=8, seconds=2, rate=RATE).cpu_us
                for name, each in sent.items()
            }
            for _ in range(5)
        ]
        both = {name: sorted(one[name] for one in paced)[2] for name in sent}
        one = load(pid, port, sent["captured"], connections=1, seconds=SECONDS)
        many = load(pid, port, sent["captured"], connections=32, seconds=SECONDS)
        updated = _update(served, sent["captured"])
        before = resident(pid)
        load(pid, port, sent["captured"], connections=8, requests=MILLION)
        after = resident(pid)
    mib = 1 << 20
    return [
        *(
            Figure(
                f"CPU of a one-row request, {times}x under {name}",
                captured,
                "us",
                peers[name].cpu_us / times,
                name,
                peers[name].cpu_us,
            )
            for name, times in GOALS.items()
        ),
        Figure("p50, one connection", one.p50_ms, "ms", 0.3, "flask, 8", peers["flask"].p50_ms),
        Figure("p99, 32 connections", many.p99_ms, "ms", 5 * many.p50_ms, "p50", many.p50_ms),
        Figure("CPU with capture, saturated", captured, "us", 1.1 * plain, "without", plain),
        Figure(
            f"CPU with capture at {RATE}/s",
            both["captured"],
            "us",
            1.1 * both["plain"],
            "without",
            both["plain"],
        ),
        Figure(
            "memory after 1,000,000", after / mib, "MiB", 1.1 * before / mib, "before", before / mib
        ),
        Figure("InService after CreateEndpoint", soon_s, "s", 1.0, "", 0.0),
        Figure("failed in an update at 500/s", updated, "", 0, "", 0),
    ]


def _update(served: Served, sent: bytes) -> int:
    """Update an endpoint to another model and back while it is loaded; count what failed."""
    client = served.client("sagemaker")
    given = {"host": "127.0.0.1", "port": served.address[1], "request": sent.decode("latin-1")}
    given |= {"connections": 16, "seconds": 8, "rate": 500}
    program = [sys.executable, str(Path(__file__).with_name("load.py"))]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(given).encode())
    process.stdin.close()
    for config in ("plain", "captured"):
        time.sleep(1)
        client.update_endpoint(EndpointName="captured", EndpointConfigName=config)
        wait(client, "captured")
    assert process.stdout is not None
    found = json.loads(process.stdout.read())
    process.wait(DEADLINE_S)
    assert found["answered"] >= 8 * 450, found
    return int(found["failed"])


def _signed(path: Path, folder: Path, mlflow: Loaded) -> list[Figure]:
    with open_server(folder / "closed") as served:
        deploy(served, path, "captured", capture=True)
        sent = signed(served, "captured")
        load(served.pid, served.address[1], sent, connections=2, seconds=1)
        ours = load(served.pid, served.address[1], sent, connections=8, seconds=SECONDS)
    return [
        Figure(
            "CPU of a signed request, 6x under unsigned MLflow",
            ours.cpu_us,
            "us",
            mlflow.cpu_us / 6,
            "mlflow",
            mlflow.cpu_us,
        )
    ]
