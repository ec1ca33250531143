"""Environments on a real builder, from an index of wheels written here, and real jobs in them."""

from __future__ import annotations

import pytest
from tests.jobs import wheels
from tests.jobs.conftest import BUCKET, SKLEARN, archive, job, processing, training

USES_IT = """
import importlib.metadata as m, os, sys
print("little", m.version("little"), sys.prefix == os.environ["VIRTUAL_ENV"])
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = wheels.use(tmp_path / "index", tmp_path / "cache", monkeypatch)
    wheels.write_wheel(folder, "little", "1.0")
    wheels.write_wheel(folder, "little", "2.0")
    wheels.write_wheel(folder, "needy", "1.0", requires=["little<2"])
    return folder


def in_environment(image, key="code/uses.py", **more):
    request = processing(key, **more)
    request["AppSpecification"]["ImageUri"] = image
    return request


def test_a_job_runs_in_the_environment_that_its_image_names(world, index):
    world.put("code/uses.py", USES_IT)
    image = world.environments.define(["needy"])
    done = world.run(job("processing", "one"), in_environment(f"any.registry/{image}"))
    assert done["ProcessingJobStatus"] == "Completed", done
    log = world.log(job("processing", "one"))
    assert log[0].startswith(f"Building the environment {image}: cloudpickle==")
    assert log[-1] == "little 1.0 True"
    ran = world.jobs.ran(job("processing", "one"))
    assert ran["needy"] == "1.0"
    assert len(ran["lock"]) == 64
    assert world.environments.get(image).definition.built == ran["environment"]
    world.run(job("processing", "two"), in_environment(image))
    assert world.log(job("processing", "two")) == ["little 1.0 True"]


def script_job(world, requirements, name="script"):
    files = {
        "train.py": "import little; print(little.__version__)",
        "requirements.txt": requirements,
    }
    world.put("src.tar.gz", archive(files))
    request = training(
        SKLEARN,
        {},
        {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{BUCKET}/src.tar.gz",
        },
    )
    request["AlgorithmSpecification"]["TrainingImage"] = "python:3"
    del request["InputDataConfig"]
    return world.run(job("training", name), request)


def test_a_source_archive_brings_its_requirements(world, index):
    done = script_job(world, "# mine\nlittle < 2  # not the new one\n")
    assert done["TrainingJobStatus"] == "Completed", done
    assert world.log(job("training", "script"))[-1] == "1.0"


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        ("no-such-package==1.0\n", "no-such-package was not found"),
        ("little>=3\n", "little<=2.0"),
        ("little<2\nlittle>=2", "little"),
        ("\n--index-url https://user:secret@example.org/simple\n", "requirements.txt, line 2"),
        ("little @ file:///etc/passwd", "requirements.txt, line 1"),
    ],
)
def test_what_cannot_be_met_is_said_in_the_reason_and_in_the_log(
    world, index, requirements, problem
):
    done = script_job(world, requirements)
    assert done["TrainingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("ClientError: requirements")
    assert problem in done["FailureReason"]
    assert str(index) not in done["FailureReason"]
