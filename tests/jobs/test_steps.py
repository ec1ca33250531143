"""The pipeline steps that run jobs."""

from __future__ import annotations

import pytest
from tests.jobs.conftest import ACCOUNT, BUCKET, REGION, XGBOOST, job, processing, training

from clary.jobs.steps import ProcessingStep, TrainingStep, TransformStep
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.kernel.resource import Resource
from clary.kernel.steps import StepRun

EXECUTION = Ref(ACCOUNT, REGION, "pipeline-execution", "abalone/abcdefghijkl")
FILES = [{"PropertyFileName": "Report", "OutputName": "out", "FilePath": "r.json"}]


def start(world, kind, step, arguments):
    with world.store.begin() as change:
        if change.get(EXECUTION) is None:
            change.insert(Resource(EXECUTION, {}, now(), now()))
        return kind.start(StepRun(EXECUTION, step, arguments, "tester"), change)


def test_a_processing_step_runs_its_job(world):
    script = "import sys; open('/opt/ml/processing/out/r.json', 'w').write(sys.argv[1])"
    world.put("code/s.py", script)
    arguments = processing(
        "code/s.py",
        outputs=[("out", f"s3://{BUCKET}/out", "/opt/ml/processing/out", "EndOfJob")],
        Environment={"N": 3},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    arguments["AppSpecification"]["ContainerArguments"] = [0.5]
    kind = ProcessingStep(world.jobs)
    step = {"Name": "Prep_Step", "Type": "Processing", "PropertyFiles": FILES}
    kind.check({**step, "Arguments": arguments})
    begun = start(world, kind, step, arguments)
    assert (begun.status, begun.job.kind) == ("Executing", "processing-job")
    assert begun.job.name.startswith("pipelines-abcdefghijkl-Prep-Step-")
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/{begun.job.name}"
    assert begun.metadata == {"ProcessingJob": {"Arn": arn}}
    world.wait(begun.job)
    ended = kind.poll(begun.job)
    assert (ended.status, ended.files) == ("Succeeded", {"Report": "0.5"})
    outputs = ended.properties["ProcessingOutputConfig"]["Outputs"]
    assert outputs[0]["S3Output"]["S3Uri"] == f"s3://{BUCKET}/out"
    assert isinstance(ended.properties["CreationTime"], str)
    assert ended.properties["Environment"] == {"N": "3"}
    assert world.store.tags(begun.job) == {"a": "b"}
    kind.stop(begun.job)
    assert kind.poll(begun.job).status == "Succeeded"


def test_failures_stops_and_limits_are_told_apart(world):
    world.put("code/s.py", "import time; time.sleep(600)")
    kind = ProcessingStep(world.jobs)
    limited = processing("code/s.py", StoppingCondition={"MaxRuntimeInSeconds": 1})
    late = start(world, kind, {"Name": "late"}, limited)
    stopped = start(world, kind, {"Name": "stopped"}, processing("code/s.py"))
    kind.stop(stopped.job)
    failed = start(world, kind, {"Name": "failed"}, processing("code/none.py"))
    for one in (late, stopped, failed):
        world.wait(one.job)
    assert kind.poll(late.job).status == "Failed"
    assert "MaxRuntimeInSeconds" in kind.poll(late.job).reason
    assert kind.poll(stopped.job).status == "Stopped"
    assert kind.poll(failed.job).status == "Failed"
    assert "no object at" in kind.poll(failed.job).reason
    missing = kind.poll(job("processing", "none"))
    assert (missing.status, missing.reason) == ("Failed", "processing-job none does not exist")
    kind.stop(job("processing", "none"))


def test_hyperparameters_may_be_numbers(bare_world):
    request = training(XGBOOST.format("1.5-1"), {"train": f"s3://{BUCKET}/d"}, {"num_round": 5})
    begun = start(bare_world, TrainingStep(bare_world.jobs), {"Name": "t"}, request)
    assert bare_world.jobs.describe(begun.job)["HyperParameters"] == {"num_round": "5"}
    assert bare_world.jobs.get(begun.job).parent == EXECUTION


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            {"Arguments": {"AppSpecification": {"ImageUri": "tensorflow:2"}}},
            "Arguments.AppSpecification.ImageUri: 'tensorflow:2' is no image",
        ),
        ({"PropertyFiles": FILES}, "PropertyFiles.0.OutputName: 'out' is no output of the step"),
        ({"PropertyFiles": [{"OutputName": "x"}]}, "PropertyFiles.0.PropertyFileName"),
    ],
)
def test_steps_that_can_never_run_are_refused(bare_world, step, words):
    with pytest.raises(InvalidInput, match=words):
        ProcessingStep(bare_world.jobs).check(step)
    TransformStep(bare_world.jobs).check({"Arguments": {}})
