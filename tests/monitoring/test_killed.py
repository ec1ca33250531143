"""Servers that are killed at any moment of monitoring come to the same as if nothing had been."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

TRANSACTIONS = 20
POINTS = [f"{number}.{moment}" for number in range(TRANSACTIONS) for moment in range(3)]
LIFE = [
    "monitoring-execution.created",
    "monitoring-execution.inprogress",
    "monitoring-execution.completedwithviolations",
]


def lives(scenario, directory, points):
    program = Path(__file__).with_name("killed.py")
    ran = subprocess.run(
        [sys.executable, str(program), scenario, str(directory), *points],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check(found):
    assert found["statuses"] == ["CompletedWithViolations"] * 2, found
    assert found["violations"] == [1, 1], found
    assert found["jobs"] == found["named"], found
    assert found["actions"] == LIFE * 2, found
    first, second = found["windows"]
    assert first[1] == second[0], found


def check_pipeline(found):
    assert found["status"] == "Failed", found
    assert found["reason"].startswith("1 violations: s3://"), found
    assert found["jobs"] == found["checks"], found
    assert len(found["jobs"]) == 1, found
    assert found["ended"] == ["pipeline-step.failed"], found


@pytest.mark.timeout(120)
def test_killed_at_some_moments(tmp_path):
    luck = random.Random(20261122)
    for found in lives("schedule", tmp_path, ["999.0", *luck.sample(POINTS, 3)]):
        assert found["killed"] == (found["point"] != "999.0"), found
        check(found)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_killed_at_every_moment(tmp_path):
    for found in lives("schedule", tmp_path, POINTS):
        check(found)


@pytest.mark.timeout(120)
def test_a_check_killed_at_some_moments(tmp_path):
    luck = random.Random(20261122)
    for found in lives("check", tmp_path, ["999.0", *luck.sample(POINTS[:36], 2)]):
        check_pipeline(found)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_check_killed_at_every_moment(tmp_path):
    for found in lives("check", tmp_path, POINTS[:36]):
        check_pipeline(found)
