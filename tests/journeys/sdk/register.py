"""Train and register through the SageMaker SDK, as a notebook does: no pipeline."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Uploader

session = sagemaker.Session()
rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
data = Path(tempfile.mkdtemp()) / "rows.csv"
data.write_text(rows)
uploaded = S3Uploader.upload(str(data), f"s3://{session.default_bucket()}/register")
estimator = Estimator(
    image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.2-1"),
    role=sagemaker.get_execution_role(),
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"s3://{session.default_bucket()}/register/models",
    sagemaker_session=session,
)
estimator.set_hyperparameters(num_round=3, objective="reg:squarederror")
estimator.fit({"train": TrainingInput(uploaded, content_type="text/csv")})
registered = [
    estimator.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"],
        model_package_group_name="registered-by-estimator",
        approval_status=status,
    ).model_package_arn
    for status in ("PendingManualApproval", "Approved")
]
model = estimator.create_model()
registered.append(
    model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        model_package_group_name="registered-by-model",
    ).model_package_arn
)
for _ in range(2):  # a notebook's cell run again
    session.create_model("again", sagemaker.get_execution_role(), model.prepare_container_def())
print("REGISTERED", *registered)
