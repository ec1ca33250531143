from __future__ import annotations

import threading

import pytest
from tests.tuning.conftest import REF, request

from clary.config import Config
from clary.platform import open_platform


@pytest.fixture
def tuned(home):
    """Begin a tuning job of two training jobs."""
    platform = open_platform(Config(home=home))
    platform.tuning.create(REF, request(4, 2), actor="me")
    platform.tuning.run(platform.store.get(REF), threading.Event())


def test_tuning_jobs_are_listed(clary, tuned):
    [row] = clary("tuning", "list", "--json").json
    assert (row["tuning job"], row["status"], row["running"]) == ("tune", "InProgress", 2)
    assert clary("tuning", "list", "--status", "Failed").err == "no such tuning jobs\n"


def test_its_training_jobs_are_shown(clary, tuned):
    rows = clary("tuning", "show", "tune", "--json").json
    assert [row["training job"][:8] for row in rows] == ["tune-001", "tune-002"]
    assert set(rows[0]) == {"training job", "status", "value", "eta", "depth"}
    whole = clary("tuning", "show", "tune", "--whole", "--json").json
    assert whole["HyperParameterTuningJobConfig"]["Strategy"] == "Random"
    assert "none does not exist" in clary("tuning", "show", "none").err


def test_it_is_stopped(clary, tuned):
    assert clary("tuning", "stop", "tune").err == "hyper-parameter-tuning-job tune stops\n"
    assert clary("tuning", "list", "--json").json[0]["status"] == "Stopping"
