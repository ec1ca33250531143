"""A data flow as a processing step of the SageMaker SDK; what it writes trains XGBoost."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.s3 import S3Uploader
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

session = PipelineSession()
role = sagemaker.get_execution_role()
root = f"s3://{session.default_bucket()}/flow"
flow, rides = (S3Uploader.upload(one, f"{root}/{Path(one).name}") for one in sys.argv[1:])
machines = {"role": role, "instance_count": 1, "instance_type": "ml.m5.large"}

data = ParameterString("Rides", rides)
base = "/opt/ml/processing"
wrangler = Processor(
    image_uri=f"python:{os.environ['FLOW_PYTHON']}",
    entrypoint=[
        *("python3", "-m", "clary", "flow", "run", f"{base}/flow/rides.flow.json"),
        *("--source", f"rides={base}/rides/rides.csv"),
    ],
    **machines,
    sagemaker_session=session,
)
ready = ProcessingStep(
    "Wrangle",
    step_args=wrangler.run(
        inputs=[
            ProcessingInput(flow, f"{base}/flow"),
            ProcessingInput(data, f"{base}/rides"),
        ],
        outputs=[
            ProcessingOutput(f"{base}/train", output_name="train"),
            ProcessingOutput(f"{base}/flow", output_name="learned"),
        ],
    ),
)
estimator = Estimator(
    image_uri=retrieve("xgboost", os.environ["AWS_REGION"], version="1.7-1"),
    output_path=f"{root}/models",
    hyperparameters={"num_round": 30, "objective": "reg:squarederror"},
    **machines,
    sagemaker_session=session,
)
rows = ready.properties.ProcessingOutputConfig.Outputs["train"].S3Output.S3Uri
train = TrainingStep(
    "Train",
    step_args=estimator.fit({"train": TrainingInput(rows, content_type="text/csv")}),
)
pipeline = Pipeline("flow", [data], steps=[ready, train], sagemaker_session=session)
pipeline.upsert(role_arn=role)
execution = pipeline.start()
while execution.describe()["PipelineExecutionStatus"] == "Executing":
    time.sleep(0.2)
for one in execution.list_steps():
    print(one["StepName"], one["StepStatus"], one.get("FailureReason", ""))
    for kind in one["Metadata"].values():
        print("JOB", kind["Arn"])
