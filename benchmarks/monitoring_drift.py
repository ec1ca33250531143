"""Drift of a million rows beside Evidently, and the hourly check of captured requests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figure import Figure
from monitoring_data import PEERS, peer

from clary.monitoring.programs import data_quality, settings

ROWS, CAPTURED = 1_000_000, 100_000
WORDS = {"sex": 2, "region": 5, "plan": 12, "state": 51, "city": 300, "sku": 5000}
OURS = """
import json, sys, time
from clary.analysis.table_drift import table_drift
from clary.analysis.tables import open_table
began = time.process_time()
with open_table(sys.argv[1]) as before, open_table(sys.argv[2]) as now:
    count = len(table_drift(before, now))
print(json.dumps({"cpu_s": time.process_time() - began, "columns": count}))
"""


def figures() -> list[Figure]:
    """Measure drift and the hourly check."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        before, now = folder / "before.parquet", folder / "now.parquet"
        pq.write_table(table(ROWS, 1, 0.0), before)
        pq.write_table(table(ROWS, 2, 1.0), now)
        ours = asked([sys.executable, "-c", OURS, before, now])
        theirs = asked([peer("evidently"), PEERS / "evidently_drift.py", before, now])
        checked_s, read_s = hourly(folder, before)
    times = theirs["cpu_s"] / ours["cpu_s"]
    return [
        Figure(
            "processor time of drift, every metric, 1M rows against 1M, 17 columns",
            *(ours["cpu_s"], "s", theirs["cpu_s"] / 15),
            *(f"Evidently, one test a column ({times:.0f} times ours)", theirs["cpu_s"]),
        ),
        Figure(
            "processor time of an hourly check, 100,000 captured rows against a stored baseline",
            *(checked_s, "s", 0.5, "reading the captures' JSON alone", read_s),
        ),
    ]


def asked(argv: list[object]) -> dict[str, float]:
    """Run a program that prints what it took."""
    done = subprocess.run([*map(str, argv)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(rows: int, seed: int, shift: float) -> pa.Table:
    """Make ten columns of numbers, six of categories and one of truth values, with nulls."""
    draw = np.random.default_rng(seed)
    numbers = {
        "uniform": draw.random(rows) * 100,
        "normal": draw.normal(0.1 * shift, 1, rows),
        "lognormal": draw.lognormal(3, 1 + 0.05 * shift, rows),
        "gamma": draw.gamma(2, 2, rows) + 0.2 * shift,
        "zeros": np.where(draw.random(rows) < 0.8, 0, draw.exponential(50, rows)),
        "two": np.where(draw.random(rows) < 0.4, draw.normal(-5, 1, rows), draw.normal(5, 2, rows)),
        "age": draw.normal(40, 12, rows).clip(18, 95).astype(np.int64),
        "count": draw.poisson(3 + 0.3 * shift, rows),
        "large": draw.integers(0, 10**9, rows),
        "heavy": draw.standard_cauchy(rows),
    }
    columns = {
        name: pa.array(values, mask=None if name == "uniform" else draw.random(rows) < 0.03)
        for name, values in numbers.items()
    }
    for name, kinds in WORDS.items():
        weights = 1 / np.arange(1, kinds + 1) * (1 + 0.2 * shift * np.sin(np.arange(kinds)))
        codes = draw.choice(kinds, rows, p=weights / weights.sum()).astype(np.int32)
        words = pa.array([f"{name}_{number:04}" for number in range(kinds)])
        columns[name] = pa.DictionaryArray.from_arrays(codes, words).cast(pa.string())
    columns["flag"] = pa.array(draw.random(rows) < 0.3 + 0.05 * shift)
    return pa.table(columns)


def hourly(folder: Path, baseline: Path) -> tuple[float, float]:
    """Check an hour of captures; return the processor's seconds of it, and of its JSON alone."""
    ml = folder / "ml"
    source = ml / "processing" / "input"
    (source / "baseline").mkdir(parents=True)
    (source / "baseline" / "rows.parquet").symlink_to(baseline)
    captures = source / "live" / "endpoint" / "AllTraffic" / "2026" / "01" / "31" / "00"
    captures.mkdir(parents=True)
    write_captures(captures / "x.jsonl")
    run(ml, "baseline", '{"parquet":{}}')
    (ml / "processing" / "output").rename(ml / "processing" / "stored")
    stored = {
        f"baseline_{name}": f"/opt/ml/processing/stored/{name}.json"
        for name in ("constraints", "statistics")
    }
    hour = {"start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T01:00:00Z"}
    live = ("live", '{"sagemakerCaptureJson":{}}')
    checked_s = min(run(ml, *live, **stored, **hour) for _ in range(5))
    data = (captures / "x.jsonl").read_bytes()
    begin = time.process_time()
    for line in data.splitlines():
        json.loads(line)
    return checked_s, time.process_time() - begin


def write_captures(file: Path) -> None:
    """Write 100,000 requests, each a row of CSV: the first column is the answer."""
    rows = table(CAPTURED, 3, 0.0)
    cells = [["" if one is None else str(one) for one in column.to_pylist()] for column in rows]
    side = {"observedContentType": "text/csv", "encoding": "CSV"}
    with file.open("w") as opened:
        for number, (answer, *asked) in enumerate(zip(*cells, strict=True)):
            document = {
                "captureData": {
                    "endpointInput": {**side, "mode": "INPUT", "data": ",".join(asked)},
                    "endpointOutput": {**side, "mode": "OUTPUT", "data": answer},
                },
                "eventMetadata": {
                    "eventId": str(number),
                    "inferenceTime": "2026-01-31T00:10:00Z",
                },
                "eventVersion": "0",
            }
            opened.write(json.dumps(document, separators=(",", ":")) + "\n")


def run(ml: Path, source: str, dataset_format: str, **more: str) -> float:
    """Run the analyzer's program; return the seconds of the processor that it took."""
    given = settings.read(
        {
            "dataset_source": f"/opt/ml/processing/input/{source}",
            "output_path": "/opt/ml/processing/output",
            "dataset_format": dataset_format,
            **more,
        },
        settings.Settings,
    )
    begin = time.process_time()
    data_quality.run(given, ml)
    return time.process_time() - begin


if __name__ == "__main__":
    for figure in figures():
        print(figure)
