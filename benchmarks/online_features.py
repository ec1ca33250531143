"""What online features cost: ours beside Feast, and beside LMDB with nothing around it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import lmdb
import msgspec
from figure import Figure
from served import DEADLINE_S

from clary.adapters.lmdb_records import LmdbRecords
from clary.features.model import Feature, Record, Schema
from clary.features.retrieval import Retrieval, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feast_peer import Feast

NAMES = [f"f{n}" for n in range(10)]
ENTITIES = 20_000
MANY = 1_000_000
READER = Path(__file__).resolve().parent / "peers" / "online_reader.py"
ROUNDS = 7
AT_US = 1_767_225_600_000_000


def schema() -> Schema:
    """Ten floats."""
    numbers = [Feature(name, "Fractional") for name in NAMES]
    features = (Feature("id", "Integral"), Feature("at", "Fractional"), *numbers)
    return Schema(features, "id", "at")


def records(keys: Sequence[int], event_us: int = AT_US) -> list[Record]:
    """Make records of random floats."""
    return [
        Record(
            str(key),
            event_us,
            event_us,
            (key, event_us / 1e6, *(random.random() for _ in NAMES)),
        )
        for key in keys
    ]


def load(store: LmdbRecords, entities: int) -> None:
    """Write entities, ten thousand at a time."""
    for first in range(0, entities, 10_000):
        store.write("numbers", records(range(first, min(first + 10_000, entities))))


def each_s(action: Callable[[], object], runs: int) -> list[float]:
    """Time every one of some runs."""
    took = []
    for _ in range(runs):
        begin = time.perf_counter()
        action()
        took.append(time.perf_counter() - begin)
    return took


def figures(folder: Path, feast: Feast) -> list[Figure]:
    """Measure reads and writes in this process beside Feast's in its own, in turn."""
    store = LmdbRecords(folder / "online")
    load(store, ENTITIES)
    return [*_reads(store, folder, feast), *_writes(store, feast)]


def _reads(store: LmdbRecords, folder: Path, feast: Feast) -> list[Figure]:
    plan = Retrieval(store, [Wanted("numbers", schema(), NAMES)])
    floor = _floor(folder / "floor")
    made = []
    for count, times, goal_us in ((1, 20, 10.0), (100, 30, 400.0)):
        ours: list[float] = []
        theirs: list[float] = []
        bare: list[float] = []
        for _ in range(ROUNDS):
            theirs += feast.measure("get", count, 300 // count + 4)
            ours += each_s(lambda: plan.dicts(_keys(count)), 3000 // count)  # noqa: B023 - at once
            bare += each_s(lambda: floor(_keys(count)), 3000 // count)  # noqa: B023 - at once
        us, peer_us = median(ours) * 1e6, median(theirs) * 1e6
        name = f"get {count} x 10 floats, in-process p50"
        made += [
            Figure(name, us, "us", goal_us, "LMDB and msgpack alone", median(bare) * 1e6),
            Figure(f"{name}, {times}x under Feast", us, "us", peer_us / times, "feast", peer_us),
        ]
    return made


def _keys(count: int) -> list[str]:
    return [str(random.randrange(ENTITIES)) for _ in range(count)]


def _floor(folder: Path) -> Callable[[Sequence[str]], object]:
    """Make what reads the same from LMDB with nothing around it."""
    environment = lmdb.open(str(folder), map_size=1 << 30)
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
    with environment.begin(write=True) as transaction:
        for key in range(ENTITIES):
            row = [random.random() for _ in NAMES]
            transaction.put(str(key).encode(), encode((AT_US, AT_US, row)))

    def read(keys: Sequence[str]) -> list[dict[str, float]]:
        with environment.begin() as transaction:
            found = [transaction.get(key.encode()) for key in keys]
        return [dict(zip(NAMES, decode(one)[2], strict=True)) for one in found]

    return read


def _writes(store: LmdbRecords, feast: Feast) -> list[Figure]:
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(ROUNDS):
        theirs += feast.measure("write", 0, 2)
        for again in range(4):
            batch = records(
                random.sample(range(ENTITIES), 1000), AT_US + 1_000_000 * (4 * turn + again + 1)
            )
            ours += each_s(lambda: store.write("numbers", batch), 1)  # noqa: B023 - at once
    return [
        Figure(
            "durable latest-wins writes, batches of 1,000",
            1000 / median(ours),
            "rows/s",
            20_000,
            "feast",
            1000 / median(theirs),
            ">=",
        )
    ]


def million(folder: Path) -> list[Figure]:
    """Measure four paced reader processes beside a paced writer.

    In the same turns, the same readers read LMDB with nothing around it, and a dict of their own:
    what those wait for, they wait for a processor.
    """
    store = LmdbRecords(folder / "million")
    load(store, MANY)
    took: dict[str, list[float]] = {"clary": [], "lmdb": [], "dict": []}
    for _ in range(3):
        for what, samples in took.items():
            samples.extend(_readers(store, folder / "million", what))
    p999 = {what: quantiles(one, n=1000)[-1] * 1e3 for what, one in took.items()}
    name = "p99.9 of 4 readers beside 1,000 rows/s, 1,000,000 entities"
    own = "of it, above what a dict's readers wait for a processor"
    return [
        Figure(name, p999["clary"], "ms", 1.0, "the same of a dict", p999["dict"]),
        Figure(own, max(0.0, p999["clary"] - p999["dict"]), "ms", 1.0, "bare LMDB", p999["lmdb"]),
    ]


def _readers(store: LmdbRecords, folder: Path, what: str) -> list[float]:
    argv = [sys.executable, str(READER), str(folder), str(MANY), "250", "3", what]
    readers = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    ended = threading.Event()
    writer = threading.Thread(target=_write_until, args=(store, ended))
    writer.start()
    for reader in readers:
        assert reader.stdin is not None
        reader.stdin.write("go\n")
        reader.stdin.flush()
    took = [one for reader in readers for one in json.loads(reader.communicate()[0])]
    ended.set()
    writer.join(DEADLINE_S)
    return took


def _write_until(store: LmdbRecords, ended: threading.Event) -> None:
    event_us = AT_US
    while not ended.wait(0.02):
        event_us += 1_000_000
        store.write("numbers", records([random.randrange(MANY) for _ in range(20)], event_us))
