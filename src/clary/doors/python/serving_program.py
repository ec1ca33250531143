"""Serves any Python object that predicts; goes into a model's archive as ``code/inference.py``.

It imports nothing of clary, and other libraries only for their values. Beside it the archive has
``model.pkl``: the object, or a class to be made here; what the object needs as files is in
``files``.
"""

from __future__ import annotations

import inspect
import io
import json
import pickle
from pathlib import Path
from typing import Any

CSV, JSON, TEXT = "text/csv", "application/json", "text/plain"
NPY, PARQUET = "application/x-npy", "application/vnd.apache.parquet"
BYTES = "application/octet-stream"
FRAME = "dataframe_split"
"""A frame as JSON, as MLflow has it: ``{"dataframe_split": {"columns": …, "data": …}}``."""


class Unpickler(pickle.Unpickler):
    """Reads what was pickled with its sets in order."""

    def persistent_load(self, pid: Any) -> Any:
        """Make the set again."""
        kind, items = pid
        return frozenset(items) if kind == "frozenset" else set(items)


def model_fn(folder: str) -> Any:
    """Load the object; make it first where it is a class."""
    root = Path(folder)
    with (root / "model.pkl").open("rb") as file:
        found = Unpickler(file).load()
    if inspect.isclass(found):
        found = _made(found, str(root / "files"))
    if hasattr(found, "load") and not hasattr(found, "fit"):
        found.load(str(root / "files"))
    if not callable(getattr(found, "predict", None)):
        raise TypeError(f"{type(found).__name__} has no method predict")
    return found


def transform_fn(model: Any, body: Any, content_type: str, accept: str) -> tuple[Any, str]:
    """Answer one request."""
    return written(model.predict(read(body, content_type, model)), accept)


def read(body: Any, content_type: str, model: Any = None) -> Any:
    """Read a payload as what ``predict`` takes."""
    data = body.encode() if isinstance(body, str) else body
    if content_type == JSON:
        return _parsed(json.loads(data), model)
    if content_type == NPY:
        import numpy as np  # noqa: PLC0415 - only for arrays

        return np.load(io.BytesIO(data), allow_pickle=False)
    if content_type == PARQUET:
        import pandas as pd  # noqa: PLC0415 - only for frames

        return pd.read_parquet(io.BytesIO(data))
    if content_type == CSV:
        import numpy as np  # noqa: PLC0415 - only for arrays

        return np.genfromtxt(io.BytesIO(data), delimiter=",", ndmin=2)
    return data.decode() if content_type.startswith("text/") else bytes(data)


def written(value: Any, accept: str) -> tuple[Any, str]:
    """Write what ``predict`` returned: as it is accepted, else as it keeps most."""
    if hasattr(value, "__next__"):
        return value, TEXT if accept in ("", JSON) else accept
    if isinstance(value, (bytes, bytearray)):
        return bytes(value), BYTES
    native = accept in ("", BYTES)
    if hasattr(value, "to_parquet") and native:
        return value.to_parquet(), PARQUET
    if hasattr(value, "to_numpy") and not hasattr(value, "columns"):
        value = value.to_numpy()
    if type(value).__module__ == "numpy" and bool(getattr(value, "ndim", 0)) and native:
        return _array(value)
    if accept == CSV:
        return _rows(value), CSV
    return json.dumps(_plain(value)), JSON


def _made(kind: Any, folder: str) -> Any:
    """Call a class: with the folder of its files, if it must be given something."""
    needed = [
        one
        for one in inspect.signature(kind).parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    return kind(folder) if needed else kind()


def _parsed(value: Any, model: Any) -> Any:
    """Make frames and, for estimators, arrays of JSON."""
    if isinstance(value, dict) and set(value) == {FRAME}:
        import pandas as pd  # noqa: PLC0415 - only for frames

        return pd.DataFrame(value[FRAME]["data"], columns=value[FRAME]["columns"])
    if isinstance(value, list) and hasattr(model, "fit"):
        import numpy as np  # noqa: PLC0415 - only for arrays

        return np.asarray(value)
    return value


def _array(value: Any) -> tuple[Any, str]:
    import numpy as np  # noqa: PLC0415 - it is loaded, as the value is its

    if value.dtype.hasobject:
        return json.dumps(value.tolist()), JSON
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return file.getvalue(), NPY


def _rows(value: Any) -> str:
    if hasattr(value, "to_csv"):
        return str(value.to_csv(index=False, header=False))
    rows = _plain(value)
    rows = rows if isinstance(rows, list) else [rows]
    lines = (",".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _plain(value: Any) -> Any:
    """Turn frames, arrays and their scalars into what JSON has."""
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return {FRAME: json.loads(value.to_json(orient="split", index=False))}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
