from __future__ import annotations

import pytest

from clary.config import Config
from clary.experiments.ports import Point
from clary.kernel.clock import now
from clary.kernel.names import Ref
from clary.platform import open_platform


@pytest.fixture
def tries(home):
    """Log two runs."""
    platform = open_platform(Config(home=home))
    near = Ref(platform.governance.owner.account, "us-east-1", "", "")
    for number, name in enumerate(("one", "two")):
        runs = platform.experiments.runs
        run = runs.begin(near, "tries", f"tries-{name}", actor="me", display_name=name)
        points = [Point("loss", float(number), now(), step) for step in range(number + 1)]
        runs.log(run.ref, actor="me", parameters={"same": 1, "rate": number}, points=points)
        runs.end(run.ref, actor="me")


def test_runs_are_listed(clary, tries):
    assert clary("runs", "list").out.splitlines()[1].startswith("tries-two")
    rows = clary("runs", "list", "tries", "--json").json
    assert [(row["run"], row["experiment"], row["name"]) for row in rows] == [
        ("tries-two", "tries", "two"),
        ("tries-one", "tries", "one"),
    ]
    assert "experiment none does not exist" in clary("runs", "list", "none").err


def test_a_run_is_shown(clary, tries):
    for name in ("tries-two", "tries/two", "TRIES/Two"):
        document = clary("runs", "show", name, "--json").json
        assert document["parameters"] == {"same": 1, "rate": 1}
        assert document["metrics"]["loss"]["points"] == 2
    assert clary("runs", "show", "tries/one", "--json").json["metrics"] == {"loss": 0.0}
    assert "run tries/x does not exist" in clary("runs", "show", "tries/x").err


def test_runs_are_compared(clary, tries):
    rows = clary("runs", "compare", "tries", "--sort", "metrics.loss", "--json").json
    assert [row["run"] for row in rows] == ["two", "one"]
    assert "params.same" not in rows[0]
    assert [row["params.rate"] for row in rows] == [1, 0]
    refused = clary("runs", "compare", "tries", "--sort", "loss")
    assert "'loss' is no column; legal: run, status" in refused.err
