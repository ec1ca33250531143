"""clary endpoints, as somebody types it: without a server each command works on its own."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from clary.doors.python.session import connect

xgboost = pytest.importorskip("xgboost")
X = np.random.default_rng(7).random((40, 2))


@pytest.fixture
def booster(home, tmp_path):
    connect(home).close()  # makes the home
    path = tmp_path / "model.ubj"
    xgboost.train({"nthread": 1}, xgboost.DMatrix(X, X.sum(axis=1)), 3).save_model(path)
    return path


def test_a_model_is_deployed_asked_replaced_and_removed(clary, booster, tmp_path, monkeypatch):
    said = clary("endpoints", "deploy", booster, "sums", "--capture", 50, "--json")
    assert (said.code, said.json) == (0, {"endpoint": "sums", "status": "InService"})
    assert "no server runs" in said.err
    assert clary("endpoints", "deploy", booster, "sums").code == 1
    [row] = clary("endpoints", "list", "--json").json
    assert (row["name"], row["status"], row["variants"]) == ("sums", "InService", "main")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0.5,0.5\n")))
    for words in (["0.5,0.5"], ["--file", tmp_path / "row.csv"], []):
        (tmp_path / "row.csv").write_text("0.5,0.5\n")
        said = clary("endpoints", "invoke", "sums", *words)
        assert said.code == 0, said.err
        assert 0 < float(said.out) < 2
    answer = clary("endpoints", "invoke", "sums", "0.5,0.5", "--json").json
    assert answer["variant"] == "main"
    assert 0 < float(answer["body"]) < 2
    refused = clary("endpoints", "invoke", "sums", "words")
    assert refused.code == 1
    assert "415" in refused.err
    assert clary("endpoints", "invoke", "sums", "1,2", "--file", "x").code == 1

    shown = clary("endpoints", "show", "sums", "--json").json
    assert shown["capture"].startswith("50% to s3://")
    [variant] = shown["variants"]
    assert (variant["requests"], variant["4xx"], variant["5xx"]) == (5, 1, 0)
    assert variant["answers"]
    assert "sums" in clary("endpoints", "show", "sums").out
    whole = clary("endpoints", "show", "sums", "--whole", "--json").json
    assert whole["EndpointStatus"] == "InService"

    replaced_and_removed(clary, booster, tmp_path)


def replaced_and_removed(clary, booster, tmp_path):
    said = clary("endpoints", "update", "sums", tmp_path / "row.csv")
    assert said.code == 1
    assert "no inference script" in said.err
    assert clary("endpoints", "invoke", "sums", "0.5,0.5").code == 0
    assert clary("endpoints", "update", "sums", booster, "--json").json["status"] == "InService"
    assert clary("endpoints", "scale", "sums", 2, "--json").json["status"] == "InService"
    assert clary("endpoints", "shadow", "sums", "--json").json == []
    assert isinstance(clary("endpoints", "logs", "sums", "--json").json, list)

    said = clary("endpoints", "delete", "sums", "--json")
    assert said.json == {"endpoint": "sums", "status": "Deleted"}
    assert json.loads(clary("endpoints", "list", "--json").out) == []
    assert "does not exist" in clary("endpoints", "show", "sums").err
