"""A server as SageMaker's XGBoost container is built: flask behind gunicorn, a DMatrix a call."""

from __future__ import annotations

import os

import flask
import numpy as np
import xgboost

booster = xgboost.Booster()
booster.load_model(os.environ["MODEL"])
booster.set_param({"nthread": 1})
app = flask.Flask(__name__)


@app.get("/ping")
def ping() -> str:
    """Say that it is ready."""
    return ""


@app.post("/invocations")
def invocations() -> flask.Response:
    """Predict rows of CSV."""
    lines = flask.request.get_data(as_text=True).strip().split("\n")
    rows = np.array([line.split(",") for line in lines], dtype=np.float32)
    scores = booster.predict(xgboost.DMatrix(rows, nthread=1), validate_features=False)
    return flask.Response("".join(f"{one}\n" for one in scores.tolist()), mimetype="text/csv")
