"""Reads random entities at a steady pace, beside others; tells how long each read took.

Run with a folder, a number of entities, how many reads a second, for how many seconds, and what is
read: the store (`clary`), its LMDB with nothing around it, or a dict; begins when it is told to.
"""

import json
import random
import sys
import time
from pathlib import Path

import lmdb
import msgspec

from clary.adapters.lmdb_records import LIMIT_BYTES, LmdbRecords
from clary.features.model import Feature, Schema
from clary.features.retrieval import Retrieval, Wanted

FOLDER, ENTITIES, RATE, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
WHAT = sys.argv[5]
NAMES = [f"f{n}" for n in range(10)]
FEATURES = (Feature("id", "Integral"), Feature("at", "Fractional"))
FEATURES += tuple(Feature(name, "Fractional") for name in NAMES)


def reading():
    """Give what reads the row of a key."""
    if WHAT == "dict":
        rows = dict.fromkeys(range(1000), [0.5] * len(NAMES))
        return lambda key: dict(zip(NAMES, rows[int(key) % 1000], strict=True))
    if WHAT == "lmdb":
        environment = lmdb.open(FOLDER, map_size=LIMIT_BYTES, readonly=True)
        with environment.begin() as transaction:
            table = next(iter(transaction.cursor().iternext(values=False)))
        assert table == b"\0numbers"
        decode = msgspec.msgpack.Decoder().decode

        def read(key):
            with environment.begin() as transaction:
                found = transaction.get(b"numbers\0" + key.encode())
            return dict(zip(NAMES, decode(found)[3][2:], strict=True))

        return read
    schema = Schema(FEATURES, "id", "at")
    plan = Retrieval(LmdbRecords(Path(FOLDER)), [Wanted("numbers", schema, NAMES)])
    return lambda key: plan.dicts([key])[0]


def main():
    read = reading()
    for _ in range(1000):
        read(str(random.randrange(ENTITIES)))
    print("ready", flush=True)
    sys.stdin.readline()
    took = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        key = str(random.randrange(ENTITIES))
        begin = time.perf_counter()
        row = read(key)
        took.append(time.perf_counter() - begin)
        assert None not in row.values()
        time.sleep(random.expovariate(RATE))
    print(json.dumps(took), flush=True)


main()
