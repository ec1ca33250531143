"""What writing features costs: over HTTP, through the SDK, natively, and as logged facts.

Each beside its limit in the same run: what the disk's own sync takes, or the client alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from figure import Figure
from online_features import NAMES, each_s
from served import DEADLINE_S, Line, serving, written

from clary.config import Config
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.platform import open_platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Served

SDK = Path(__file__).resolve().parent.parent / ".venv-sagemaker" / "bin" / "python"
PROGRAM = Path(__file__).resolve().parent / "peers" / "sdk_ingest.py"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
GROUP = "ingested"
PUTS = 500
SDK_ROWS = 1000
NATIVE_ROWS = 10_000
FACTS = 5_000
OK = b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 0\r\nContent-Length: 0\r\n\r\n"


def figures(folder: Path) -> list[Figure]:
    """Measure puts with and without waiting for the disk, the SDK, native rows, and facts."""
    with _serving(folder / "ingest", "disk") as served:
        made = [_puts(served, folder, "disk"), *_sdk(served)]
    with _serving(folder / "ingest-process", "process") as served:
        made.append(_puts(served, folder, "process"))
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as name,
        _serving(Path(name) / "home", "process") as served,
    ):
        made.append(_cpu(served))
    return [*made, *_native(folder / "ingest", folder), _facts(folder / "ingest")]


@contextlib.contextmanager
def _serving(home: Path, durability: str) -> Iterator[Served]:
    """Serve a home with a group that has both stores."""
    os.environ["CLARY_DURABILITY"] = durability
    try:
        with serving(home) as served:
            _make(served)
            yield served
    finally:
        del os.environ["CLARY_DURABILITY"]


def _make(served: Served) -> None:
    """Make a group with both stores."""
    served.client("s3").create_bucket(Bucket="ingested")
    client = served.client("sagemaker")
    client.create_feature_group(
        FeatureGroupName=GROUP,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "Integral"},
            *({"FeatureName": name, "FeatureType": "Fractional"} for name in ("at", *NAMES)),
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": "s3://ingested/here"}},
        RoleArn="arn:aws:iam::123456789012:role/features",
    )
    until = time.monotonic() + DEADLINE_S
    while client.describe_feature_group(FeatureGroupName=GROUP)["FeatureGroupStatus"] != "Created":
        assert time.monotonic() < until
        time.sleep(0.01)


def _puts(served: Served, folder: Path, durability: str) -> Figure:
    """Put records one after the other on one connection that costs the client next to nothing."""
    requests = [_signed(served) for _ in range(PUTS)]
    line, sync = Line(served.address), _syncing(folder / "synced")
    line.ask(requests[0])
    took, syncs = [], []
    for request in requests:
        took += each_s(lambda: line.ask(request), 1)  # noqa: B023 - at once
        syncs += each_s(sync, 1)
    line.close()
    name = f"PutRecord, one connection, outliving its {durability}"
    what = f"the disk's syncs, of which a put waits for {3 if durability == 'disk' else 1}"
    return Figure(name, 1 / median(took), "rows/s", 2000, what, 1 / median(syncs), ">=")


def _cpu(served: Served) -> Figure:
    """Say what the server's processor does for a put when no disk is behind it."""
    requests = [_signed(served) for _ in range(2 * PUTS)]
    line = Line(served.address)
    line.ask(requests[0])
    before, begin = _cpu_s(served.pid), time.perf_counter()
    for request in requests:
        line.ask(request)
    cpu_ms, took_ms = (
        one / len(requests) * 1e3
        for one in (_cpu_s(served.pid) - before, time.perf_counter() - begin)
    )
    line.close()
    name = "PutRecord, the server's CPU, files in memory"
    return Figure(name, cpu_ms, "ms", 0.4, "wall clock of it", took_ms)


def _signed(served: Served) -> bytes:
    values = {"id": random.randrange(1000), "at": time.time()}
    values |= {name: random.random() for name in NAMES}
    record = [{"FeatureName": name, "ValueAsString": str(one)} for name, one in values.items()]
    headers = {"Content-Type": "application/json"}
    url = f"{served.endpoint}/FeatureGroup/{GROUP}"
    request = AWSRequest("PUT", url, headers, json.dumps({"Record": record}))
    SigV4Auth(served.credentials, "sagemaker", DEFAULT_REGION).add_auth(request)
    return written(request.prepare())


def _syncing(path: Path):
    """Give what appends a record's bytes to a file and waits for the disk."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def sync() -> None:
        os.write(file, b"x" * 300)
        os.fdatasync(file)

    return sync


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sdk(served: Served) -> list[Figure]:
    """Ingest a frame by the SDK, beside boto3 alone."""
    if not SDK.exists():
        return []
    keys = served.credentials
    with _nothing() as endpoint:
        limit = _run_sdk(endpoint, keys, "nothing")
    rate = _run_sdk(served.endpoint, keys)
    name = "rows through the SDK's ingest, one connection"
    return [Figure(name, rate, "rows/s", 2000, "boto3 against nothing", limit, ">=")]


def _run_sdk(endpoint: str, keys, *how: str) -> float:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
    }
    argv = [str(SDK), str(PROGRAM), *how, GROUP, str(SDK_ROWS)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@contextlib.contextmanager
def _nothing() -> Iterator[str]:
    """Answer 200 to every request of one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_answer, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _answer(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            line, _ = listening.accept()
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = line.makefile("rb")
            while head := b"".join(iter(stream.readline, b"\r\n")):
                length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                stream.read(int(length))
                line.sendall(OK)


def _native(home: Path, folder: Path) -> list[Figure]:
    """Write many rows at once into both stores."""
    platform = open_platform(Config(home=home))
    ref = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "feature-group", GROUP)
    sync = _syncing(folder / "synced")
    took, syncs = [], []
    for _ in range(5):
        rows = [
            {"id": key, "at": time.time(), **{name: random.random() for name in NAMES}}
            for key in range(NATIVE_ROWS)
        ]
        took += each_s(lambda: platform.features.put_records(ref, rows), 1)  # noqa: B023 - at once
        syncs += each_s(sync, 5)
    platform.feature_store.close()
    name = f"rows written natively into both stores, {NATIVE_ROWS:,} at once"
    rate = NATIVE_ROWS / median(took)
    return [Figure(name, rate, "rows/s", 20_000, "syncs", 1 / median(syncs), ">=")]


def _facts(home: Path) -> Figure:
    """Log facts in a request's thread, beside encoding the same as JSON."""
    platform = open_platform(Config(home=home))
    ref = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "facts", "used")
    facts = {name: random.random() for name in NAMES}
    log = platform.feature_store.facts.log
    took = each_s(lambda: log(ref, "7", facts, context={"page": "home"}, request_id="r"), FACTS)
    plain = each_s(lambda: json.dumps(facts), FACTS)
    platform.feature_store.close()
    us, json_us = median(took) * 1e6, median(plain) * 1e6
    return Figure("logging a fact of 10 floats", us, "us", 20.0, "json.dumps of it", json_us)
