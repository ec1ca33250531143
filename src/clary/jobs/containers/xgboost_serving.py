"""The built-in XGBoost's answers: CSV or libsvm in; CSV, JSON or JSON lines out."""

from __future__ import annotations

import json
import pickle

from job_files import MODEL, JobError
from serving import ANY, CSV, JSON, JSON_LINES, Refused, media_type
from xgboost_data import csv_rows, data_format, libsvm_rows, np, xgboost


def load():
    """Load every model file that does not start with a dot; several are an ensemble."""
    files = sorted(file for file in MODEL.rglob("*") if file.is_file() and file.name[0] != ".")
    boosters = [_booster(file) for file in files]
    if not boosters:
        raise JobError("the model archive holds no model file")
    return lambda body, content_type, accept: answer(boosters, body, content_type, accept)


def answer(boosters, body, content_type, accept):
    """Predict one payload."""
    accept = media_type(accept) or CSV
    if accept not in {CSV, "csv", JSON, JSON_LINES, ANY}:
        raise Refused(406, f"the accept type {accept} is not one of: {CSV}, {JSON}, {JSON_LINES}")
    if not body.strip():
        raise Refused(204, "the request is empty")
    matrix = _matrix(body, content_type, boosters[0].num_features())
    try:
        # a request's columns have no names, whatever the training data's were called
        answers = [booster.predict(matrix, validate_features=False) for booster in boosters]
        predictions = np.mean(answers, axis=0)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise Refused(400, f"the prediction failed: {str(error).splitlines()[0]}") from None
    return _encoded(predictions.tolist(), CSV if accept in {"csv", ANY} else accept)


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
        kind = data_format(content_type or CSV)
        text = body.decode("utf-8")
        rows = (
            libsvm_rows(text, "the request")[0]
            if kind == "libsvm"
            else csv_rows(text, "the request")
        )
    except (JobError, UnicodeDecodeError) as error:
        raise Refused(415, str(error)) from None
    if kind == "parquet":
        raise Refused(415, f"the content type {content_type} is not for inference")
    width = rows.shape[1]
    if kind == "libsvm" and width < features:
        rows.resize(rows.shape[0], features)
    elif width != features:
        raise Refused(400, f"the request has {width} features a row, the model {features}")
    return xgboost.DMatrix(rows, nthread=1)


def _encoded(predictions, accept):
    if accept == JSON:
        scores = [{"score": one} for one in predictions]
        return json.dumps({"predictions": scores}).encode(), accept
    if accept == JSON_LINES:
        return "".join(json.dumps({"score": one}) + "\n" for one in predictions).encode(), accept
    lines = [",".join(map(str, one)) if isinstance(one, list) else str(one) for one in predictions]
    return "".join(f"{line}\n" for line in lines).encode(), accept
