"""The SDK's ModelQualityMonitor, unchanged: a baseline of a classifier."""

from __future__ import annotations

import csv
import random
from pathlib import Path

PROGRAM = Path(__file__).parent / "sdk" / "model_quality.py"


def test_the_model_quality_monitor_of_the_sdk(sdk, tmp_path):
    draw = random.Random(1)
    with (tmp_path / "baseline.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("probability", "prediction", "label"))
        for _ in range(1000):
            probability = draw.random()
            label = int(draw.random() < probability)
            lines.writerow((probability, int(probability > 0.5), label))
    done = sdk(PROGRAM, tmp_path / "baseline.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("MODEL QUALITY ok\n")
