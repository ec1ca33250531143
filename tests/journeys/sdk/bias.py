"""Bias before training, measured by the unmodified SDK."""

from __future__ import annotations

import json
import sys

import sagemaker
from sagemaker import clarify
from sagemaker.s3 import S3Downloader, S3Uploader

session = sagemaker.Session()
bucket = session.default_bucket()
data = S3Uploader.upload(sys.argv[1], f"s3://{bucket}/bias/data")
processor = clarify.SageMakerClarifyProcessor(
    role="arn:aws:iam::123456789012:role/ClaryRole",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    sagemaker_session=session,
)
processor.run_pre_training_bias(
    data_config=clarify.DataConfig(
        s3_data_input_path=data,
        s3_output_path=f"s3://{bucket}/bias/out",
        label="Label",
        headers=["Label", "F1", "F2", "F3", "F4"],
        dataset_type="text/csv",
    ),
    data_bias_config=clarify.BiasConfig(
        label_values_or_threshold=[1],
        facet_name="F1",
        facet_values_or_threshold=[0.5],
        group_name="F2",
    ),
    methods="all",
    logs=False,
)
found = json.loads(S3Downloader.read_file(f"s3://{bucket}/bias/out/analysis.json"))
print("\nANALYSIS", json.dumps(found))
