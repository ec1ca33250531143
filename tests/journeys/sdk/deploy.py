"""Train, deploy, predict, update and delete through the SageMaker SDK, as a notebook does."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.model import ModelPackage
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import CSVSerializer

WAYS = {"serializer": CSVSerializer(), "deserializer": CSVDeserializer()}
session = sagemaker.Session()
role = sagemaker.get_execution_role()
rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
data = Path(tempfile.mkdtemp()) / "rows.csv"
data.write_text(rows)
uploaded = S3Uploader.upload(str(data), f"s3://{session.default_bucket()}/deploy")
estimator = Estimator(
    image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.7-1"),
    role=role,
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"s3://{session.default_bucket()}/deploy/models",
    sagemaker_session=session,
)
estimator.set_hyperparameters(num_round=8, eta=0.9, objective="reg:squarederror")
estimator.fit({"train": TrainingInput(uploaded, content_type="text/csv")})

model = estimator.create_model(name="deployed-model")
predictor = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name="deployed-by-model",
    wait=False,  # it would sleep for 30 seconds first
    **WAYS,
)
session.wait_for_endpoint("deployed-by-model", poll=0.05)
answers = [float(row[0]) for row in predictor.predict([[6, 0], [1, 1], [3, 2]])]
assert [round(answer) for answer in answers] == [6, 1, 3], answers

predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large", wait=False)
session.wait_for_endpoint("deployed-by-model", poll=0.05)
described = session.describe_endpoint("deployed-by-model")
assert described["EndpointStatus"] == "InService"
assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
again = [float(row[0]) for row in predictor.predict([[6, 0], [1, 1], [3, 2]])]
assert again == answers

package = estimator.register(
    content_types=["text/csv"],
    response_types=["text/csv"],
    inference_instances=["ml.m5.large"],
    transform_instances=["ml.m5.large"],
    model_package_group_name="deployed",
    approval_status="Approved",
)
registered = ModelPackage(
    role=role, model_package_arn=package.model_package_arn, sagemaker_session=session
)
began = time.monotonic()
registered.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name="deployed-by-package",
    wait=False,
)
session.wait_for_endpoint("deployed-by-package", poll=0.05)
print(f"a registered model was deployed in {time.monotonic() - began:.2f} s")
second = sagemaker.Predictor("deployed-by-package", session, **WAYS)
assert [float(row[0]) for row in second.predict([[6, 0], [1, 1], [3, 2]])] == answers

predictor.delete_model()
predictor.delete_endpoint(delete_endpoint_config=True)
second.delete_endpoint()
print("DEPLOYED", package.model_package_arn)
