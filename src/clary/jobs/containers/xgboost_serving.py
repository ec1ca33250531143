"""The built-in XGBoost's answers: CSV or libsvm in; CSV, JSON or JSON lines out."""

from __future__ import annotations

import pickle

from job_files import MODEL, JobError
from serving import Refused
from tabular import Sparse, Unreadable, accepted, encoded, request
from xgboost_data import compressed, np, xgboost


def load():
    """Load the model for requests."""
    boosters = load_boosters()
    return lambda body, content_type, accept, _=None: answer(boosters, body, content_type, accept)


def load_boosters():
    """Load every model file that does not start with a dot; several are an ensemble."""
    files = sorted(file for file in MODEL.rglob("*") if file.is_file() and file.name[0] != ".")
    boosters = [_booster(file) for file in files]
    if not boosters:
        raise JobError("the model archive holds no model file")
    return boosters


def answer(boosters, body, content_type, accept):
    """Predict one payload."""
    try:
        accept = accepted(accept)
    except Unreadable as error:
        raise Refused(error.status, error.message) from None
    if not body.strip():
        raise Refused(204, "the request is empty")
    matrix = _matrix(body, content_type, boosters[0].num_features())
    try:
        predictions = mean_prediction(boosters, matrix)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise Refused(400, f"the prediction failed: {str(error).splitlines()[0]}") from None
    return encoded(predictions.tolist(), accept), accept


def mean_prediction(boosters, matrix):
    """Predict as all boosters do in the mean."""
    # a request's columns have no names, whatever the training data's were called
    answers = [booster.predict(matrix, validate_features=False) for booster in boosters]
    return np.mean(answers, axis=0)


def decode(data, content_type):
    """Read a payload as the container's scripts are given it."""
    body = data.encode() if isinstance(data, str) else data
    return _matrix(body, content_type, None)


def predict(matrix, model):
    """Predict as a script's model does."""
    if isinstance(model, xgboost.Booster):
        return model.predict(matrix, validate_features=False)
    return model.predict(matrix)


def _booster(file):
    data = file.read_bytes()
    try:
        booster = pickle.loads(data)
    except Exception:  # a file that is no pickle may fail to load in any way
        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(data))
        except xgboost.core.XGBoostError as error:
            first = str(error).splitlines()[0]
            raise JobError(f"{file.name} is no model that can be loaded: {first}") from None
    if not isinstance(booster, xgboost.Booster):
        raise JobError(f"{file.name} holds a {type(booster).__name__}, no Booster")
    booster.set_param({"nthread": 1})
    return booster


def _matrix(body, content_type, features):
    try:
        rows = request(body, content_type, features)
    except Unreadable as error:
        raise Refused(error.status, error.message) from None
    if isinstance(rows, Sparse):
        rows = compressed(rows, rows.width if features is None else features)
    return xgboost.DMatrix(rows, nthread=1)
