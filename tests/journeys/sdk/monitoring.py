"""Watch an endpoint with the SDK's monitors: by schedule, its data, its quality, one's own program.

Prints what the test looks at afterwards.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import BatchDataCaptureConfig, TrainingInput
from sagemaker.model_monitor import (
    BatchTransformInput,
    CronExpressionGenerator,
    DataCaptureConfig,
    DefaultModelMonitor,
    EndpointInput,
    ModelMonitor,
    ModelQualityMonitor,
    MonitoringOutput,
)
from sagemaker.model_monitor.dataset_format import DatasetFormat, MonitoringDatasetFormat
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.serializers import CSVSerializer

session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = f"s3://{session.default_bucket()}"
work = Path(tempfile.mkdtemp())
ALONE = {"role": role, "instance_count": 1, "instance_type": "ml.m5.large"}
ONCE = {
    "schedule_cron_expression": CronExpressionGenerator.now(),
    "data_analysis_start_time": "-PT1H",
    "data_analysis_end_time": "PT1M",
}


def uploaded(name, text):
    file = work / name
    file.write_text(text)
    return S3Uploader.upload(str(file), f"{bucket}/watched")


def ended(name):
    """Wait for the newest execution of a schedule."""
    while True:
        last = session.describe_monitoring_schedule(name).get("LastMonitoringExecutionSummary")
        if last and last["MonitoringExecutionStatus"] not in {"Pending", "InProgress"}:
            return last
        time.sleep(0.1)


rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(120))
estimator = Estimator(
    image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.7-1"),
    output_path=f"{bucket}/watched/models",
    sagemaker_session=session,
    **ALONE,
)
estimator.set_hyperparameters(num_round=8, eta=0.9, objective="reg:squarederror")
estimator.fit({"train": TrainingInput(uploaded("rows.csv", rows), content_type="text/csv")})
predictor = estimator.create_model(name="watched").deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name="watched",
    serializer=CSVSerializer(),
    data_capture_config=DataCaptureConfig(
        enable_capture=True, sampling_percentage=100, destination_s3_uri=f"{bucket}/captured"
    ),
    wait=False,
)
session.wait_for_endpoint("watched", poll=0.05)
for number in range(0, 300, 2):
    session.sagemaker_runtime_client.invoke_endpoint(
        EndpointName="watched",
        ContentType="text/csv",
        Body=f"{number % 7},{number % 3}",
        InferenceId=str(number),
    )
while not S3Downloader.list(f"{bucket}/captured/watched"):
    time.sleep(0.2)

# Data: a baseline, a schedule that runs once, what it found.
header = "prediction,size,shape\n"
usual = header + "".join(f"{n % 5}.0,{n % 5},{n % 3}\n" for n in range(500))
monitor = DefaultModelMonitor(**ALONE, max_runtime_in_seconds=600)
monitor.suggest_baseline(uploaded("usual.csv", usual), DatasetFormat.csv(header=True), logs=False)
monitor.create_monitoring_schedule(
    monitor_schedule_name="data",
    endpoint_input="watched",
    output_s3_uri=f"{bucket}/reports",
    statistics=monitor.baseline_statistics(),
    constraints=monitor.suggested_constraints(),
    **ONCE,
)
execution = ended("data")
print(json.dumps(execution, default=str))
assert execution["MonitoringExecutionStatus"] == "CompletedWithViolations", execution
[listed] = monitor.list_executions()
assert monitor.latest_monitoring_statistics().body_dict["dataset"]["item_count"] == 150
found = monitor.latest_monitoring_constraint_violations().body_dict["violations"]
assert {one["constraint_check_type"] for one in found} == {"baseline_drift_check"}, found
monitor.update_monitoring_schedule(schedule_cron_expression=CronExpressionGenerator.hourly())
config = monitor.describe_schedule()["MonitoringScheduleConfig"]
assert config["ScheduleConfig"]["ScheduleExpression"] == "cron(0 * ? * * *)", config
monitor.stop_monitoring_schedule()
assert monitor.describe_schedule()["MonitoringScheduleStatus"] == "Stopped"
monitor.start_monitoring_schedule()
assert monitor.describe_schedule()["MonitoringScheduleStatus"] == "Scheduled"
again = DefaultModelMonitor.attach("data", sagemaker_session=session)
assert len(again.list_executions()) == 1
[alert] = monitor.list_monitoring_alerts()[0]
assert alert.alert_status == "InAlert", alert

# Scripts: records are made of requests, and something is done afterwards.
(work / "before.py").write_text(
    "import json\n\n\ndef preprocess_handler(inference_record):\n"
    "    size = inference_record.endpoint_input.data.split(',')[0]\n"
    "    return {'doubled': 2.0 * float(size)}\n"
)
(work / "after.py").write_text(
    "def postprocess_handler():\n"
    "    with open('/opt/ml/processing/output/after.txt', 'w') as file:\n"
    "        file.write('done')\n"
)
scripted = DefaultModelMonitor(**ALONE, max_runtime_in_seconds=600)
doubled = "doubled\n" + "".join(f"{2.0 * (n % 7)}\n" for n in range(500))
scripted.suggest_baseline(uploaded("doubled.csv", doubled), DatasetFormat.csv(), logs=False)
scripted.create_monitoring_schedule(
    monitor_schedule_name="scripted",
    endpoint_input="watched",
    record_preprocessor_script=str(work / "before.py"),
    post_analytics_processor_script=str(work / "after.py"),
    output_s3_uri=f"{bucket}/reports",
    statistics=scripted.baseline_statistics(),
    constraints=scripted.suggested_constraints(),
    **ONCE,
)
execution = ended("scripted")
print(json.dumps(execution, default=str))
assert execution["MonitoringExecutionStatus"] == "Completed", execution
[feature] = scripted.latest_monitoring_statistics().body_dict["features"]
assert feature["name"] == "doubled", feature
reported = scripted.list_executions()[0].output.destination
assert S3Downloader.read_file(f"{reported}/after.txt") == "done"

# Quality: labels that came later.
truth = "".join(
    json.dumps(
        {
            "groundTruthData": {"data": str(number % 7), "encoding": "CSV"},
            "eventMetadata": {"eventId": str(number)},
            "eventVersion": "0",
        }
    )
    + "\n"
    for number in range(0, 300, 2)
)
folder = f"{datetime.now(UTC):%Y/%m/%d/%H}"
S3Uploader.upload_string_as_file_body(truth, f"{bucket}/labels/{folder}/labels.jsonl")
known = "prediction,label\n" + "".join(f"{n % 7},{n % 7 + 0.1 * (n % 3)}\n" for n in range(400))
quality = ModelQualityMonitor(**ALONE, max_runtime_in_seconds=600, sagemaker_session=session)
quality.suggest_baseline(
    uploaded("known.csv", known),
    DatasetFormat.csv(header=True),
    problem_type="Regression",
    inference_attribute="prediction",
    ground_truth_attribute="label",
    logs=False,
).wait(logs=False)
quality.create_monitoring_schedule(
    monitor_schedule_name="quality",
    endpoint_input=EndpointInput(
        "watched", "/opt/ml/processing/input/endpoint", inference_attribute="0"
    ),
    ground_truth_input=f"{bucket}/labels",
    problem_type="Regression",
    output_s3_uri=f"{bucket}/reports",
    constraints=quality.suggested_constraints(),
    **ONCE,
)
execution = ended("quality")
print(json.dumps(execution, default=str))
assert execution["MonitoringExecutionStatus"].startswith("Completed"), execution
measured = quality.latest_monitoring_statistics().body_dict
assert measured["dataset"]["item_count"] == 150, measured["dataset"]
assert measured["regression_metrics"]["mae"]["value"] < 0.5, measured

# One's own program.
own = ModelMonitor(
    image_uri="python:3.11",
    entrypoint=["python3", "-c"],
    env={"answer": "42"},
    **ALONE,
)
program = "import os,pathlib;o=pathlib.Path(os.environ['output_path'],'told');o.write_text('42')"
own.create_monitoring_schedule(
    monitor_schedule_name="own",
    endpoint_input="watched",
    output=MonitoringOutput("/opt/ml/processing/output", f"{bucket}/reports"),
    arguments=[program],
    **ONCE,
)
execution = ended("own")
assert execution["MonitoringExecutionStatus"] == "Completed", execution
reported = own.list_executions()[0].output.destination
assert S3Downloader.read_file(f"{reported}/told") == "42"

# Batches: what a transform job read, by the manifests that it captured.
transformer = estimator.transformer(
    instance_count=1, instance_type="ml.m5.large", output_path=f"{bucket}/scores"
)
transformer.transform(
    uploaded("batch.csv", "".join(f"{n % 5},{n % 3}\n" for n in range(400))),
    content_type="text/csv",
    split_type="Line",
    batch_data_capture_config=BatchDataCaptureConfig(f"{bucket}/batches"),
    logs=False,
)
batches = DefaultModelMonitor(**ALONE, max_runtime_in_seconds=600)
rows = "".join(f"{n % 5 + 100},{n % 3}\n" for n in range(400))
plain = DatasetFormat.csv(header=False)
batches.suggest_baseline(uploaded("other.csv", rows), plain, logs=False)
batches.create_monitoring_schedule(
    monitor_schedule_name="batches",
    batch_transform_input=BatchTransformInput(
        f"{bucket}/batches",
        "/opt/ml/processing/input/batch",
        MonitoringDatasetFormat.csv(header=False),
    ),
    output_s3_uri=f"{bucket}/reports",
    statistics=batches.baseline_statistics(),
    constraints=batches.suggested_constraints(),
    **ONCE,
)
execution = ended("batches")
assert execution["MonitoringExecutionStatus"] == "CompletedWithViolations", execution
assert batches.latest_monitoring_statistics().body_dict["dataset"]["item_count"] == 400
found = batches.latest_monitoring_constraint_violations().body_dict["violations"]
assert {one["feature_name"] for one in found} == {"_c0"}, found

for one in (batches, own, quality, scripted, monitor):
    one.delete_monitoring_schedule()
assert session.list_monitoring_schedules()["MonitoringScheduleSummaries"] == []
print("MONITORED")
