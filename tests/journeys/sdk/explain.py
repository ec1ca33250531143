"""Attribution by the unmodified SDK: of a model's predictions, and of live requests."""

from __future__ import annotations

import json
import random
import sys
import time

import sagemaker
from sagemaker import clarify
from sagemaker.model_monitor import (
    CronExpressionGenerator,
    EndpointInput,
    ModelExplainabilityMonitor,
)
from sagemaker.model_monitor.clarify_model_monitoring import ExplainabilityAnalysisConfig
from sagemaker.s3 import S3Downloader, S3Uploader

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
path, columns = sys.argv[1:3]
session = sagemaker.Session()
client, bucket = session.sagemaker_client, session.default_bucket()
machines = {"role": ROLE, "instance_count": 1, "instance_type": "ml.m5.xlarge"}
uri = S3Uploader.upload(path, f"s3://{bucket}/explain/data")
model = clarify.ModelConfig(
    model_name="amounts",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    content_type="text/csv",
    accept_type="text/csv",
)


def data(name):
    return clarify.DataConfig(
        s3_data_input_path=uri,
        s3_output_path=f"s3://{bucket}/explain/{name}",
        label="Label",
        headers=columns.split(","),
        dataset_type="text/csv",
    )


def told(name, member):
    document = json.loads(S3Downloader.read_file(f"s3://{bucket}/explain/{name}/analysis.json"))
    print("\n" + member, json.dumps(document))


def once():
    """Explain by the trees, and by asking the model, with the curves of two features."""
    processor = clarify.SageMakerClarifyProcessor(**machines, sagemaker_session=session)
    curves = clarify.PDPConfig(grid_resolution=4, top_k_features=2)
    shap = clarify.SHAPConfig(num_clusters=1, agg_method="mean_abs", seed=1)
    processor.run_explainability(data("trees"), model, [shap, curves], logs=False)
    told("trees", "TREES")
    shap = clarify.SHAPConfig(
        baseline=[[0.5, 0.5, 0.5]], agg_method="mean_sq", features_to_explain=["F2", "F0"]
    )
    processor.run_explainability(data("asked"), model, shap, logs=False)
    told("asked", "ASKED")
    local = S3Downloader.read_file(f"s3://{bucket}/explain/asked/explanations_shap/out.csv")
    print("\nLOCAL", json.dumps(local.splitlines()[:2]), len(local.splitlines()))


def watch():
    """Take a baseline, ask with a first feature that does not vary, and look at it once."""
    monitor = ModelExplainabilityMonitor(**machines, sagemaker_session=session)
    shap = clarify.SHAPConfig(num_clusters=1)
    monitor.suggest_baseline(data("baseline"), shap, model, wait=True)
    print("\nCONSTRAINTS", monitor.suggested_constraints().file_s3_uri)
    captured = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    variant = {"VariantName": "all", "ModelName": "amounts", "InitialInstanceCount": 1}
    client.create_endpoint_config(
        EndpointConfigName="live",
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.xlarge"}],
        DataCaptureConfig=captured,
    )
    client.create_endpoint(EndpointName="live", EndpointConfigName="live")
    client.get_waiter("endpoint_in_service").wait(EndpointName="live", WaiterConfig={"Delay": 1})
    draw = random.Random(3)
    for _ in range(60):
        session.sagemaker_runtime_client.invoke_endpoint(
            EndpointName="live",
            ContentType="text/csv",
            Body=f"0.5,{draw.random()},{draw.random()}",
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        files = S3Downloader.list(f"s3://{bucket}/captured")
        if sum(len(S3Downloader.read_file(one).splitlines()) for one in files) == 60:
            break
        time.sleep(0.2)
    deadline = time.monotonic() + 120
    monitor.create_monitoring_schedule(
        endpoint_input=EndpointInput(
            endpoint_name="live", destination="/opt/ml/processing/input/endpoint"
        ),
        analysis_config=ExplainabilityAnalysisConfig(shap, model, headers=columns.split(",")[1:]),
        output_s3_uri=f"s3://{bucket}/reports",
        monitor_schedule_name="reasons",
        schedule_cron_expression=CronExpressionGenerator.now(),
        data_analysis_start_time="-PT1H",
        data_analysis_end_time="-PT0H",
    )
    ended = {"Completed", "CompletedWithViolations", "Failed"}
    found = {}
    while time.monotonic() < deadline and found.get("MonitoringExecutionStatus") not in ended:
        listed = client.list_monitoring_executions(MonitoringScheduleName="reasons")
        found = (listed["MonitoringExecutionSummaries"] or [{}])[0]
        time.sleep(0.2)
    print("\nEXECUTION", found.get("MonitoringExecutionStatus"), found.get("FailureReason"))
    last = monitor.list_executions()[-1]
    print("VIOLATIONS", json.dumps(last.constraint_violations().body_dict["violations"]))


once()
watch()
