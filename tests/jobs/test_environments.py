"""Environments on a real builder, from an index of wheels written here, and real jobs in them."""

from __future__ import annotations

import fcntl
import time

import pytest
from tests.jobs import wheels
from tests.jobs.conftest import BUCKET, SKLEARN, archive, job, processing, training
from tests.jobs.test_resume import server

from clary.adapters.uv import UvEnvironments

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


def nothing():
    pass


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


def test_a_job_stopped_while_its_environment_is_built_ends_as_stopped(world, index, tmp_path):
    world.put("code/uses.py", USES_IT)
    image = world.environments.define(["needy"])
    ref = job("processing", "stopped")
    elsewhere = UvEnvironments(tmp_path / "elsewhere")
    own = elsewhere.interpreters()[0]
    asked = world.environments.get(image).definition.requirements
    environment = elsewhere.build(elsewhere.lock(asked, own, nothing), own, nothing)
    (world.home / "environments").mkdir()
    with (world.home / "environments" / f".lock-{environment}").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as if another server built it
        world.jobs.create(ref, in_environment(image), actor="tester")
        world.wait(ref, until=lambda _: world.environments.get(image).definition.lock)
        world.jobs.stop(ref, actor="tester")
        world.wait(ref)
    assert world.jobs.get(ref).status == "Stopped"
    assert world.log(ref)[0].startswith("Building the environment")
    assert not world.environments._builder.built()


def test_a_server_killed_while_it_builds_is_taken_over(bare_world, index):
    world = bare_world
    world.put("code/uses.py", USES_IT)
    image = world.environments.define(["needy"])
    ref = job("processing", "resumed")
    world.jobs.create(ref, in_environment(image), actor="tester")
    with server(world.home, "nowhere") as process:
        while not drafts(world):
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
        process.wait()
    world.worker.start()
    assert world.wait(ref).status == "Completed"
    assert world.worker.stop()
    assert world.log(ref)[-1] == "little 1.0 True"
    assert not drafts(world)
    assert len(world.environments._builder.built()) == 1


def drafts(world):
    return list((world.home / "environments").glob(".draft-*"))


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
