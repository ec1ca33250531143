"""A point-in-time join by our engine; prints its CPU seconds, seconds and peak bytes as JSON.

Run with the labels' Parquet file, that of the rows, a folder to spill to, and how many features.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from clary.adapters.duckdb_point_in_time import DuckDBPointInTime
from clary.adapters.duckdb_session import DuckDB
from clary.features.model import Feature, Schema
from clary.features.point_in_time import Question, Source

LABELS, ROWS, SCRATCH, WIDTH = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
NAMES = [f"f{n}" for n in range(WIDTH)]
FEATURES = (Feature("entity_id", "Integral"), Feature("at", "Fractional"))
FEATURES += tuple(Feature(name, "Fractional") for name in NAMES)


def main():
    schema = Schema(FEATURES, "entity_id", "at")
    engine = DuckDBPointInTime(DuckDB(Path(SCRATCH)))
    labels = pq.read_table(LABELS)
    question = Question([Source("numbers", schema, [ROWS], NAMES, "entity_id")], "event_timestamp")
    cpu, begin = time.process_time(), time.perf_counter()
    found = engine.join(labels, question)
    took, cpu = time.perf_counter() - begin, time.process_time() - cpu
    assert found.num_rows == labels.num_rows
    assert found.column("numbers.f0").null_count < labels.num_rows
    status = Path("/proc/self/status").read_text()  # getrusage would count what started us, too
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps([cpu, took, peak]))


main()
