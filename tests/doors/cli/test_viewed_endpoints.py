"""An endpoint that is asked by keys, from the command line: deployed, asked, replaced, proven."""

from __future__ import annotations

import numpy as np
import pytest
from tests.doors.cli.test_skew import RISK, World

from clary.kernel.clock import now_us

xgboost = pytest.importorskip("xgboost")
X = np.random.default_rng(7).random((40, 2))


@pytest.fixture
def booster(tmp_path):
    path = tmp_path / "model.ubj"
    xgboost.train({"nthread": 1}, xgboost.DMatrix(X, X.sum(axis=1)), 3).save_model(path)
    return path


@pytest.fixture
def world(home):
    made = World(home)
    definition = {
        "sources": {"customers": ["age", "spent"]},
        "features": {"age": "age / 100", "spent": "spent"},
    }
    made.store.views.define(RISK, definition, actor="tester")
    made.put(3, now_us() / 1e6 - 9, age=30, spent=0.5)
    yield made
    made.close()


def test_an_endpoint_is_asked_by_keys(clary, world, booster):
    said = clary("endpoints", "deploy", booster, "sums", "--view", "risk")
    assert said.code == 0, said.err
    plain = clary("endpoints", "invoke", "sums", "0.3,0.5")
    assert plain.code == 0, plain.err
    asked = clary("endpoints", "invoke", "sums", '{"keys": {"id": 3}}')
    assert asked.out == plain.out
    assert clary("endpoints", "update", "sums", booster).code == 0
    assert clary("endpoints", "invoke", "sums", '{"keys": {"id": 3}}').out == plain.out
    said = clary("skew", "sums", "--json")
    assert (said.code, said.json["requests"], said.json["cells"]) == (0, 2, 4)
    world.put(3, now_us() / 1e6 - 8, age=30, spent=0.75)  # late
    said = clary("skew", "sums")
    assert said.code == 1
    assert "2 of cause late" in said.err
    assert clary("endpoints", "delete", "sums").code == 0
    assert "does not exist" in clary("skew", "sums").err
    assert "nothing" in clary("endpoints", "deploy", booster, "more", "--view", "nothing").err
