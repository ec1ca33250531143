"""Lambda and Callback steps, and a pipeline on a schedule, through the SageMaker SDK."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import boto3
import sagemaker
from sagemaker.lambda_helper import Lambda
from sagemaker.workflow.callback_step import (
    CallbackOutput,
    CallbackOutputTypeEnum,
    CallbackStep,
)
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.triggers import PipelineSchedule

SPLIT = """
import boto3

def split(event, context):
    assert boto3.client("sts").get_caller_identity()["Account"]
    return {"statusCode": 200, "train": event["data"] + "/train", "rows": 80}
"""
ANSWER = """
import json
import boto3

def answer(event, context):
    sagemaker = boto3.client("sagemaker")
    for record in event["Records"]:
        message = json.loads(record["body"])
        sagemaker.send_pipeline_execution_step_success(
            CallbackToken=message["token"],
            OutputParameters=[
                {"Name": "labels", "Value": message["arguments"]["train"] + ".labels"},
                {"Name": "count", "Value": str(message["arguments"]["rows"])},
            ],
        )
"""

session = sagemaker.Session()
role = sagemaker.get_execution_role()
sqs = boto3.client("sqs")
queue = sqs.create_queue(QueueName="labelling")["QueueUrl"]
folder = Path(tempfile.mkdtemp())
(folder / "split.py").write_text(SPLIT)
with zipfile.ZipFile(folder / "answer.zip", "w") as package:
    package.writestr("answer.py", ANSWER)

data = ParameterString("Data", default_value="s3://data/abalone")
split = LambdaStep(
    name="Split",
    lambda_func=Lambda(
        function_name="split",
        execution_role_arn=role,
        script=str(folder / "split.py"),
        handler="split.split",
        runtime="python3.11",
        session=session,
    ),
    inputs={"data": data},
    outputs=[
        LambdaOutput("train", LambdaOutputTypeEnum.String),
        LambdaOutput("rows", LambdaOutputTypeEnum.Integer),
    ],
)
label = CallbackStep(
    name="Label",
    sqs_queue_url=queue,
    inputs={"train": split.properties.Outputs["train"], "rows": split.properties.Outputs["rows"]},
    outputs=[
        CallbackOutput("labels", CallbackOutputTypeEnum.String),
        CallbackOutput("count", CallbackOutputTypeEnum.Integer),
    ],
)
few = FailStep("Few", error_message="too few labels")
enough = ConditionStep(
    name="Enough",
    conditions=[ConditionGreaterThanOrEqualTo(label.properties.Outputs["count"], 80)],
    if_steps=[],
    else_steps=[few],
)
pipeline = Pipeline(
    name="HandOver", parameters=[data], steps=[split, label, enough], sagemaker_session=session
)
for _ in range(2):  # the second time the function is updated
    pipeline.upsert(role_arn=role)
execution = pipeline.start()

helper = Lambda(
    function_name="answer",
    execution_role_arn=role,
    zipped_code_dir=str(folder / "answer.zip"),
    s3_bucket=session.default_bucket(),
    handler="answer.answer",
    runtime="python3.11",
    session=session,
)
helper.upsert()
(message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
event = {"Records": [{"body": message["Body"]}]}
done = boto3.client("lambda").invoke(FunctionName="answer", Payload=json.dumps(event))
if "FunctionError" in done:
    sys.exit(done["Payload"].read().decode())
helper.delete()
execution.wait(delay=1, max_attempts=120)
metadata = {step["StepName"]: step["Metadata"] for step in execution.list_steps()}
outputs = metadata["Label"]["Callback"]["OutputParameters"]
print("OUTPUTS", json.dumps({one["Name"]: one["Value"] for one in outputs}))

triggers = [
    PipelineSchedule(name="nightly", cron="0 2 * * ? *"),
    PipelineSchedule(name="often", rate=(1, "hour"), enabled=False),
]
arns = pipeline.put_triggers(triggers, role_arn=role)
pipeline.put_triggers([PipelineSchedule(name="nightly", cron="0 3 * * ? *")], role_arn=role)
nightly = pipeline.describe_trigger("nightly")
often = pipeline.describe_trigger("often")
pipeline.delete_triggers(["nightly", "often", "never"])
print("ARNS", json.dumps(sorted(arns)))
print("NIGHTLY", json.dumps(nightly))
print("STATE", often["Schedule_State"])
print("REGION", os.environ["AWS_REGION"])
