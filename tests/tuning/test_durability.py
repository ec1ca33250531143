"""A tuning job whose processes are killed at any moment ends as if nothing had happened."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

MOST = 4
TRANSACTIONS = 2 * MOST + 1
"""What an undisturbed one needs: one a training job, one before the first, one behind each."""
POINTS = [f"{number}.{moment}" for number in range(TRANSACTIONS) for moment in range(3)]


def outcomes(directory, parallel, points):
    program = Path(__file__).with_name("killed.py")
    ran = subprocess.run(
        [sys.executable, str(program), str(directory), str(parallel), *points],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check(found, undisturbed):
    expected = {
        "status": "Completed",
        "counters": {
            "Completed": MOST,
            "InProgress": 0,
            "RetryableError": 0,
            "NonRetryableError": 0,
            "Stopped": 0,
        },
        "objectives": {"Succeeded": MOST, "Pending": 0, "Failed": 0},
        "jobs": MOST,
        "created": MOST,
        "numbers": ["001", "002", "003", "004"],
        "ended": "hyper-parameter-tuning-job.completed",
        **undisturbed,
    }
    assert {key: found[key] for key in expected} == expected, found["point"]


def undisturbed(directory):
    [found] = outcomes(directory, 1, ["99.0"])
    assert not found["killed"]
    return {name: found[name] for name in ("tried", "best")}


def test_killed_at_some_moments(tmp_path):
    luck = random.Random(20261122)
    same = undisturbed(tmp_path)
    for found in outcomes(tmp_path, 1, [*luck.sample(POINTS, 3), POINTS[-1]]):
        assert found["killed"], found["point"]
        check(found, same)


def test_every_transaction_is_reached(tmp_path):
    [beyond] = outcomes(tmp_path, 1, [f"{TRANSACTIONS}.0"])
    assert not beyond["killed"]


@pytest.mark.long
@pytest.mark.parametrize("parallel", [1, 3])
def test_killed_at_every_moment(tmp_path, parallel):
    same = undisturbed(tmp_path) if parallel == 1 else {}
    for found in outcomes(tmp_path, parallel, POINTS):
        check(found, same)
