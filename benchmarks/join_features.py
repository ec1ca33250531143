"""What a point-in-time join costs: CPU and memory of a process of its own, ours beside Feast's.

``CLARY_BENCH_LONG=1`` also joins with 20 and with 50 million rows, in minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb
import feast_peer
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS = Path(__file__).resolve().parent / "peers"
WIDTH = 10
LABELS, ROWS, ENTITIES = 100_000, 5_000_000, 500_000
LONG = ((1_000_000, 20_000_000, 1.2), (100_000, 50_000_000, 1.2))
AT_US = 1_767_225_600_000_000
SPAN_US = 30 * 86_400_000_000
A_CHUNK = 500_000
STORES = ("duckdb", "dask")


def figures(folder: Path) -> list[Figure]:
    """Join a hundred thousand labels with five million rows, and sorted ones."""
    labels, rows = _labels(folder, LABELS), _rows(folder, ROWS, ENTITIES)
    ordered = _sorted(rows)
    ours = [_ours(folder, labels, rows) for _ in range(3)]
    theirs = {store: _feast(folder, labels, rows, store) for store in STORES}
    compacted = [_ours(folder, labels, ordered) for _ in range(3)]
    name = f"point-in-time join of {LABELS:,} labels with {ROWS:,} rows"
    cpu_s, peak_gb = _both(ours)
    made = []
    for store, (peer_s, _, peer_bytes) in theirs.items():
        beside = f"feast, its {store} store"
        made += [
            Figure(f"{name}, CPU", cpu_s, "s", 2.7, beside, peer_s),
            Figure(f"{name}, peak", peak_gb, "GB", 0.6, beside, peer_bytes / 1e9),
        ]
    best = min(one[0] for one in theirs.values())
    made.append(Figure(f"{name} compacted, CPU", _both(compacted)[0], "s", 1.6, "feast", best))
    for path in (rows, ordered):
        path.unlink()
    return made + (_long(folder) if os.environ.get("CLARY_BENCH_LONG") else [])


def _long(folder: Path) -> list[Figure]:
    made = []
    for labels, rows, goal_gb in LONG:
        path = _rows(folder, rows, rows // 10)
        cpu_s, _, peak = _ours(folder, _labels(folder, labels), path)
        name = f"point-in-time join of {labels:,} labels with {rows:,} rows, peak"
        size_gb = path.stat().st_size / 1e9
        made.append(Figure(name, peak / 1e9, "GB", goal_gb, f"{cpu_s:.0f} s CPU; file", size_gb))
        path.unlink()
    return made


def _both(runs: Sequence[Sequence[float]]) -> tuple[float, float]:
    return median(one[0] for one in runs), median(one[2] for one in runs) / 1e9


def _labels(folder: Path, count: int) -> Path:
    draw = np.random.default_rng(1)
    times = AT_US + draw.integers(0, SPAN_US, count)
    columns = {"entity_id": draw.integers(0, ENTITIES, count), "event_timestamp": _moments(times)}
    path = folder / f"labels-{count}.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def _rows(folder: Path, count: int, entities: int) -> Path:
    """Write rows as the offline store has them, with the two columns that Feast wants."""
    draw = np.random.default_rng(2)
    path = folder / f"rows-{count}.parquet"
    writer = None
    for first in range(0, count, A_CHUNK):
        events = AT_US + draw.integers(0, SPAN_US, A_CHUNK)
        writes = events + draw.integers(0, 60_000_000, A_CHUNK)
        columns = {"entity_id": draw.integers(0, entities, A_CHUNK), "at": events / 1e6}
        columns |= {f"f{n}": draw.random(A_CHUNK) for n in range(WIDTH)}
        columns |= {"event_us": events, "write_us": writes}
        columns |= {"is_deleted": np.zeros(A_CHUNK, bool), "row": np.arange(first, first + A_CHUNK)}
        columns |= {"event_timestamp": _moments(events), "created": _moments(writes)}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=122_880)
    assert writer is not None
    writer.close()
    return path


def _sorted(rows: Path) -> Path:
    """Write the rows as compaction leaves them."""
    path = rows.with_name(f"sorted-{rows.name}")
    with duckdb.connect(config={"memory_limit": "1GiB"}) as connection:
        connection.sql(
            f"COPY (SELECT * FROM '{rows}' ORDER BY entity_id, event_us, write_us)"
            f" TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
        )
    return path


def _moments(us) -> pa.Array:
    return pa.array(us, pa.timestamp("us", tz="UTC"))


def _ours(folder: Path, labels: Path, rows: Path) -> list[float]:
    scratch = str(folder / "scratch")
    return _run(sys.executable, "join_ours.py", str(labels), str(rows), scratch, str(WIDTH))


def _feast(folder: Path, labels: Path, rows: Path, store: str) -> list[float]:
    python, place = str(feast_peer.python()), str(folder / f"join-{store}")
    return _run(python, "join_feast.py", str(labels), str(rows), place, str(WIDTH), store)


def _run(python: str, program: str, *argv: str) -> list[float]:
    done = subprocess.run(
        [python, str(PEERS / program), *argv], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
