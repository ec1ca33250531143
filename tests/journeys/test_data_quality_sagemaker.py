"""The SDK's DefaultModelMonitor, unchanged: a baseline, and rows that differ from it."""

from __future__ import annotations

import csv
import random
from pathlib import Path

PROGRAM = Path(__file__).parent / "sdk" / "data_quality.py"


def rows(path, *, flags, seed):
    """Write a file of 1,000 people."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("age", "plan", "flag"))
        for _ in range(1000):
            age = draw.randint(18, 90)
            lines.writerow((age, draw.choice("abc"), int(draw.random() < flags)))
    return path


def test_the_default_monitor_of_the_sdk(sdk, tmp_path):
    baseline = rows(tmp_path / "baseline.csv", flags=0.1, seed=1)
    current = rows(tmp_path / "current.csv", flags=0.9, seed=2)
    done = sdk(PROGRAM, baseline, current)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("DATA QUALITY ok\n")
