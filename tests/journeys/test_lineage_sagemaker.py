"""The SDK's lineage classes, unchanged, on what a pipeline left behind."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.journeys.registering import BUCKET, registering

PROGRAM = Path(__file__).parent / "sdk" / "lineage.py"


def tables(said):
    """Read the tables that the program printed, in order."""
    found = []
    for part in said.split("TABLE ")[1:]:
        start, *rows = part.split("LINEAGE")[0].strip().splitlines()
        found.append((start, list(csv.reader(rows))))
    return found


def test_the_lineage_classes_of_the_sdk(sdk, home):
    execution = registering(home)("looked-at", "looked-at/rows.csv")
    package = "arn:aws:sagemaker:us-east-1:123456789012:model-package/looked-at/1"
    done = sdk(PROGRAM, execution, package, f"s3://{BUCKET}/looked-at/rows.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("LINEAGE ok\n")
    training, processing, registered, *of_steps = tables(done.stdout)
    assert {tuple(row[1:]) for row in training[1]} == {
        ("Input", "DataSet", "ContributedTo", "artifact"),
        ("Input", "Image", "ContributedTo", "artifact"),
        ("Input", "PipelineExecution", "AssociatedWith", "action"),
        ("Output", "Model", "Produced", "artifact"),
    }
    assert ("Input", "Code", "ContributedTo", "artifact") in {
        tuple(row[1:]) for row in processing[1]
    }
    assert {tuple(row[1:]) for row in registered[1]} == {
        ("Input", "Model", "ContributedTo", "artifact"),
        ("Input", "Image", "ContributedTo", "artifact"),
        ("Input", "Approval", "ContributedTo", "action"),
        ("Input", "PipelineExecution", "Produced", "action"),
        ("Output", "ModelGroup", "AssociatedWith", "context"),
    }
    assert [rows for _, rows in of_steps] == [processing[1], training[1], registered[1]]


def test_a_lineage_step_of_the_sdk(sdk):
    done = sdk(PROGRAM.with_name("lineage_step.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("RECORDED ok\n")
