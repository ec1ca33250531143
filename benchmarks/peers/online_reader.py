"""Reads random entities at a steady pace, beside others; tells how long each read took.

Run with a folder, a number of entities, how many reads a second, and for how many seconds; begins
when it is told to.
"""

import json
import random
import sys
import time
from pathlib import Path

from clary.adapters.lmdb_records import LmdbRecords
from clary.features.model import Feature, Schema
from clary.features.retrieval import Retrieval, Wanted

FOLDER, ENTITIES, RATE, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
NAMES = [f"f{n}" for n in range(10)]
FEATURES = (Feature("id", "Integral"), Feature("at", "Fractional"))
FEATURES += tuple(Feature(name, "Fractional") for name in NAMES)


def main():
    schema = Schema(FEATURES, "id", "at")
    plan = Retrieval(LmdbRecords(Path(FOLDER)), [Wanted("numbers", schema, NAMES)])
    for _ in range(1000):
        plan.dicts([str(random.randrange(ENTITIES))])
    print("ready", flush=True)
    sys.stdin.readline()
    took = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        key = str(random.randrange(ENTITIES))
        begin = time.perf_counter()
        (row,) = plan.dicts([key])
        took.append(time.perf_counter() - begin)
        assert None not in row.values()
        time.sleep(random.expovariate(RATE))
    print(json.dumps(took), flush=True)


main()
