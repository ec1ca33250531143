"""The same pipeline through the unmodified SageMaker SDK, in an environment without clary."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "abalone_sagemaker" / "pipeline.py"
STEPS = [
    "AbaloneProcess",
    "AbaloneTrain",
    "AbaloneEval",
    "AbaloneMSECond",
    "AbaloneRegisterModel-RegisterModel",
    "AbaloneCreateModel-CreateModel",
    "AbaloneTransform",
]
DESCRIBED = ("processing-job", "training-job", "transform-job", "model", "model-package")


def test_the_example_succeeds_then_fails_when_asked_for_the_impossible(sdk, home):
    done = sdk(EXAMPLE)
    assert done.returncode == 0, done.stderr
    for step in STEPS:
        assert f"{step}: Succeeded" in done.stdout
    for name in ("ProcessingInstanceCount = 1", "MseThreshold = 6.0", "BatchData = s3://"):
        assert f"\n  {name}" in done.stdout
    for kind in DESCRIBED:
        assert f"\n  arn:aws:sagemaker:us-east-1:123456789012:{kind}/" in done.stdout
    assert re.search(r"log ends: .*validation-rmse:", done.stdout)
    assert re.search(r"log ends: 564 rows: mean squared error \d", done.stdout)
    assert "version 1: PendingManualApproval" in done.stdout
    assert "418 scores: " in done.stdout

    again = sdk(EXAMPLE, "MseThreshold=0.5")  # an update of the pipeline, and its other end
    assert again.returncode == 1, again.stderr
    assert "FAILED: " in again.stdout
    assert "The mean squared error exceeds 0.5" in again.stdout
    assert "AbaloneMSEFail: Failed" in again.stdout
    assert "AbaloneTransform" not in again.stdout
    described = home.client("sagemaker").describe_pipeline(PipelineName="AbalonePipeline")
    assert described["PipelineStatus"] == "Active"
