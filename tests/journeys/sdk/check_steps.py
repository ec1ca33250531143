"""Check data, a model and its bias in a pipeline of the SDK, against baselines in the registry.

The first execution makes the baselines, the version it registers is approved, the second
execution compares with them: the same data pass, other data do not.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.clarify import (
    BiasConfig,
    DataConfig,
    ModelConfig,
    ModelPredictedLabelConfig,
    SHAPConfig,
)
from sagemaker.drift_check_baselines import DriftCheckBaselines
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.model_monitor.dataset_format import DatasetFormat
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.clarify_check_step import (
    ClarifyCheckStep,
    DataBiasCheckConfig,
    ModelBiasCheckConfig,
    ModelExplainabilityCheckConfig,
)
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterBoolean, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.quality_check_step import (
    DataQualityCheckConfig,
    ModelQualityCheckConfig,
    QualityCheckStep,
)

session, pipeline_session = sagemaker.Session(), PipelineSession()
role = sagemaker.get_execution_role()
bucket = f"s3://{session.default_bucket()}/checks"
work = Path(tempfile.mkdtemp())


def uploaded(name, text):
    file = work / name
    file.write_text(text)
    return S3Uploader.upload(str(file), f"{bucket}/{name.partition('.')[0]}")


def rows(shift):
    lines = [f"{n % 7 + shift},{n % 2},{int(n % 7 > 2)}\n" for n in range(700)]
    return "age,member,bought\n" + "".join(lines)


usual, other = uploaded("usual.csv", rows(0)), uploaded("other.csv", rows(100))
scored = "prediction,label\n" + "".join(f"{n % 7},{n % 7 + 0.1 * (n % 3)}\n" for n in range(400))
scores = uploaded("scores.csv", scored)

data = ParameterString("Data", default_value=usual)
skip = ParameterBoolean("Skip", default_value=True)
new = ParameterBoolean("New", default_value=True)
settings = {
    "check_job_config": CheckJobConfig(
        role=role, instance_type="ml.m5.large", sagemaker_session=pipeline_session
    ),
    "skip_check": skip,
    "register_new_baseline": new,
    "model_package_group_name": "checked",
}
quality = QualityCheckStep(
    name="Data",
    quality_check_config=DataQualityCheckConfig(
        baseline_dataset=data,
        dataset_format=DatasetFormat.csv(header=True),
        output_s3_uri=f"{bucket}/quality",
    ),
    **settings,
)
performance = QualityCheckStep(
    name="Performance",
    quality_check_config=ModelQualityCheckConfig(
        baseline_dataset=scores,
        dataset_format=DatasetFormat.csv(header=True),
        output_s3_uri=f"{bucket}/performance",
        problem_type="Regression",
        inference_attribute="prediction",
        ground_truth_attribute="label",
    ),
    **settings,
)
asked = BiasConfig(
    label_values_or_threshold=[1], facet_name="member", facet_values_or_threshold=[1]
)
scorer = ModelConfig(
    model_name=ParameterString("Model", default_value="scorer"),
    instance_count=1,
    instance_type="ml.m5.large",
    content_type="text/csv",
    accept_type="text/csv",
)


def clarified(name, config, **members):
    """Make a step that looks at the usual data with Clarify."""
    looked_at = DataConfig(
        s3_data_input_path=usual,
        s3_output_path=f"{bucket}/{name.lower()}",
        label="bought",
        headers=["age", "member", "bought"],
        dataset_type="text/csv",
    )
    given = config(data_config=looked_at, **members)
    return ClarifyCheckStep(name=name, clarify_check_config=given, **settings)


bias = clarified("Bias", DataBiasCheckConfig, data_bias_config=asked)
fairness = clarified(
    "Fairness",
    ModelBiasCheckConfig,
    data_bias_config=asked,
    model_config=scorer,
    model_predicted_label_config=ModelPredictedLabelConfig(probability_threshold=0.5),
)
reasons = clarified(
    "Reasons",
    ModelExplainabilityCheckConfig,
    model_config=scorer,
    explainability_config=SHAPConfig(baseline=[[3, 0]], num_samples=20, agg_method="mean_abs"),
)


def source(uri):
    return MetricsSource(s3_uri=uri, content_type="application/json")


estimator = Estimator(
    image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.7-1"),
    role=role,
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"{bucket}/models",
    sagemaker_session=session,
)
estimator.set_hyperparameters(num_round=2, objective="reg:squarederror")
plain = uploaded("plain.csv", "".join(f"{int(n % 7 > 2)},{n % 7},{n % 2}\n" for n in range(70)))
estimator.fit({"train": TrainingInput(plain, content_type="text/csv")}, logs=False)
session.create_model(
    "scorer", role, {"Image": estimator.training_image_uri(), "ModelDataUrl": estimator.model_data}
)
model = Model(
    image_uri=estimator.training_image_uri(),
    model_data=estimator.model_data,
    role=role,
    sagemaker_session=pipeline_session,
)
register = ModelStep(
    name="Keep",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        model_package_group_name="checked",
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(
            model_data_statistics=source(quality.properties.CalculatedBaselineStatistics),
            model_data_constraints=source(quality.properties.CalculatedBaselineConstraints),
            bias=source(bias.properties.CalculatedBaselineConstraints),
        ),
        drift_check_baselines=DriftCheckBaselines(
            model_data_statistics=source(quality.properties.BaselineUsedForDriftCheckStatistics),
            model_data_constraints=source(quality.properties.BaselineUsedForDriftCheckConstraints),
            model_statistics=source(performance.properties.BaselineUsedForDriftCheckStatistics),
            model_constraints=source(performance.properties.BaselineUsedForDriftCheckConstraints),
            bias_pre_training_constraints=source(
                bias.properties.BaselineUsedForDriftCheckConstraints
            ),
            bias_post_training_constraints=source(
                fairness.properties.BaselineUsedForDriftCheckConstraints
            ),
            explainability_constraints=source(
                reasons.properties.BaselineUsedForDriftCheckConstraints
            ),
        ),
    ),
)
pipeline = Pipeline(
    name="checked",
    parameters=[data, skip, new, scorer.predictor_config["model_name"]],
    steps=[quality, performance, bias, fairness, reasons, register],
    sagemaker_session=pipeline_session,
)
pipeline.upsert(role_arn=role)
client = session.sagemaker_client


def names():
    """Name the endpoints that are not being deleted."""
    found = client.list_endpoints()["Endpoints"]
    return {one["EndpointName"] for one in found if one["EndpointStatus"] != "Deleting"}


before = names()


def ran(**parameters):
    """Run the pipeline to its end; give its status and its steps by name."""
    execution = pipeline.start(parameters=parameters)
    while execution.describe()["PipelineExecutionStatus"] == "Executing":
        time.sleep(0.1)
    steps = {one["StepName"]: one for one in execution.list_steps()}
    return execution.describe()["PipelineExecutionStatus"], steps


status, steps = ran(Skip=False, New=False)
assert status == "Failed", steps
assert "there is no baseline to compare with" in steps["Data"]["FailureReason"], steps["Data"]

status, steps = ran()
assert status == "Succeeded", steps
told = steps["Data"]["Metadata"]["QualityCheck"]
assert told["CheckType"] == "DATA_QUALITY"
assert told["CalculatedBaselineConstraints"] == told["BaselineUsedForDriftCheckConstraints"]
assert json.loads(S3Downloader.read_file(told["CalculatedBaselineConstraints"]))["features"]
first = told["CalculatedBaselineStatistics"]
checks = {name: steps[name]["Metadata"]["ClarifyCheck"] for name in ("Bias", "Fairness", "Reasons")}
assert [one["CheckType"] for one in checks.values()] == [
    "DATA_BIAS",
    "MODEL_BIAS",
    "MODEL_EXPLAINABILITY",
]
[package] = client.list_model_packages(ModelPackageGroupName="checked")["ModelPackageSummaryList"]
client.update_model_package(
    ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Approved"
)

status, steps = ran(Skip=False, New=False)
assert status == "Succeeded", steps
told = steps["Data"]["Metadata"]["QualityCheck"]
assert told["BaselineUsedForDriftCheckStatistics"] == first
assert told["CalculatedBaselineStatistics"] != first
assert json.loads(S3Downloader.read_file(told["CalculatedBaselineConstraints"]))["features"]
assert json.loads(S3Downloader.read_file(told["ViolationReport"]))["violations"] == []
for name in ("Performance", "Bias", "Fairness", "Reasons"):
    [report] = [one["ViolationReport"] for one in steps[name]["Metadata"].values()]
    assert json.loads(S3Downloader.read_file(report))["violations"] == [], name
assert names() == before  # the checks' own endpoints are gone, or going

status, steps = ran(Data=other, Skip=False, New=False)
assert status == "Failed", steps
assert "violations: s3://" in steps["Data"]["FailureReason"], steps["Data"]
print("CHECKED")
