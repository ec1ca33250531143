"""``clary demo``: the native Abalone pipeline, without a server, to both of its ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from clary.governance.presence import find

STEPS = ["split", "learn", "prepare", "train", "prepare-2", "evaluate", "when-evaluate"]
STEPS += ["register-AbaloneModels", "prepare-3", "score"]
VERSION = "AbaloneModels/1"


def clary(home, *words):
    argv = [sys.executable, "-m", "clary", *words, "--home", str(home)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def demo(home):
    """Run the demo once, for the tests that look at what it left."""
    done = clary(home, "demo")
    assert done.returncode == 0, done.stderr
    return done


def test_it_says_what_came_of_it(demo, home):
    for name in STEPS:
        assert re.search(rf"^\d\d:\d\d:\d\d {name} Succeeded$", demo.stdout, re.MULTILINE)
    assert re.search(r"mean squared error  \d\.\d{3}, at most 6.0", demo.stdout)
    assert f"{VERSION}, PendingManualApproval" in demo.stdout
    assert "418 in s3://" in demo.stdout
    assert find(home) is None


def test_what_drifts_is_found_explained_and_retrained(demo, home):
    assert "CompletedWithViolations: 2 of abalone-demo-data-quality" in demo.stdout
    assert re.search(r"  whole_weight +its distribution has moved by 0\.8", demo.stdout)
    assert "200 of 200 rows lie above 2." in demo.stdout
    again = re.search(
        r"retrained +(AbalonePipeline/\w+), started by itself: Succeeded", demo.stdout
    )
    assert again
    listed = json.loads(clary(home, "executions", "list", "--json").stdout)
    assert f"AbalonePipeline/{listed[0]['execution'].rpartition('/')[2]}" == again[1]
    [schedule] = json.loads(clary(home, "monitor", "list", "--json").stdout)
    assert (schedule["status"], schedule["open"]) == ("Stopped", 2)
    assert json.loads(clary(home, "endpoints", "list", "--json").stdout) == []


def test_what_it_proposes_next_works(demo, home):
    lines = re.findall(r"^  .*?clary (.+?) --home \S+  # ", demo.stdout, re.MULTILINE)
    proposed = [line.split() for line in lines]
    assert [words[0] for words in proposed] == ["lineage", "monitor", "endpoints", "logs", "up"]
    for words in proposed[:4]:
        done = clary(home, *words)
        assert done.returncode == 0, done.stderr
    row = "0.5,0.4,0.1,0.5,0.2,0.1,0.2,0,1,0,0"
    rings = clary(home, "endpoints", "invoke", "abalone", row)
    assert 1 < float(rings.stdout) < 30, rings.stderr
    assert clary(home, "endpoints", "delete", "abalone").returncode == 0
    tree = clary(home, "lineage", VERSION).stdout
    assert "known.csv" in tree
    columns = clary(home, "lineage", VERSION, "--columns").stdout
    assert re.search(r"prepare/result/\S+ +sex_I +animals\.sex\n", columns)
    listed = json.loads(clary(home, "models", "list", "--json").stdout)
    assert "Approved" in json.dumps(listed)


def test_the_pipeline_alone_waits_for_approval(home, demo):
    done = clary(home, "demo", "--no-monitor")
    assert done.returncode == 0, done.stderr
    assert "retrained" not in done.stdout
    [words] = re.findall(r"clary (models approve \S+) --home", done.stdout)
    assert clary(home, *words.split()).returncode == 0


def test_too_large_an_error_fails_with_its_message(demo, home):
    done = clary(home, "demo", "--mse-threshold", "0.5")
    assert done.returncode == 1
    assert re.search(r"the mean squared error 4\.\d+ exceeds 0.5\n", done.stderr)
    assert "Traceback" not in done.stderr
    assert "executions show" in done.stderr
    assert len(re.findall(r"Failed", done.stdout)) == 2
