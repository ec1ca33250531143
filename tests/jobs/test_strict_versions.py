"""Exact framework versions: from wheels written here, and the real ones in the long suite."""

from __future__ import annotations

import io
import subprocess
import tarfile

import pytest
from tests.jobs import wheels
from tests.jobs.conftest import (
    BUCKET,
    SKLEARN,
    XGBOOST,
    job,
    make_model,
    processing,
    training,
    transform,
)

from clary.jobs.environments import Environments
from clary.jobs.recipes import STRICT
from clary.kernel.errors import InvalidInput

ROWS = "".join(f"{2 * n},{n},{n % 3}\n" for n in range(60))
SAYS = "import sklearn; print(sklearn.__version__)"


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = wheels.use(tmp_path / "index", tmp_path / "cache", monkeypatch)
    module = {"sklearn.py": "__version__ = 'as asked'\n"}
    wheels.write_wheel(folder, "scikit-learn", "1.2.1", module)
    for name in ("numpy", "pandas", "scipy"):
        wheels.write_wheel(folder, name, "1.0")
    return folder


def test_a_job_gets_the_versions_of_its_image_when_it_asks_for_them(world, index):
    world.put("code/says.py", SAYS)
    request = processing("code/says.py", Environment={STRICT: "true"})
    done = world.run(job("processing", "exact"), request)
    assert done["ProcessingJobStatus"] == "Completed", done
    assert world.log(job("processing", "exact"))[-1] == "as asked"
    ran = world.jobs.ran(job("processing", "exact"))
    assert ran["image"] == "sagemaker-scikit-learn 1.2-1-cpu-py3"
    assert ran["scikit-learn"] == "1.2.1"
    digests = [link.source for link in world.store.links(job("processing", "exact"), incoming=True)]
    assert any(world.store.get(ref).body["type"] == "environment" for ref in digests)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (SKLEARN.replace("1.2-1", "0.20.0"), "requirements: no packages for Python 3"),
        (SKLEARN.replace("1.2-1", "7.7-1"), "the versions in 'sagemaker-scikit-learn 7.7-1"),
    ],
)
def test_what_cannot_be_exact_is_refused_with_what_can(world, index, image, problem):
    world.put("code/says.py", SAYS)
    request = processing("code/says.py", Environment={STRICT: "1"})
    request["AppSpecification"]["ImageUri"] = image
    done = world.run(job("processing", "never"), request)
    assert done["ProcessingJobStatus"] == "Failed"
    assert problem in done["FailureReason"]
    assert "legal: " in done["FailureReason"]


def test_a_platform_can_be_strict_for_every_job(bare_world, index):
    strict = Environments(bare_world.store, bare_world.environments._builder, strict=True)
    image = strict.exact(SKLEARN)
    assert strict.get(image).definition.requirements[-2:] == ("scikit-learn==1.2.1", "scipy<1.12")
    with pytest.raises(InvalidInput, match=r"sagemaker-xgboost:1\.7-1"):
        strict.exact(XGBOOST.format("latest"))


@pytest.mark.long
def test_xgboost_of_the_image_trains_and_scores(world):
    world.put("train/rows.csv", ROWS)
    world.put("batch/rows.csv", "1,1\n2,2\n3,0\n")
    request = training(
        XGBOOST.format("1.7-1"),
        {"train": f"s3://{BUCKET}/train/"},
        {"objective": "reg:squarederror", "num_round": "20", "eta": "0.5"},
        Environment={STRICT: "true"},
    )
    world.jobs.create(job("training", "old"), request, actor="tester")
    world.wait(job("training", "old"), timeout_s=280)
    done = world.jobs.describe(job("training", "old"))
    assert done["TrainingJobStatus"] == "Completed", done
    ran = world.jobs.ran(job("training", "old"))
    assert ran["xgboost"] == "1.7.4"
    uri = done["ModelArtifacts"]["S3ModelArtifacts"]
    with tarfile.open(
        fileobj=io.BytesIO(world.read(uri.removeprefix(f"s3://{BUCKET}/")))
    ) as packed:
        packed.extract("xgboost-model", world.home, filter="data")
    python = world.home / "environments" / ran["environment"] / "bin" / "python"
    loads = "import sys, xgboost; xgboost.Booster().load_model(sys.argv[1])"
    subprocess.run([python, "-c", loads, world.home / "xgboost-model"], check=True)
    make_model(world, "old", uri, XGBOOST.format("1.7-1"), {STRICT: "true"})
    world.run(job("transform", "scores"), transform("old", f"s3://{BUCKET}/batch/"))
    scores = world.read("scores/rows.csv.out").split()
    assert [round(float(score) / 2) for score in scores] == [1, 2, 3]
