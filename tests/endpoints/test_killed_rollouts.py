"""Rollouts killed at any moment end in the old version or the new one, whole."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

TRANSACTIONS = 180
"""About so many a life has: a canary, a rolling update, and a canary that an alarm sends back."""
POINTS = [f"{number}.{moment}" for number in range(TRANSACTIONS) for moment in range(3)]
LIFE = [
    *("created", "in-service", "updating", "in-service", "updating", "in-service"),
    *("updating", "rolled-back", "deleting", "deleted"),
]


def lives(directory, points):
    program = Path(__file__).with_name("killed_rollouts.py")
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
    assert found["fleets"] == [4, 4], found
    assert (found["left"], found["is_there"]) == ([], False), found


def test_killed_at_some_moments(tmp_path):
    luck = random.Random(20261122)
    for found in lives(tmp_path, luck.sample(POINTS[: 3 * 90], 2)):
        assert found["killed"]
        check(found)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_all_over(tmp_path):
    for found in lives(tmp_path, random.Random(7).sample(POINTS, 150)):
        assert found["killed"]
        check(found)
