"""What features cost over HTTP: our wire, signed, beside Feast's feature server, unsigned."""

from __future__ import annotations

import json
import random
import time
from statistics import median
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from figure import Figure
from online_features import ENTITIES, NAMES
from served import DEADLINE_S, Line, serving, written
from serving_peers import request

from clary.kernel.names import DEFAULT_REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from feast_peer import Feast
    from served import Served

GROUP = "numbers"
LOADED = 1000
ROUNDS = 5
GOALS = {1: 4, 100: 15}
BATCH = 100


def figures(folder: Path, feast: Feast) -> list[Figure]:
    """Ask both servers in turn for one entity, and for a hundred."""
    with serving(folder / "home") as served, feast.serving() as port:
        _load(served)
        ours, theirs = Line(served.address), Line(("127.0.0.1", port))
        return [_figure(count, served, ours, theirs, port) for count in GOALS]


def _load(served: Served) -> None:
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
    )
    until = time.monotonic() + DEADLINE_S
    while client.describe_feature_group(FeatureGroupName=GROUP)["FeatureGroupStatus"] != "Created":
        assert time.monotonic() < until
        time.sleep(0.01)
    runtime = served.client("sagemaker-featurestore-runtime")
    for key in range(LOADED):
        values = {"id": key, "at": time.time(), **{name: random.random() for name in NAMES}}
        record = [
            {"FeatureName": name, "ValueAsString": str(value)} for name, value in values.items()
        ]
        runtime.put_record(FeatureGroupName=GROUP, Record=record)


def _figure(count: int, served: Served, ours: Line, theirs: Line, port: int) -> Figure:
    mine = [_signed(served, count) for _ in range(50)]
    peers = [_unsigned(port, count) for _ in range(50)]
    took: tuple[list[float], list[float]] = [], []
    for _ in range(ROUNDS):
        took[0].extend(_each(ours, mine, lambda answer: _check(answer, count)))
        took[1].extend(_each(theirs, peers[: 50 if count == 1 else 10], lambda _: None))
    ms, peer_ms = median(took[0]) * 1e3, median(took[1]) * 1e3
    times = GOALS[count]
    name = f"HTTP get {count} x 10 floats p50, {times}x under Feast"
    return Figure(name, ms, "ms", peer_ms / times, "feast serve", peer_ms)


def _each(line: Line, requests: Sequence[bytes], check: Callable[[bytes], None]) -> list[float]:
    took = []
    for one in requests:
        begin = time.perf_counter()
        answer = line.ask(one)
        took.append(time.perf_counter() - begin)
        check(answer)
    return took


def _check(answer: bytes, count: int) -> None:
    found = json.loads(answer)
    records = found["Records"] if count > 1 else [found]
    assert len(records) == count
    assert all(len(one["Record"]) == len(NAMES) for one in records)


def _signed(served: Served, count: int) -> bytes:
    """Write a GetRecord or BatchGetRecord as boto3 signs it."""
    keys = [str(key) for key in random.sample(range(LOADED), count)]
    if count == 1:
        names = "&".join(f"FeatureName={name}" for name in NAMES)
        url = f"{served.endpoint}/FeatureGroup/{GROUP}?{names}"
        ready = AWSRequest("GET", f"{url}&RecordIdentifierValueAsString={keys[0]}")
    else:
        asked = {
            "FeatureGroupName": GROUP,
            "RecordIdentifiersValueAsString": keys,
            "FeatureNames": NAMES,
        }
        body = json.dumps({"Identifiers": [asked]})
        headers = {"Content-Type": "application/json"}
        ready = AWSRequest("POST", f"{served.endpoint}/BatchGetRecord", headers, body)
    SigV4Auth(served.credentials, "sagemaker", DEFAULT_REGION).add_auth(ready)
    prepared = ready.prepare()
    head, _, rest = written(prepared).partition(b" HTTP/1.1")
    query = prepared.url.partition("?")[2]
    return head + (b"?" + query.encode() if query else b"") + b" HTTP/1.1" + rest


def _unsigned(port: int, count: int) -> bytes:
    keys = [random.randrange(ENTITIES) for _ in range(count)]
    asked = {"features": [f"numbers:{name}" for name in NAMES], "entities": {"entity_id": keys}}
    return request("/get-online-features", "application/json", json.dumps(asked), port)
