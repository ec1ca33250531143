"""Models that runs have logged, and notes beside public documents."""

from __future__ import annotations

import pytest

from clary.experiments.model import EXPERIMENT
from clary.kernel.errors import LimitExceeded, NotFound
from clary.kernel.names import Ref

REF = Ref("123456789012", "us-east-1", EXPERIMENT, "tries")


def made(experiments):
    experiments.create_experiment(REF, {"ExperimentName": "tries"}, actor="me")
    return experiments.logged_models.create(REF, "m", actor="me", status="PENDING", run="r")


def test_a_model_grows_and_goes(experiments):
    model, models = made(experiments), experiments.logged_models
    models.log(model.ref, actor="me", parameters={"a": "1"}, tags={"k": "v", "x": "y"})
    models.log(model.ref, actor="me", parameters={"b": "2"}, tags={"x": None}, status="READY")
    found = models.get(model.ref)
    assert (found.parameters, found.tags, found.status) == (
        {"a": "1", "b": "2"},
        {"k": "v"},
        "READY",
    )
    assert [one.ref for one in models.of([REF])] == [model.ref]
    with pytest.raises(LimitExceeded, match="at most"):
        models.log(model.ref, actor="me", metrics={str(n): n for n in range(2_001)})
    models.delete(model.ref, actor="me")
    for verb in (models.get, lambda ref: models.log(ref, actor="me")):
        with pytest.raises(NotFound):
            verb(model.ref)


def test_a_model_needs_its_experiment(experiments):
    with pytest.raises(NotFound):
        experiments.logged_models.create(REF, "m", actor="me", status="PENDING")


def test_notes_are_kept_and_bounded(experiments):
    made(experiments)
    experiments.note(REF, lambda notes: {**notes, "a": 1}, actor="me")
    found = experiments.note(REF, lambda notes: {**notes, "b": 2}, actor="me")
    assert found.body["notes"] == {"a": 1, "b": 2}
    assert experiments.get(REF).body["request"] == {"ExperimentName": "tries"}
    with pytest.raises(LimitExceeded, match="legal"):
        experiments.note(REF, lambda _: {"a": "x" * (1 << 20)}, actor="me")
    with pytest.raises(NotFound):
        experiments.note(REF.sibling(EXPERIMENT, "none"), dict, actor="me")
