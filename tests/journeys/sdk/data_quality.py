"""Baseline a CSV with the SDK's DefaultModelMonitor, then check other rows against it.

Arguments: a CSV of the baseline, and one of rows of which a column differs.
"""

from __future__ import annotations

import sys

from sagemaker import Session
from sagemaker.model_monitor import DefaultModelMonitor
from sagemaker.model_monitor.data_quality_monitoring_config import (
    DataQualityDistributionConstraints,
    DataQualityMonitoringConfig,
)
from sagemaker.model_monitor.dataset_format import DatasetFormat
from sagemaker.model_monitor.monitoring_files import ConstraintViolations
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor

BASELINE, CURRENT = sys.argv[1:]
PLACE = "/opt/ml/processing"
machine = {
    "role": "arn:aws:iam::123456789012:role/clary",
    "instance_count": 1,
    "instance_type": "ml.m5.xlarge",
}
monitor = DefaultModelMonitor(**machine, max_runtime_in_seconds=600)
monitor.suggest_baseline(
    baseline_dataset=BASELINE,
    dataset_format=DatasetFormat.csv(header=True),
    monitoring_config_override=DataQualityMonitoringConfig(
        DataQualityDistributionConstraints("ChiSquared")
    ),
    logs=False,
)
statistics = monitor.baseline_statistics()
constraints = monitor.suggested_constraints()
assert statistics.body_dict["dataset"]["item_count"] == 1000, statistics.body_dict["dataset"]
assert [one["name"] for one in constraints.body_dict["features"]] == ["age", "plan", "flag"]
compared = constraints.body_dict["monitoring_config"]["distribution_constraints"]
assert compared["categorical_drift_method"] == "ChiSquared", compared
ended = monitor.latest_baselining_job.describe()
assert ended["ExitMessage"].startswith("Completed: "), ended

constraints.set_monitoring(False, feature_name="plan")
constraints.save()
checking = Processor(
    image_uri=monitor.image_uri,
    env={
        "dataset_source": f"{PLACE}/input/live",
        "dataset_format": '{"csv":{"header":true}}',
        "output_path": f"{PLACE}/output",
        "baseline_constraints": f"{PLACE}/baseline/constraints/constraints.json",
        "baseline_statistics": f"{PLACE}/baseline/stats/statistics.json",
        "publish_cloudwatch_metrics": "Disabled",
    },
    **machine,
)
folder = f"s3://{Session().default_bucket()}/data-quality/checked"
checking.run(
    inputs=[
        ProcessingInput(CURRENT, f"{PLACE}/input/live", "live"),
        ProcessingInput(
            constraints.file_s3_uri, f"{PLACE}/baseline/constraints", "baseline_constraints"
        ),
        ProcessingInput(statistics.file_s3_uri, f"{PLACE}/baseline/stats", "baseline_statistics"),
    ],
    outputs=[ProcessingOutput(f"{PLACE}/output", folder, "monitoring_output")],
    logs=False,
)
said = checking.latest_job.describe()["ExitMessage"]
assert said == "CompletedWithViolations: Job completed successfully with 1 violations.", said
report = ConstraintViolations.from_s3_uri(f"{folder}/constraint_violations.json").body_dict
(found,) = report["violations"]
assert found["feature_name"] == "flag", found
assert found["constraint_check_type"] == "baseline_drift_check", found
print("DATA QUALITY ok")
