"""Statistics and constraints of a table beside three profilers, and the merge of many minutes."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from figure import Figure
from monitoring_data import ROWS, Measured, measured, peer, table

MINUTES = 10_000
_TIMES_LESS = {"ydata": 10, "whylogs": 10, "evidently": 15}


def figures() -> list[Figure]:
    """Measure processes as a whole, imports included."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return [*_million(folder), *_large(folder)]


def _million(folder: Path) -> list[Figure]:
    million = table(folder, ROWS)
    ours = measured(sys.executable, "profile_ours.py", million)
    peers = {name: measured(peer(name), f"profile_{name}.py", million) for name in _TIMES_LESS}
    fastest = min(peers.values(), key=lambda one: one.wall_s)
    leanest = min(peers.values(), key=lambda one: one.peak_mib)
    title = f"statistics and constraints of {ROWS:,} x 20"
    return [
        Figure(title, ours.wall_s, "s", 2.5, "the fastest profiler", fastest.wall_s),
        Figure(f"{title}, memory", ours.peak_mib, "MiB", 600, "the leanest", leanest.peak_mib),
        *(_cpu(title, ours, name, theirs) for name, theirs in peers.items()),
    ]


def _cpu(title: str, ours: Measured, name: str, theirs: Measured) -> Figure:
    goal = theirs.cpu_s / _TIMES_LESS[name]
    return Figure(f"{title}, CPU", ours.cpu_s, "s", goal, name, theirs.cpu_s)


def _large(folder: Path) -> list[Figure]:
    file = table(folder, 10 * ROWS)
    whole = measured(sys.executable, "profile_ours.py", file)
    limit = measured(sys.executable, "profile_reading.py", file)
    merged = measured(sys.executable, "profile_minutes.py", file, MINUTES)
    file.unlink()
    title = f"statistics and constraints of {10 * ROWS:,} x 20"
    only = "reading the file"
    return [
        Figure(title, whole.wall_s, "s", 20, only, limit.wall_s),
        Figure(f"{title}, memory", whole.peak_mib, "MiB", 1536, only, limit.peak_mib),
        Figure(
            f"merging {MINUTES:,} profiles of minutes x 20 columns",
            float(merged.said),
            "s",
            10,
            f"profiling {10 * ROWS:,} rows",
            whole.wall_s,
        ),
    ]
