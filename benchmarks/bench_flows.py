"""Flows: 11 steps, 6 of them fitted, over 2M rows and over one record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import flows_data
from figure import Figure

HERE = Path(__file__).resolve().parent
ROWS, RUNS = 2_000_000, 3


def figures() -> list[Figure]:
    """Measure in turn: ourselves and SQL by hand; pandas with scikit-learn."""
    with TemporaryDirectory(prefix="flows-") as folder:
        path = f"{folder}/rows.parquet"
        flows_data.write(path, ROWS)
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(_ran("flows_ours.py", path, folder))
            theirs.append(_ran("peers/flows_sklearn.py", path))
    fit, apply, by_hand, record, peak = (median(one) for one in zip(*ours, strict=True))
    their_fit, their_apply, their_record = (median(one) for one in zip(*theirs, strict=True))
    whole, sklearn = fit + apply, "pandas and scikit-learn"
    return [
        Figure("fit, 2M rows", fit, "s", 6, sklearn, their_fit),
        Figure("apply and write, 2M rows", apply, "s", 4, f"{sklearn}, unwritten", their_apply),
        Figure("peak memory", peak, "GB", 1.5, "limit", 1.5),
        Figure("fit and apply, times SQL by hand", whole / by_hand, "x", 1.3, "by hand", 1),
        Figure(
            "times faster than scikit-learn",
            (their_fit + their_apply) / whole,
            "x",
            3,
            sklearn,
            1,
            ">=",
        ),
        Figure("one record, 11 steps", record * 1e6, "us", 50, sklearn, their_record * 1e6),
        Figure("one record, times faster", their_record / record, "x", 1000, sklearn, 1, ">="),
    ]


def _ran(program: str, *arguments: str) -> list[float]:
    argv = [sys.executable, str(HERE / program), *arguments]
    ran = subprocess.run(argv, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout.splitlines()[-1])
