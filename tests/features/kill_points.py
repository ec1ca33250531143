"""Kills writers of a feature group at seeded points, and checks both stores after each.

Run as a program: ``kill_points.py <home> <first seed> <how many> [<durability>]``; prints how many
died. A child
of an even seed dies at a drawn call of its Python code, one of an odd seed at a drawn moment, which
may lie in a library. Beside it, another writer lives on.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import deltalake
import deltalake.transaction
import duckdb
import lmdb
import pyarrow.parquet

from clary.adapters import delta_records
from clary.adapters.delta_records import DeltaRecords
from clary.adapters.files import FileObjects
from clary.adapters.lmdb_records import LmdbRecords
from clary.adapters.sqlite import SqliteStore
from clary.features.service import Features
from clary.kernel.clock import now
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.kernel.resource import Bucket

LOADED = (deltalake.transaction, duckdb, lmdb)
REF = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, "feature-group", "killed")
KEYS = [f"entity {n}" for n in range(12)]
STEPS = 14
DURABILITY = sys.argv[4] if len(sys.argv) > 4 else "disk"


class Stores:
    def __init__(self, home):
        self.metadata = SqliteStore(home / "metadata.db")
        self.objects = FileObjects(home / "buckets")
        is_synced = DURABILITY == "disk"
        self.online = LmdbRecords(home / "online", is_relaxed=not is_synced)
        self.offline = DeltaRecords(
            home / "buckets", home / "offline", history_s=0, is_synced=is_synced
        )
        self.features = Features(self.metadata, self.objects, self.online, self.offline)

    def make(self):
        self.objects.create_bucket(Bucket("bucket", DEFAULT_ACCOUNT, DEFAULT_REGION, now()))
        kinds = {"id": "String", "at": "Fractional", "n": "Integral"}
        request = {
            "FeatureGroupName": REF.name,
            "RecordIdentifierFeatureName": "id",
            "EventTimeFeatureName": "at",
            "FeatureDefinitions": [
                {"FeatureName": name, "FeatureType": kind} for name, kind in kinds.items()
            ],
            "OnlineStoreConfig": {"EnableOnlineStore": True},
            "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://bucket/prefix"}},
        }
        self.features.create(REF, request, actor="test")

    @property
    def table(self):
        return self.features.group(REF).offline_table


def write(stores, draw, first, acknowledge):
    """Put records, flush and compact in a drawn order; say which records were acknowledged."""
    number = first
    for _ in range(STEPS):
        what = draw.random()
        if what < 0.65:
            rows = []
            for _ in range(draw.choice([1, 1, 3])):
                number += 1
                rows.append({"id": draw.choice(KEYS), "at": float(draw.randrange(99)), "n": number})
            stores.features.put_records(REF, rows)
            acknowledge("".join(f"{row['n']} {row['at']} {row['id']}\n" for row in rows))
        elif what < 0.85:
            stores.offline.flush(stores.table)
        else:
            stores.offline.compact(stores.table, is_whole=draw.random() < 0.5)


def die_at(call):
    """Kill this process at a call or return of its own code."""
    left = call

    def count(frame, event, argument):
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def in_child(work):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def writer(home, seed, first, path, call=None):
    def work():
        if seed % 4 > 1:
            delta_records._MANY = 3  # such as come together are committed at once
        stores = Stores(home)
        stores.table  # noqa: B018 opens it
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        if call is not None:
            die_at(call)
        write(stores, random.Random(seed), first, lambda text: os.write(file, text.encode()))
        sys.setprofile(None)

    return in_child(work)


def check(home, acknowledged):
    """Every acknowledged record is there once, the latest of each entity online."""
    stores = Stores(home)
    found = stores.offline.snapshot(stores.table)
    rows = [(row.values[2], row.values[0], row.event_us) for _, row in found.unflushed]
    for path in found.files:
        columns = pyarrow.parquet.read_table(path, columns=["n", "id", "event_us"]).to_pydict()
        rows += zip(columns["n"], columns["id"], columns["event_us"], strict=True)
    counts = Counter(n for n, _, _ in rows)
    doubled = [n for n, count in counts.items() if count > 1]
    assert not doubled, f"there more than once: {doubled}"
    lost = [n for n in acknowledged if n not in counts]
    assert not lost, f"lost offline: {lost}"
    latest = {}
    for at, key in acknowledged.values():
        latest[key] = max(at, latest.get(key, 0))
    pairs = [(stores.features.group(REF).online_table, key) for key in KEYS]
    for key, record in zip(KEYS, stores.online.read(pairs), strict=True):
        if key in latest:
            assert record is not None, f"lost online: {key}"
            assert record.event_us >= latest[key] * 1_000_000, f"not the latest online: {key}"
        if record is not None:
            assert (record.values[2], key, record.event_us) in set(rows), f"only online: {key}"


def ended(pid):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status


def main(home, first, count):
    assert ended(in_child(Stores(home).make)) == 0
    path = home / "acknowledged"
    killed = 0
    for seed in range(first, first + count):
        draw = random.Random(f"point {seed}")
        by_call = seed % 2 == 0
        call = int(draw.paretovariate(0.4) * 150) % 60_000 if by_call else None
        victim = writer(home, seed, seed * 1_000, path, call)
        bystander = writer(home, -seed, seed * 1_000 + 500, path) if seed % 3 == 0 else None
        if not by_call:
            time.sleep(draw.random() * 0.8)  # a drawn moment is what is tried here
            os.kill(victim, signal.SIGKILL)
        killed += ended(victim) != 0
        assert bystander is None or ended(bystander) == 0
        lines = path.read_text().splitlines() if path.exists() else []
        acknowledged = {}
        for line in lines:
            n, at, key = line.split(" ", 2)
            acknowledged[int(n)] = (float(at), key)
        assert ended(in_child(lambda done=acknowledged: check(home, done))) == 0, seed
    print(killed, len(acknowledged))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
