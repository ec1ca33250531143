"""An endpoint whose processes are killed at any moment comes to the same as if nothing had been."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

TRANSACTIONS = 48
"""About so many make its life: it is led into service, updated badly and well, and deleted."""
POINTS = [f"{number}.{moment}" for number in range(TRANSACTIONS) for moment in range(3)]
LIFE = [
    *("created", "in-service", "updating", "rolled-back"),
    *("updating", "in-service", "deleting", "deleted"),
]


def lives(directory, points):
    program = Path(__file__).with_name("killed.py")
    ran = subprocess.run(
        [sys.executable, str(program), str(directory), *points],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check(found):
    assert found["done"], found
    steps = [action for action in found["actions"] if action != "advanced"]
    assert steps == LIFE, found
    assert found["fleets"] == [3, 3], found
    assert (found["left"], found["is_there"]) == ([], False), found


def test_killed_at_some_moments(tmp_path):
    luck = random.Random(20261122)
    for found in lives(tmp_path, ["999.0", *luck.sample(POINTS[: 3 * 40], 2)]):
        assert found["killed"] == (found["point"] != "999.0")
        check(found)


@pytest.mark.long
def test_killed_at_every_moment(tmp_path):
    for found in lives(tmp_path, POINTS):
        check(found)
