"""An execution whose processes are killed at any moment ends as if nothing had happened."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = ("Prepare", "Side", "Train", "Eval", "Batch")
ALL = (*NAMES, "Decide", "Register")
TRANSACTIONS = 18
"""What an undisturbed execution needs at most: one a job, one for what the engine does at once."""
POINTS = [f"{number}.{moment}" for number in range(TRANSACTIONS) for moment in range(3)]


def words(*names):
    return [f"{word} {name}" for name in names for word in ("started", "succeeded")]


PLAIN = [*words(*NAMES), "succeeded Decide", "succeeded Register"]
EXPECTED = {
    "plain": {
        "steps": dict.fromkeys(ALL, "Succeeded"),
        "attempts": dict.fromkeys(ALL, 1),
        "jobs": 5,
        "results": 0,
        "count": 1,
        "told": sorted(PLAIN),
    },
    "cached": {
        "steps": dict.fromkeys(ALL, "Succeeded"),
        "attempts": dict.fromkeys(ALL, 1),
        "jobs": 5,
        "results": 5,
        "count": 2,
        "told": sorted(f"succeeded {name}" for name in ALL),
    },
    "retried": {
        "steps": dict.fromkeys(ALL, "Succeeded"),
        "attempts": dict.fromkeys(ALL, 1) | {"Train": 2},
        "jobs": 6,
        "results": 0,
        "count": 1,
        "told": sorted([*PLAIN, "retried-later Train", "started Train"]),
    },
    "selected": {
        "steps": dict.fromkeys(("Train", "Eval"), "Succeeded"),
        "attempts": {"Train": 1, "Eval": 1},
        "jobs": 7,
        "results": 0,
        "count": 1,
        "told": sorted(words("Train", "Eval")),
    },
    "resumed": {
        "steps": dict.fromkeys(ALL, "Succeeded"),
        "attempts": dict.fromkeys(ALL, 1) | {"Train": 2},
        "jobs": 6,
        "results": 0,
        "count": 1,
        "told": sorted([*PLAIN, "started Train", "failed Train"]),
    },
}


def outcomes(directory, scenario, points):
    program = Path(__file__).with_name("killed.py")
    ran = subprocess.run(
        [sys.executable, str(program), str(directory), scenario, *points],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check(found, scenario):
    expected = {"status": "Succeeded", **EXPECTED[scenario]}
    assert {key: found[key] for key in expected} == expected, found["point"]


@pytest.mark.parametrize("scenario", EXPECTED)
def test_killed_at_some_moments(tmp_path, scenario):
    luck = random.Random(f"20261122 {scenario}")
    points = [*luck.sample(POINTS[:24], 3), f"t{luck.randrange(10, 120)}"]
    for found in outcomes(tmp_path, scenario, points):
        check(found, scenario)


def test_every_transaction_is_reached(tmp_path):
    early, beyond = outcomes(tmp_path, "plain", ["10.0", f"{TRANSACTIONS}.0"])
    assert (early["killed"], beyond["killed"]) == (True, False)


@pytest.mark.long
@pytest.mark.parametrize("scenario", EXPECTED)
def test_killed_at_every_moment(tmp_path, scenario):
    luck = random.Random(scenario)
    points = [*POINTS, *sorted({f"t{luck.randrange(5, 300)}" for _ in range(20)})]
    for found in outcomes(tmp_path, scenario, points):
        check(found, scenario)
