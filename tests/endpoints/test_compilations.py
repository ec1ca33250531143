"""Compilations: what becomes of artifacts, good and bad, whoever dies when."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import xgboost
from tests.endpoints import compile_world
from tests.endpoints.compile_world import booster

ROWS = np.array([[0.5, -1, np.nan, 2], [0, 0, 0, 0]], np.float32)
BODY = b"0.5,-1,,2\n0,0,0,0\n"


@pytest.fixture
def world(tmp_path):
    made = compile_world.world(tmp_path)
    worker = made.new_worker()
    worker.start()
    yield made
    assert worker.stop()


def saved(model):
    return bytes(model.save_raw("ubj"))


def answers(world, compilation, body=BODY):
    reply = world.models.load(compilation.key).answer(body, "text/csv")
    return [float(line) for line in reply.body.splitlines()]


@pytest.mark.parametrize("form", ["ubj", "json", "pickle"])
def test_a_saved_booster_answers_as_it_does_natively(world, form):
    model = booster()
    content = pickle.dumps(model) if form == "pickle" else bytes(model.save_raw(form))
    found = world.ended(world.put({"xgboost-model": content}))
    assert found.status == "Compiled", found.reason
    assert found.evidence.rows == 2000
    assert found.evidence.difference == 0
    assert found.evidence.objective == "reg:squarederror"
    assert set(found.evidence.versions) == {"xgboost", "python", "onnx", "onnxruntime"}
    native = model.predict(xgboost.DMatrix(ROWS))
    assert answers(world, found) == native.tolist()
