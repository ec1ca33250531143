"""Batch transform through the SageMaker SDK: a model, models in a row, captures."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import BatchDataCaptureConfig, TrainingInput
from sagemaker.pipeline import PipelineModel
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.sklearn.model import SKLearnModel

SCRIPT = """
def model_fn(folder):
    return None
def input_fn(body, content_type):
    return [[float(x) for x in line.split(",")] for line in body.splitlines()]
def predict_fn(rows, model):
    return [[x / 10 for x in row] for row in rows]
def output_fn(rows, accept):
    assert accept == "text/csv", accept
    return "".join(",".join(map(str, row)) + "\\n" for row in rows), accept
"""
session = sagemaker.Session()
role = sagemaker.get_execution_role()
root = f"s3://{session.default_bucket()}/transform"
folder = Path(tempfile.mkdtemp())


def upload(name, text):
    (folder / name).write_text(text)
    return S3Uploader.upload(str(folder / name), f"{root}/{name.partition('.')[0]}")


def ended(kind, name):
    """Wait for a job; the SDK would look every ten seconds."""
    word = kind.capitalize()
    describe = getattr(session.sagemaker_client, f"describe_{kind}_job")
    while (status := describe(**{f"{word}JobName": name})[f"{word}JobStatus"]) == "InProgress":
        time.sleep(0.1)
    assert status == "Completed", describe(**{f"{word}JobName": name})


estimator = Estimator(
    image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.7-1"),
    role=role,
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"{root}/models",
    sagemaker_session=session,
)
estimator.set_hyperparameters(num_round=3, objective="reg:squarederror")
rows = [f"{n % 7},{n % 3}" for n in range(60)]
train = upload("train.csv", "".join(f"{n % 5},{row}\n" for n, row in enumerate(rows)))
estimator.fit({"train": TrainingInput(train, content_type="text/csv")}, wait=False)
ended("training", estimator.latest_training_job.name)

batch = upload("batch.csv", "".join(f"{n},{row}\n" for n, row in enumerate(rows[:9])))
alone = estimator.transformer(
    1, "ml.m5.large", output_path=f"{root}/alone", assemble_with="Line", accept="text/csv"
)
captured = BatchDataCaptureConfig(f"{root}/captured", generate_inference_id=True)
alone.transform(
    batch,
    content_type="text/csv",
    split_type="Line",
    input_filter="$[1:]",
    join_source="Input",
    output_filter="$[0,-1]",
    batch_data_capture_config=captured,
    logs=False,
)

(folder / "inference.py").write_text(SCRIPT)
scaling = SKLearnModel(
    estimator.model_data,
    role=role,
    entry_point=str(folder / "inference.py"),
    framework_version="1.2-1",
    env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"},
    sagemaker_session=session,
)
row = PipelineModel([scaling, estimator.create_model()], role, sagemaker_session=session)
tenfold = upload("tenfold.csv", "".join(f"{10 * (n % 7)},{10 * (n % 3)}\n" for n in range(9)))
together = row.transformer(
    2,
    "ml.m5.large",
    output_path=f"{root}/together",
    assemble_with="Line",
    accept="text/csv",
    strategy="SingleRecord",
    max_concurrent_transforms=2,
)
together.transform(tenfold, content_type="text/csv", split_type="Line", wait=False)
ended("transform", together.latest_transform_job.name)

first = S3Downloader.read_file(f"{root}/alone/batch.csv.out", session).splitlines()
second = S3Downloader.read_file(f"{root}/together/tenfold.csv.out", session).splitlines()
assert [line.split(",")[0] for line in first] == [str(n) for n in range(9)], first
assert [float(line.split(",")[1]) for line in first] == [float(line) for line in second]
print("CAPTURED", *sorted(S3Downloader.list(f"{root}/captured", session)))
print("IDS", *(line.split(",")[2] for line in first))
