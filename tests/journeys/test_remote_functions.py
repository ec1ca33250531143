"""Functions and notebooks as jobs through the unmodified SDK, in environments built for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.config import Config
from clary.platform import open_platform

PROGRAMS = Path(__file__).parent / "sdk"


def test_functions_are_the_steps_of_a_pipeline(sdk, home):
    done = sdk(PROGRAMS / "steps.py")
    assert "STEPS Succeeded" in done.stdout, done.stderr
    for step in ("Rows", "Mean", "Decide", "Report"):
        assert f"\n{step} Succeeded" in f"\n{done.stdout}"
    listed = home.clary("environments", "list").stdout
    assert "sagemaker==" in listed


@pytest.mark.long
def test_a_condition_on_a_functions_result_takes_the_other_branch(sdk):
    done = sdk(PROGRAMS / "steps.py", "both")
    assert "STEPS Succeeded" in done.stdout, done.stderr


@pytest.mark.long
def test_values_and_errors_travel_to_jobs_and_back(sdk):
    done = sdk(PROGRAMS / "remote.py")
    assert "RAISED division by zero" in done.stdout, done.stderr
    assert "REMOTE" in done.stdout, done.stderr


@pytest.mark.long
def test_a_decorated_function_is_a_job(sdk):
    done = sdk(PROGRAMS / "remote.py", "decorated")
    assert "DECORATED" in done.stdout, done.stderr


@pytest.mark.long
def test_notebooks_are_steps_of_a_pipeline(sdk, home):
    platform = open_platform(Config(home=home.path))
    image = platform.environments.define(["papermill", "ipykernel"])
    done = sdk(PROGRAMS / "notebook.py", image)
    assert "NOTEBOOKS Succeeded Failed" in done.stdout, done.stderr
    assert "cell [2] of breaks.ipynb raised ValueError: no rows left" in done.stdout


@pytest.mark.long
def test_source_directories_bring_their_requirements(sdk):
    done = sdk(PROGRAMS / "source_dirs.py")
    assert "SOURCES Completed" in done.stdout, done.stdout + done.stderr
