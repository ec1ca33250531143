"""Tune through the SageMaker SDK, as a notebook does, and in a pipeline."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.s3 import S3Uploader
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperparameterTuner,
    IntegerParameter,
    WarmStartConfig,
    WarmStartTypes,
)
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import CacheConfig, TuningStep

IMAGE = retrieve("xgboost", os.environ["AWS_REGION"], version="1.2-1")
ROLE = sagemaker.get_execution_role()
session = sagemaker.Session()
bucket = session.default_bucket()
rows = "".join(f"{n % 7},{n % 7},{n % 3}\n" for n in range(60))
data = Path(tempfile.mkdtemp()) / "rows.csv"
data.write_text(rows)
uploaded = TrainingInput(
    S3Uploader.upload(str(data), f"s3://{bucket}/tune"), content_type="text/csv"
)
inputs = {"train": uploaded, "validation": uploaded}


def estimator(in_session):
    made = Estimator(
        image_uri=IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"s3://{bucket}/tune/models",
        sagemaker_session=in_session,
    )
    made.set_hyperparameters(num_round=3, objective="reg:squarederror")
    return made


RANGES = {
    "eta": ContinuousParameter(0.05, 0.9, scaling_type="Logarithmic"),
    "max_depth": IntegerParameter(1, 6),
    "booster": CategoricalParameter(["gbtree", "dart"]),
}


def tuner(in_session, **more):
    settings = {"max_jobs": 3, "max_parallel_jobs": 2, "objective_type": "Minimize", **more}
    return HyperparameterTuner(estimator(in_session), "validation:rmse", RANGES, **settings)


first = tuner(session, random_seed=3)
first.fit(inputs, job_name="first")
frame = first.analytics().dataframe()
best = first.best_training_job()
attached = HyperparameterTuner.attach(first.latest_tuning_job.name, sagemaker_session=session)
warm = tuner(
    session,
    max_jobs=2,
    warm_start_config=WarmStartConfig(
        WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM, parents={first.latest_tuning_job.name}
    ),
)
warm.fit(inputs, job_name="warm", wait=False)
session.wait_for_tuning_job("warm", poll=0.2)
grid = HyperparameterTuner(
    estimator(session),
    "validation:rmse",
    {"booster": CategoricalParameter(["gbtree", "dart"])},
    strategy="Grid",
    max_jobs=2,
    objective_type="Minimize",
)
grid.fit(inputs, job_name="grid", wait=False)
session.wait_for_tuning_job("grid", poll=0.2)
several = HyperparameterTuner.create(
    estimator_dict={"plain": estimator(session), "other": estimator(session)},
    objective_metric_name_dict={"plain": "validation:rmse", "other": "validation:rmse"},
    hyperparameter_ranges_dict={
        "plain": {"eta": RANGES["eta"]},
        "other": {"max_depth": RANGES["max_depth"]},
    },
    strategy="Random",
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
)
several.fit({"plain": inputs, "other": inputs}, "several", include_cls_metadata={}, wait=False)
session.wait_for_tuning_job("several", poll=0.2)
names = [one["TrainingJobDefinitionName"] for one in several.analytics().training_job_summaries()]

in_pipeline = PipelineSession()
most = ParameterInteger(name="MostJobs", default_value=2)
step = TuningStep(
    "Tune",
    step_args=tuner(in_pipeline, max_jobs=most).fit(inputs),
    cache_config=CacheConfig(enable_caching=True, expire_after="P1D"),
)
model = Model(
    image_uri=IMAGE,
    model_data=step.get_top_model_s3_uri(top_k=0, s3_bucket=bucket, prefix="tune/models"),
    role=ROLE,
    sagemaker_session=in_pipeline,
)
pipeline = Pipeline(
    "tuned",
    parameters=[most],
    steps=[step, ModelStep("Made", step_args=model.create("ml.m5.large"))],
    sagemaker_session=in_pipeline,
)
pipeline.upsert(ROLE)
execution = pipeline.start()
execution.wait(delay=1, max_attempts=300)
again = pipeline.start()
again.wait(delay=1, max_attempts=300)
print(
    "TUNED",
    json.dumps(
        {
            "tuning": first.latest_tuning_job.name,
            "best": best,
            "values": list(frame["FinalObjectiveValue"]),
            "jobs": list(frame["TrainingJobName"]),
            "attached": attached.best_training_job(),
            "estimator": first.best_estimator().latest_training_job.name,
            "warm": warm.describe()["OverallBestTrainingJob"]["TrainingJobName"],
            "own": warm.best_training_job(),
            "grid": len(grid.analytics().training_job_summaries()),
            "algorithms": sorted(names),
            "execution": execution.arn,
            "again": again.arn,
        }
    ),
)
