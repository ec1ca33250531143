"""What the pages show works: their examples run as they stand."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".venv-sagemaker/bin/python"
PREPARE = """
import pathlib
target = pathlib.Path("/opt/ml/processing/train")
target.mkdir(parents=True, exist_ok=True)
(target / "train.csv").write_text("1,2,3\\n")
"""


def clary(*words, **options):
    argv = [sys.executable, "-m", "clary", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


def shown(page):
    """Return the Python blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def ran(program, home, cwd):
    """Run a program of a page on a home of its own."""
    (cwd / "pipeline.py").write_text(program)
    return subprocess.run(
        [sys.executable, "pipeline.py"],
        cwd=cwd,
        env={**os.environ, "CLARY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def statuses(home):
    listed = json.loads(clary("executions", "list", "--home", home, "--json").stdout)
    return [one["status"] for one in listed]


def test_the_readmes_own_example_runs(tmp_path):
    rows = "".join(f"{x},{2 * x}\n" for x in range(50))
    (tmp_path / "rows.csv").write_text(f"x,y\n{rows}")
    done = ran(shown("README.md")[0], tmp_path / "home", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(tmp_path / "home") == ["Succeeded"]


def test_the_tutorial_works_as_it_says(tmp_path):
    program = "\n\n".join(shown("docs/tutorials/first-pipeline.md"))
    home = tmp_path / "home"
    for _ in range(2):
        done = ran(program, home, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ast.literal_eval(done.stdout)["mae"] < 1e-6
    assert statuses(home) == ["Succeeded", "Succeeded"]
    newest = json.loads(clary("executions", "list", "--home", home, "--json").stdout)[0]
    steps = json.loads(
        clary("executions", "show", newest["execution"], "--home", home, "--json").stdout
    )["Steps"]
    assert [one["StepName"] for one in steps if "CacheHitResult" in one] == ["train"]
    assert clary("lineage", "Forecast", "--home", home).returncode == 0


def test_the_tutorial_says_what_is_refused(tmp_path):
    program = "\n\n".join(shown("docs/tutorials/first-pipeline.md"))
    done = ran(program.replace("days=3", 'days="three"'), tmp_path / "home", tmp_path)
    said = "pipeline forecast, days: the str 'three' does not fit; legal: int"
    assert said in done.stderr
    assert said in (ROOT / "docs/tutorials/first-pipeline.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not SDK.exists(), reason="`make test` builds the SDK's environment")
def test_the_readmes_sagemaker_example_runs(tmp_path):
    [_, code] = shown("README.md")
    (tmp_path / "pipeline.py").write_text(code)
    (tmp_path / "prepare.py").write_text(PREPARE)
    home = tmp_path / "home"
    done = clary("run", "--home", home, "--", SDK, "pipeline.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(home) == ["Succeeded"]
