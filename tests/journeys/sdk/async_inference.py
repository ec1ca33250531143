"""Deploy a model that answers in objects through the SageMaker SDK, and ask it."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.deserializers import JSONDeserializer, StringDeserializer
from sagemaker.exceptions import AsyncInferenceModelError
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import JSONSerializer
from sagemaker.sklearn.model import SKLearnModel

SCRIPT = b"""
import json
def model_fn(folder): return sum
def input_fn(data, content_type): return json.loads(data)
def predict_fn(rows, model):
    if rows == "bad": raise ValueError("these are no rows")
    return [model(row) for row in rows]
def output_fn(sums, accept): return json.dumps(sums), "application/json"
"""
session = sagemaker.Session()
folder = Path(tempfile.mkdtemp())
(folder / "inference.py").write_bytes(SCRIPT)
with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("empty"), io.BytesIO())
where = f"s3://{session.default_bucket()}/later"
model = SKLearnModel(
    model_data=S3Uploader.upload(str(folder / "model.tar.gz"), where),
    role=sagemaker.get_execution_role(),
    entry_point=str(folder / "inference.py"),
    framework_version="1.2-1",
    sagemaker_session=session,
)
predictor = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name="later",
    serializer=JSONSerializer(),
    deserializer=JSONDeserializer(),
    async_inference_config=AsyncInferenceConfig(
        output_path=f"{where}/out",
        failure_path=f"{where}/failed",
        max_concurrent_invocations_per_instance=4,
    ),
    wait=False,  # it would sleep for 30 seconds first
)
session.wait_for_endpoint("later", poll=0.05)
soon = WaiterConfig(max_attempts=3, delay=1)  # it goes on to look for the other object
assert predictor.predict([[1, 2], [3, 4]], waiter_config=soon) == [3, 7]
promised = [predictor.predict_async([[n, 1]]) for n in range(2)]
assert [one.get_result(soon) for one in promised] == [[n + 1] for n in range(2)]
predictor.deserializer = StringDeserializer()  # the SDK reads what went wrong with it too
try:
    answer = predictor.predict("bad", waiter_config=soon)
except AsyncInferenceModelError as error:
    answer = str(error)
assert "these are no rows" in answer, answer
predictor.delete_endpoint()
print("ANSWERED", promised[0].output_path)
