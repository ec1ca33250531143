"""Baseline a model's quality with the SDK's ModelQualityMonitor.

Argument: a CSV of labels, predictions and probabilities.
"""

from __future__ import annotations

import sys

from sagemaker.model_monitor import ModelQualityMonitor
from sagemaker.model_monitor.dataset_format import DatasetFormat

(BASELINE,) = sys.argv[1:]
monitor = ModelQualityMonitor(
    role="arn:aws:iam::123456789012:role/clary",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    max_runtime_in_seconds=600,
)
monitor.suggest_baseline(
    baseline_dataset=BASELINE,
    dataset_format=DatasetFormat.csv(header=True),
    problem_type="BinaryClassification",
    inference_attribute="prediction",
    probability_attribute="probability",
    ground_truth_attribute="label",
    wait=True,
    logs=False,
)
metrics = monitor.baseline_statistics().body_dict["binary_classification_metrics"]
bounds = monitor.suggested_constraints().body_dict["binary_classification_constraints"]
assert 0.7 < metrics["auc"]["value"] < 0.9, metrics["auc"]
assert 0 < metrics["auc"]["standard_deviation"] < 0.05, metrics["auc"]
assert sum(sum(row.values()) for row in metrics["confusion_matrix"].values()) == 1000, metrics
assert bounds["auc"] == {
    "threshold": metrics["auc"]["value"],
    "comparison_operator": "LessThanThreshold",
}, bounds
ended = monitor.latest_baselining_job.describe()
assert ended["ExitMessage"] == "Completed: Job completed successfully with no violations.", ended
print("MODEL QUALITY ok")
