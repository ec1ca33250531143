"""The pipeline steps that run jobs."""

from __future__ import annotations

import pytest
from tests.jobs.conftest import (
    ACCOUNT,
    BUCKET,
    REGION,
    SKLEARN,
    XGBOOST,
    job,
    processing,
    training,
)

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


def key_of(world, kind, arguments, name="Prep"):
    return kind.key(StepRun(EXECUTION, {"Name": name}, arguments, "tester"))


def given(name, key):
    return (name, f"s3://{BUCKET}/{key}", f"/opt/ml/processing/{name}", {})


def test_a_key_has_content_in_place_of_places(bare_world):
    world, kind = bare_world, ProcessingStep(bare_world.jobs)
    world.put("code/s.py", "1")
    world.put("other/s.py", "1")
    world.put("in1/a.csv", "data")
    world.put("in2/a.csv", "data")
    first = processing("code/s.py", inputs=[given("raw", "in1/")], outputs=[out("o1")])
    key = key_of(world, kind, {**first, "Tags": [{"Key": "a", "Value": "b"}]})
    second = processing("other/s.py", inputs=[given("raw", "in2/")], outputs=[out("o2")])
    second["RoleArn"] = f"arn:aws:iam::{ACCOUNT}:role/Other"
    assert key == key_of(world, kind, second, name="Other")
    assert key["inputs"]["raw"].startswith("sha256:")
    assert key["code"]["code"].endswith(" s.py")
    assert key["environment"]["image"] == "sagemaker-scikit-learn 1.2-1-cpu-py3"
    world.put("in1/a.csv", "other data")
    assert key != (changed := key_of(world, kind, first))
    assert changed["code"] == key["code"]
    world.put("in1/a.csv", "data")
    assert key == key_of(world, kind, first)
    world.put("in1/b.csv", "more")
    assert key != key_of(world, kind, first)
    first["Environment"] = {"A": "1"}
    assert key["arguments"] != key_of(world, kind, first)["arguments"]


def out(prefix):
    return ("out", f"s3://{BUCKET}/{prefix}", "/opt/ml/processing/out", "EndOfJob")


def test_files_that_nobody_digested_count_by_content(bare_world):
    world, kind = bare_world, ProcessingStep(bare_world.jobs)
    world.put("code/s.py", "1")
    folder = world.home / "buckets" / BUCKET / "in"
    folder.mkdir()
    arguments = processing("code/s.py", inputs=[given("raw", "in/")])
    keys = []
    for text in ("a", "b"):
        (folder / "x.csv").write_text(text)
        keys.append(key_of(world, kind, arguments)["inputs"]["raw"])
    assert keys[0] != keys[1]


def test_no_key_without_its_inputs(bare_world):
    assert key_of(bare_world, ProcessingStep(bare_world.jobs), processing("code/s.py")) is None


def test_a_training_key_has_no_names_and_no_output(bare_world):
    world, kind = bare_world, TrainingStep(bare_world.jobs)
    world.put("d/a.csv", "1")
    world.put("src/1/sourcedir.tar.gz", "code")
    world.put("src/2/sourcedir.tar.gz", "code")

    def request(version, channel="d"):
        parameters = {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"s3://{BUCKET}/src/{version}/sourcedir.tar.gz"',
            "sagemaker_job_name": f'"job-{version}"',
        }
        made = training(SKLEARN, {"train": f"s3://{BUCKET}/{channel}"}, parameters)
        made["OutputDataConfig"] = {"S3OutputPath": f"s3://{BUCKET}/{version}"}
        return made

    assert key_of(world, kind, request(1)) == key_of(world, kind, request(2), name="Other")
    parameters = key_of(world, kind, request(1))["arguments"]["HyperParameters"]
    assert parameters["sagemaker_submit_directory"] == "the content of code"
    assert "sagemaker_job_name" not in parameters
    world.put("e/b.csv", "1")
    assert key_of(world, kind, request(1)) != key_of(world, kind, request(1, "e"))


def test_what_a_job_made_is_known_by_its_place(world):
    script = "import pathlib; p = pathlib.Path('/opt/ml/processing/out/d'); p.mkdir()\n"
    script += "(p / 'a').write_text('1'); (p / 'b').write_text('2')"
    world.put("code/s.py", script)
    kind = ProcessingStep(world.jobs)
    arguments = processing("code/s.py", outputs=[out("o/")])
    begun = start(world, kind, {"Name": "Prep"}, arguments)
    world.wait(begun.job)
    assert kind.made(begun.job) == {
        f"s3://{BUCKET}/o/d/{name}": world.objects.stat(BUCKET, f"o/d/{name}").sha256
        for name in "ab"
    }
    xgboost = training(XGBOOST.format("1.5-1"), {"train": f"s3://{BUCKET}/t"}, {"num_round": "1"})
    world.put("t/a.csv", "1,2\n2,4\n")
    trained = start(world, TrainingStep(world.jobs), {"Name": "Train"}, xgboost)
    world.wait(trained.job)
    result = TrainingStep(world.jobs).poll(trained.job)
    model = result.properties["ModelArtifacts"]["S3ModelArtifacts"]
    assert set(TrainingStep(world.jobs).made(trained.job)) == {model}


def test_a_step_s_job_joins_the_execution_s_experiment(bare_world):
    kind = ProcessingStep(bare_world.jobs)
    experiment = {"ExperimentName": "e", "TrialName": "t"}
    with bare_world.store.begin() as change:
        run = StepRun(EXECUTION, {"Name": "P"}, processing("code/s.py"), "tester", 0, experiment)
        begun = kind.start(run, change)
    config = bare_world.jobs.describe(begun.job)["ExperimentConfig"]
    assert config == {**experiment, "TrialComponentDisplayName": "P"}


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        ("InternalServerError: a process vanished, 3 times", "SageMaker.JOB_INTERNAL_ERROR"),
        ("AlgorithmError: OutOfMemory: the process exceeded", "SageMaker.CAPACITY_ERROR"),
        ("AlgorithmError: the disk is full; x", "SageMaker.CAPACITY_ERROR"),
        (
            "ClientError: they take 9 bytes, the disk has 1 to spare",
            "SageMaker.CAPACITY_ERROR",
        ),
        ("AlgorithmError: ValueError: no rows, exit code: 1", ""),
    ],
)
def test_failures_have_the_words_of_retry_policies(bare_world, failure, word):
    ref = job("processing", "x")
    body = {"request": {}, "actor": "a", "uid": "u", "failure": failure, "stage": "Ended"}
    with bare_world.store.begin() as change:
        change.insert(Resource(ref, body, now(), now(), "Failed"))
    assert ProcessingStep(bare_world.jobs).poll(ref).error == word


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
