"""``clary reproduce``: the record of a model version runs again, and digests tell the truth."""

from __future__ import annotations

import json

import pytest
from tests.journeys.registering import BUCKET, IMAGE, ROWS, registering


@pytest.fixture
def register(home):
    """Run a pipeline that registers version 1 of a group; gives its name."""
    run = registering(home)

    def registered(name, *words):
        run(name, *words)
        return f"{name}/1"

    return registered


def reproduce(home, version, *words):
    done = home.clary("reproduce", version, "--json", *words)
    return done, json.loads(done.stdout) if done.stdout else None


def test_a_steady_record_is_reproduced_and_its_inputs_are_told_by_content(home, register):
    version = register("steady", "steady/rows.csv")
    done, report = reproduce(home, version)
    assert done.returncode == 0, done.stderr
    assert (report["same"], report["status"], report["arose"]) == (True, "Succeeded", "")
    assert {(one["step"], one["role"]) for one in report["inputs"]} == {
        ("Prepare", "raw"),
        ("Prepare", "code"),
    }
    assert {(one["step"], one["role"]) for one in report["outputs"]} == {
        ("Prepare", "train"),
        ("Prepare", "train/train.csv"),
        ("Fit", "model"),
    }
    shown = home.clary("reproduce", version)
    assert "every digest is the same" in shown.stderr
    assert "train/train.csv" not in shown.stdout

    s3 = home.client("s3")
    s3.put_object(Bucket=BUCKET, Key="steady/rows.csv", Body=b"1,1,1\n")
    gone = home.clary("reproduce", version)
    assert gone.returncode == 1
    assert "Prepare read s3://" in gone.stderr
    assert "no other place is known to hold it" in gone.stderr

    s3.put_object(Bucket=BUCKET, Key="other/rows.csv", Body=(ROWS + "1,1,6\n").encode())
    register("copied", "other/rows.csv")  # the same content (the names are as long), elsewhere
    done, report = reproduce(home, version)
    assert done.returncode == 0, done.stderr
    assert report["same"] is True


def test_a_difference_is_traced_to_the_step_it_arose_in(home, register):
    done, report = reproduce(home, register("unsteady", "unsteady/rows.csv", "unsteady"))
    assert done.returncode == 1
    assert (report["same"], report["status"]) == (False, "Succeeded")
    assert report["arose"] == "Prepare"
    results = {(one["step"], one["role"]): one["same"] for one in report["outputs"]}
    assert results["Prepare", "train/train.csv"] is True
    assert results["Prepare", "train/note.csv"] is False


def test_what_no_job_made_cannot_be_reproduced(home, register):
    register("unmade", "unmade/rows.csv")
    home.client("s3").put_object(Bucket=BUCKET, Key="by-hand.tar.gz", Body=b"model")
    model = f"s3://{BUCKET}/by-hand.tar.gz"
    home.client("sagemaker").create_model_package(
        ModelPackageGroupName="unmade",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": model}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
    done = home.clary("reproduce", "unmade/2")
    assert done.returncode == 1
    assert "no job is on record that made it" in done.stderr
