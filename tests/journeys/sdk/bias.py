"""Bias measured by the unmodified SDK: of data, of a model's predictions, and of live answers."""

from __future__ import annotations

import json
import random
import sys
import time
from datetime import datetime, timezone

import sagemaker
from sagemaker import clarify
from sagemaker.model_monitor import CronExpressionGenerator, EndpointInput, ModelBiasMonitor
from sagemaker.s3 import S3Downloader, S3Uploader

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
what, path, columns, facet = sys.argv[1:5]
session = sagemaker.Session()
bucket = session.default_bucket()
machines = {"role": ROLE, "instance_count": 1, "instance_type": "ml.m5.xlarge"}
data = clarify.DataConfig(
    s3_data_input_path=S3Uploader.upload(path, f"s3://{bucket}/bias/{what}/data"),
    s3_output_path=f"s3://{bucket}/bias/{what}/out",
    label="Label",
    headers=columns.split(","),
    dataset_type="text/csv",
)
bias = clarify.BiasConfig(
    label_values_or_threshold=[1],
    facet_name=facet,
    facet_values_or_threshold=[0.5],
    group_name="F2" if facet == "F1" else None,
)


def of_data():
    processor = clarify.SageMakerClarifyProcessor(**machines, sagemaker_session=session)
    processor.run_pre_training_bias(data, bias, methods="all", logs=False)


def of_a_model():
    monitor = ModelBiasMonitor(**machines, sagemaker_session=session)
    model = clarify.ModelConfig(
        model_name="scorer",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        content_type="text/csv",
        accept_type="text/csv",
    )
    label = clarify.ModelPredictedLabelConfig(probability_threshold=0.4)
    monitor.suggest_baseline(data, bias, model, label, wait=True)
    print("\nCONSTRAINTS", monitor.suggested_constraints().file_s3_uri)
    client = session.sagemaker_client
    left = client.list_endpoints()["Endpoints"], client.list_endpoint_configs()["EndpointConfigs"]
    print("LEFT", *left)
    return monitor


def answer(folder):
    """Deploy the model, ask it about rows whose columns go together, and upload labels."""
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    variant = {"VariantName": "all", "ModelName": "scorer", "InitialInstanceCount": 1}
    client.create_endpoint_config(
        EndpointConfigName="live",
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.xlarge"}],
        DataCaptureConfig=capture,
    )
    client.create_endpoint(EndpointName="live", EndpointConfigName="live")
    client.get_waiter("endpoint_in_service").wait(EndpointName="live", WaiterConfig={"Delay": 1})
    labels, draw = [], random.Random(5)
    for number in range(150):
        one = draw.random()
        other = one if draw.random() < 0.9 else 1 - one
        runtime.invoke_endpoint(
            EndpointName="live",
            ContentType="text/csv",
            Accept="text/csv",
            InferenceId=f"row-{number}",
            Body=f"{one},{other}",
        )
        label = {"data": str(int(one > 0.5)), "encoding": "CSV"}
        event = {"eventMetadata": {"eventId": f"row-{number}"}, "eventVersion": "0"}
        labels.append(json.dumps({"groundTruthData": label, **event}))
    hour = datetime.now(timezone.utc).strftime("%Y/%m/%d/%H")  # noqa: UP017 - a Python of before 3.11 runs it too
    S3Uploader.upload_string_as_file_body("\n".join(labels), f"{folder}/{hour}/labels.jsonl")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        files = S3Downloader.list(f"s3://{bucket}/captured")
        if sum(len(S3Downloader.read_file(one).splitlines()) for one in files) == len(labels):
            break
        time.sleep(0.2)


def watch(monitor):
    """Hold the answers of the last hour against the baseline, once."""
    folder = f"s3://{bucket}/labels"
    answer(folder)
    watched = EndpointInput(
        endpoint_name="live",
        destination="/opt/ml/processing/input/endpoint",
        probability_attribute="0",
        probability_threshold_attribute=0.4,
        start_time_offset="-PT1H",
        end_time_offset="-PT0H",
    )
    deadline = time.monotonic() + 120
    monitor.create_monitoring_schedule(
        endpoint_input=watched,
        ground_truth_input=folder,
        output_s3_uri=f"s3://{bucket}/reports",
        monitor_schedule_name="fairness",
        schedule_cron_expression=CronExpressionGenerator.now(),
        data_analysis_start_time="-PT1H",
        data_analysis_end_time="-PT0H",
    )
    named = {"MonitoringScheduleName": "fairness"}
    ended = {"Completed", "CompletedWithViolations", "Failed"}
    list_executions = session.sagemaker_client.list_monitoring_executions
    while time.monotonic() < deadline:
        found = list_executions(**named)["MonitoringExecutionSummaries"]
        if found and found[0]["MonitoringExecutionStatus"] in ended:
            break
        time.sleep(0.5)
    print("\nEXECUTION", found[0]["MonitoringExecutionStatus"], found[0].get("FailureReason"))
    report = monitor.list_executions()[-1].constraint_violations()
    print("VIOLATIONS", json.dumps(report.body_dict["violations"]))


if what == "data":
    of_data()
else:
    watch(of_a_model())
found = S3Downloader.read_file(f"s3://{bucket}/bias/{what}/out/analysis.json")
print("\nANALYSIS", json.dumps(json.loads(found)))
