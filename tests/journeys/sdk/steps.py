"""A pipeline of functions by the SDK's own ``@step``: values, conditions, parameters, retries."""

from __future__ import annotations

import sys
import time

import sagemaker
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThan
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.function_step import step
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.retry import SageMakerJobExceptionTypeEnum, SageMakerJobStepRetryPolicy

SETTINGS = {"instance_type": "ml.m5.large"}
RETRY = SageMakerJobStepRetryPolicy(
    exception_types=[SageMakerJobExceptionTypeEnum.INTERNAL_ERROR], max_attempts=2
)


@step(name="Rows", **SETTINGS)
def rows(count):
    import pandas as pd  # noqa: PLC0415 - where the function runs

    frame = pd.DataFrame({"x": range(count)})
    return frame, {"count": count}


@step(name="Mean", retry_policies=[RETRY], **SETTINGS)
def mean(frame, facts, offset):
    assert facts["count"] == len(frame)
    return float(frame.x.mean()) + offset


@step(name="Report", **SETTINGS)
def report(value):
    return f"the mean is {value}"


count = ParameterInteger(name="Count", default_value=5)
threshold = ParameterFloat(name="Threshold", default_value=1.0)
made = rows(count)
middle = mean(made[0], made[1], 0.5)
said = report(middle)
decide = ConditionStep(
    name="Decide",
    conditions=[ConditionGreaterThan(left=middle, right=threshold)],
    if_steps=[said],
    else_steps=[FailStep(name="TooSmall", error_message="the mean is too small")],
)
pipeline = Pipeline(name="functions", parameters=[count, threshold], steps=[decide])
pipeline.upsert(role_arn=sagemaker.get_execution_role())


def ended(execution):
    while execution.describe()["PipelineExecutionStatus"] in {"Executing", "Stopping"}:
        time.sleep(0.5)
    return execution


first = ended(pipeline.start())
for one in first.list_steps():
    print(one["StepName"], one["StepStatus"], one.get("FailureReason", ""))
assert first.result("Report") == "the mean is 2.5", first.describe()
if "both" in sys.argv:
    second = ended(pipeline.start(parameters={"Threshold": 100.0}))
    status = {one["StepName"]: one["StepStatus"] for one in second.list_steps()}
    assert status["TooSmall"] == "Failed", status
    assert "Report" not in status
print("STEPS", first.describe()["PipelineExecutionStatus"])
