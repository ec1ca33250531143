"""The table that monitoring is measured on, and processes measured as a whole."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from figure import peer_python
from pyarrow import parquet

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
PEERS = Path(__file__).resolve().parent / "peers"
REQUIREMENTS = {
    "ydata": ("ydata-profiling>=4.16,<5", "setuptools<81", "pyarrow"),
    "whylogs": ("whylogs>=1.6,<2", "pandas<3", "numpy<2", "pyarrow<22"),
    "evidently": ("evidently>=0.7,<0.8", "pandas<3", "pyarrow"),
}
_AT_ONCE = 250_000
_WORDS = np.array(["red", "green", "blue", "fast", "slow", "old", "new", "big", "small", "warm"])
_CATEGORIES = {"sex": 2, "region": 5, "plan": 12, "state": 51, "city": 300, "sku": 5_000}


@dataclass(frozen=True)
class Measured:
    """What a process took, from its start to its end."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    said: str


def measured(python: Path | str, program: str, *arguments: object) -> Measured:
    """Run a program of `peers/` and measure it."""
    argv = [str(python), str(PEERS / program), *map(str, arguments)]
    begin = os.times()
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{program} ended with {process.returncode}")
    wall = os.times().elapsed - begin.elapsed
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def peer(name: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return peer_python(f"monitoring-{name}", REQUIREMENTS[name])


@cache
def table(folder: Path, rows: int, *, is_shifted: bool = False) -> Path:
    """Write rows of 20 columns with nulls: numbers, categories, texts, a flag and a time."""
    path = folder / f"{'shifted' if is_shifted else 'base'}-{rows}.parquet"
    with parquet.ParquetWriter(path, _some(np.random.default_rng(0), 1, 0.0).schema) as writer:
        for start in range(0, rows, _AT_ONCE):
            random = np.random.default_rng([start, is_shifted])
            some = _some(random, min(_AT_ONCE, rows - start), 0.2 * is_shifted)
            writer.write_table(some, row_group_size=_AT_ONCE // 2)
    return path


def _some(random: np.random.Generator, rows: int, shift: float) -> pa.Table:
    numbers = {
        "normal": random.normal(shift, 1, rows),
        "lognormal": random.lognormal(3, 1 + shift, rows),
        "uniform": random.random(rows) * 100,
        "gamma": random.gamma(2, 2, rows) + shift,
        "zero_inflated": np.where(random.random(rows) < 0.8, 0, random.exponential(50, rows)),
        "bimodal": np.where(random.random(rows) < 0.4 + shift, -5, 5) + random.normal(size=rows),
        "cauchy": random.standard_cauchy(rows),
        "age": np.clip(random.normal(40, 12, rows), 18, 95).astype(np.int64),
        "visits": random.poisson(3 + shift, rows),
        "large": random.integers(0, 10**9, rows),
    }
    columns = {
        name: pa.array(values, mask=random.random(rows) < 0.03) for name, values in numbers.items()
    }
    for name, count in _CATEGORIES.items():
        weights = 1 / np.arange(1, count + 1) ** (1.1 if count > 10 else 0.0)
        places = random.choice(count, rows, p=weights / weights.sum())
        words = pa.array([f"{name} {at:04}" for at in range(count)])
        columns[name] = words.take(pa.array(places, mask=random.random(rows) < 0.02))
    columns["id"] = pa.array([f"{at:016x}" for at in random.integers(0, 2**62, rows).tolist()])
    columns["note"] = pa.array(
        [" ".join(some) for some in _WORDS[random.integers(0, len(_WORDS), (rows, 4))].tolist()]
    )
    columns["flag"] = pa.array(random.random(rows) < 0.3, mask=random.random(rows) < 0.01)
    times = 1_700_000_000_000_000 + random.integers(0, 10**13, rows)
    columns["time"] = pa.array(times).cast(pa.timestamp("us"))
    return pa.table(columns)
