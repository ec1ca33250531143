from __future__ import annotations

import pytest
from tests.experiments.conftest import ACTOR, ref

from clary.experiments.model import COMPONENT, EXPERIMENT
from clary.experiments.ports import Point
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, LimitExceeded, NotFound

NEAR = ref("", "")


def begin(experiments, name, **more):
    return experiments.runs.begin(NEAR, "Tries", name, actor=ACTOR, **more)


def log(experiments, run, **what):
    experiments.runs.log(run.ref, actor=ACTOR, **what)


def test_a_run_is_begun_logged_and_ended(experiments):
    run = begin(experiments, "one", display_name="One", tags={"team": "a"})
    assert (run.name, run.status, run.experiments) == ("One", "InProgress", ["tries"])
    assert run.trials == ["default-run-group-tries"]
    for step in range(2):
        log(
            experiments,
            run,
            parameters={"rate": 0.1 + step, "kind": "x"},
            points=[Point("loss", 1.0 - step, now(), step)],
            tags={"team": None, "late": "yes"},
            outputs={"model": "s3://b/k"},
        )
    experiments.runs.end(run.ref, "Failed", actor=ACTOR, message="enough")
    found = experiments.runs.get(run.ref)
    assert (found.status, found.message) == ("Failed", "enough")
    assert found.started_at <= found.ended_at
    assert dict(found.parameters) == {"rate": 1.1, "kind": "x"}
    assert found.metrics["loss"].last == 0.0
    assert dict(found.outputs) == {"model": "s3://b/k"}
    assert dict(found.tags) == {"late": "yes", "sagemaker:trial-component-source": "run"}
    row = found.row()
    assert (row["run"], row["params.kind"], row["metrics.loss"]) == ("One", "x", 0.0)
    assert row["seconds"] >= 0


def test_a_run_is_begun_once(experiments):
    begin(experiments, "one")
    with pytest.raises(AlreadyExists):
        begin(experiments, "ONE")


def test_runs_are_found_by_what_they_logged(experiments):
    for n in range(3):
        run = begin(experiments, f"r{n}")
        log(experiments, run, points=[Point("loss", float(n % 2), now())])
    ref_of = ref(EXPERIMENT, "tries")
    found = experiments.runs.find(
        [ref_of, ref(EXPERIMENT, "none")],
        lambda run: run.ref.name != "r0",
        lambda run: run.metrics["loss"].last,
        descending=False,
    )
    assert [run.ref.name for run in found] == ["r2", "r1"]
    assert [run.ref.name for run in experiments.runs.of([ref_of])] == ["r2", "r1", "r0"]


def test_artifacts_have_a_place(experiments):
    run = begin(experiments, "one")
    for _ in range(2):
        bucket, prefix = experiments.runs.artifacts(run.ref)
    assert bucket == "sagemaker-us-east-1-123456789012"
    assert prefix == "trial-component-artifacts/one/"


def test_too_much_is_refused(experiments, component):
    many = {f"p{n}": n for n in range(2_001)}
    with pytest.raises(LimitExceeded, match="Parameters: 2001 of them; legal: at most 2000"):
        experiments.runs.log(component, actor=ACTOR, parameters=many)
    with pytest.raises(NotFound):
        experiments.runs.log(ref(COMPONENT, "none"), actor=ACTOR, parameters={"a": 1})


def test_every_change_is_in_the_journal(experiments, store, component, trial):
    experiments.associate(component, trial, actor=ACTOR)
    experiments.update(component, {"DisplayName": "C"}, actor=ACTOR)
    experiments.update(component, {"DisplayName": "C"}, actor=ACTOR)
    experiments.disassociate(component, trial, actor=ACTOR)
    experiments.delete(component, actor=ACTOR)
    lines = [event.action.rpartition(".")[2] for event in store.events(ref=component)]
    assert lines == ["created", "updated", "updated", "updated", "deleted"]
