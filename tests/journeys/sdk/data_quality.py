"""Baseline a CSV with the SDK's DefaultModelMonitor, then check other rows against it.

Arguments: a CSV of the baseline, and one of rows that differ.
"""

from __future__ import annotations

import sys

from sagemaker.model_monitor import DefaultModelMonitor
from sagemaker.model_monitor.dataset_format import DatasetFormat

BASELINE, CURRENT = sys.argv[1:]
monitor = DefaultModelMonitor(
    role="arn:aws:iam::123456789012:role/clary",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    max_runtime_in_seconds=600,
)
monitor.suggest_baseline(
    baseline_dataset=BASELINE, dataset_format=DatasetFormat.csv(header=True), logs=False
)
statistics = monitor.baseline_statistics().body_dict
constraints = monitor.suggested_constraints().body_dict
assert statistics["dataset"]["item_count"] == 1000, statistics["dataset"]
assert [one["name"] for one in constraints["features"]] == ["age", "plan", "flag"]
ended = monitor.latest_baselining_job.describe()
assert ended["ExitMessage"].startswith("Completed"), ended
print("DATA QUALITY ok")
