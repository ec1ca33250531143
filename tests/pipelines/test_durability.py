"""An execution whose processes are killed at any moment ends as if nothing had happened."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = ("Prepare", "Side", "Train", "Eval", "Batch")
TOLD = sorted(
    [f"pipeline-step.{word} {name}" for name in NAMES for word in ("started", "succeeded")]
    + [f"pipeline-step.succeeded {name}" for name in ("Decide", "Register")]
)
TRANSACTIONS = 15
"""What an undisturbed execution needs at most: one a job, one for what the engine does at once."""
POINTS = [f"{number}.{moment}" for number in range(TRANSACTIONS) for moment in range(3)]


def outcomes(directory, points):
    program = Path(__file__).with_name("killed.py")
    ran = subprocess.run(
        [sys.executable, str(program), str(directory), *points],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check(found):
    expected = {
        "status": "Succeeded",
        "steps": dict.fromkeys((*NAMES, "Decide", "Register"), "Succeeded"),
        "jobs": len(NAMES),
        "count": 1,
        "told": TOLD,
    }
    assert {key: found[key] for key in expected} == expected, found["point"]


def test_killed_at_some_moments(tmp_path):
    luck = random.Random(20261122)
    points = [*luck.sample(POINTS, 6), *(f"t{luck.randrange(10, 120)}" for _ in range(2))]
    for found in outcomes(tmp_path, points):
        check(found)


def test_every_transaction_is_reached(tmp_path):
    early, beyond = outcomes(tmp_path, ["10.0", f"{TRANSACTIONS}.0"])
    assert (early["killed"], beyond["killed"]) == (True, False)


@pytest.mark.long
def test_killed_at_every_moment(tmp_path):
    luck = random.Random(2)
    points = [*POINTS, *sorted({f"t{luck.randrange(5, 300)}" for _ in range(40)})]
    for found in outcomes(tmp_path, points):
        check(found)
