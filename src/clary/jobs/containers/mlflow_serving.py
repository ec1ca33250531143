"""MLflow models of the pyfunc flavor, asked as MLflow's own scoring server is."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
from job_files import MODEL, JobError
from serving import CSV, JSON, Refused, media_type

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def load():
    """Load the model that the file MLmodel describes."""
    try:
        from mlflow import pyfunc  # noqa: PLC0415 - it may be missing
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - it may be missing
    except ImportError as error:
        raise JobError(f"the model needs the package mlflow-skinny: {error}") from None
    model = pyfunc.load_model(str(MODEL))
    schema = model.metadata.get_input_schema()

    def handler(body, content_type, _accept, _context=None):
        data, params = read(body, media_type(content_type) or JSON, schema)
        if isinstance(data, pd.DataFrame):
            data = fitted(data, schema)
        try:
            found = model.predict(data, params=params) if params else model.predict(data)
        except MlflowException as error:
            raise Refused(400, str(error)) from None
        return written(found).encode(), JSON

    return handler


def read(body, kind, schema):
    """Read a payload: what is predicted, and parameters or None."""
    try:
        text = body.decode("utf-8")
        if kind == CSV:
            return pd.read_csv(io.StringIO(text)), None
        if kind == JSON:
            return _of_json(json.loads(text), schema)
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(
            400, f"the payload is not {kind} as MLflow's models take it: {error}"
        ) from None
    raise Refused(415, f"the content type {kind} is not one of: {CSV}, {JSON}")


def fitted(frame, schema):
    """Give columns the types of the model's signature where JSON and CSV have no words for them.

    What does not fit without loss stays as it is: the model says what is wrong with it.
    """
    if schema is None or schema.is_tensor_spec():
        return frame
    for column in schema.inputs:
        if column.name in frame and hasattr(column.type, "to_pandas"):
            try:
                frame[column.name] = _cast(frame[column.name], column.type)
            except (ValueError, TypeError):
                continue
    return frame


def written(predictions):
    """Write predictions as MLflow's scoring server does."""
    if isinstance(predictions, pd.DataFrame):
        predictions = predictions.to_dict(orient="records")
    elif isinstance(predictions, (pd.Series, np.ndarray)):
        predictions = predictions.tolist()
    return json.dumps({"predictions": predictions}, default=_plain)


def _of_json(document, schema):
    given = [name for name in _FORMATS if name in document] if isinstance(document, dict) else []
    if len(given) != 1:
        raise ValueError(f"it must be an object with one of: {', '.join(_FORMATS)}")
    data = document[given[0]]
    if given[0] == "dataframe_split":
        frame = pd.DataFrame(data["data"], columns=data.get("columns"), index=data.get("index"))
    elif given[0] == "dataframe_records":
        frame = pd.DataFrame(data)
    else:
        frame = _of_tensors(data, schema)
    return frame, document.get("params")


def _of_tensors(data, schema):
    """Read what TensorFlow's servers take: rows, or columns by name."""
    if schema is not None and schema.is_tensor_spec():
        types = dict(zip(schema.input_names(), schema.numpy_types()))  # noqa: B905 - Python 3.9 has no strict
        if isinstance(data, dict):
            return {name: np.array(values, types.get(name)) for name, values in data.items()}
        if data and isinstance(data[0], dict):
            return {
                name: np.array([row[name] for row in data], types.get(name)) for name in data[0]
            }
        return np.array(data, schema.numpy_types()[0])
    if isinstance(data, dict) or (data and isinstance(data[0], dict)):
        return pd.DataFrame(data)
    names = schema.input_names() if schema is not None and schema.has_input_names() else None
    return pd.DataFrame(data, columns=names) if names else np.array(data)


def _cast(values, kind):
    """Give one column its type, unless that changes it."""
    if kind.name == "string":
        return values if values.dtype == object else values.astype(str)
    wanted = np.dtype(kind.to_pandas())
    if wanted.kind not in "fiM":
        return values
    cast = values.astype(wanted)
    return values if wanted.kind == "i" and not (cast == values).all() else cast


def _plain(value):
    """Write what numpy and pandas have for numbers and times."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)
