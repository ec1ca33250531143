"""Bias measured by the unmodified SDK: of data, or of a model's predictions."""

from __future__ import annotations

import json
import sys

import sagemaker
from sagemaker import clarify
from sagemaker.model_monitor import ModelBiasMonitor
from sagemaker.s3 import S3Downloader, S3Uploader

ROLE = "arn:aws:iam::123456789012:role/ClaryRole"
what, path, columns = sys.argv[1:4]
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
    facet_name="F1",
    facet_values_or_threshold=[0.5],
    group_name="F2",
)
if what == "data":
    processor = clarify.SageMakerClarifyProcessor(**machines, sagemaker_session=session)
    processor.run_pre_training_bias(data, bias, methods="all", logs=False)
else:
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
    constraints = monitor.suggested_constraints()
    print("\nCONSTRAINTS", constraints.file_s3_uri)
    client = session.sagemaker_client
    left = client.list_endpoints()["Endpoints"], client.list_endpoint_configs()["EndpointConfigs"]
    print("LEFT", *left)
found = S3Downloader.read_file(f"s3://{bucket}/bias/{what}/out/analysis.json")
print("\nANALYSIS", json.dumps(json.loads(found)))
