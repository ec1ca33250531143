"""Values as the bodies of inference requests, and answers as values again."""

from __future__ import annotations

import io
import json
from typing import Any

from clary.doors.python.serving_program import BYTES, CSV, FRAME, JSON, NPY, PARQUET, TEXT, read
from clary.kernel.errors import InvalidInput

NATIVE = BYTES
"""Accepted of a Python object: whatever keeps most of what it returns."""
_LEGAL = "a data frame, an array, text, bytes, or what JSON has"


def encode(value: Any, *, any_python: bool, rows_only: bool) -> tuple[bytes, str]:
    """Write a value; returns the body and its content type.

    Parameters
    ----------
    any_python
        The model is a Python object that this door has packed: it takes every kind of value.
    rows_only
        The model is the built-in XGBoost: it takes rows of numbers as CSV.

    Raises
    ------
    InvalidInput
        The value is of a kind that cannot be sent.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value), BYTES
    if isinstance(value, str):
        plain = (value.encode(), CSV)
        return (json.dumps(value).encode(), JSON) if any_python else plain
    if hasattr(value, "to_parquet"):
        return (value.to_parquet(), PARQUET) if any_python else (_frame_rows(value), CSV)
    if hasattr(value, "to_numpy"):  # a series: a row
        value = value.to_numpy()
    if type(value).__module__ == "numpy" and bool(getattr(value, "ndim", 0)) and not rows_only:
        return _array(value), NPY
    if rows_only:
        return _rows(value), CSV
    try:
        return json.dumps(_bare(value)).encode(), JSON
    except (TypeError, ValueError) as error:
        raise InvalidInput("data", f"cannot be sent: {error}", legal=_LEGAL) from None


def by_name(frame: Any) -> tuple[bytes, str]:
    """Write a pandas frame as JSON with the names of its columns."""
    found = json.loads(frame.to_json(orient="split", index=False, date_format="iso"))
    body = {FRAME: {"columns": found["columns"], "data": found["data"]}}
    return json.dumps(body).encode(), JSON


def decode(body: bytes, content_type: str) -> Any:
    """Read an answer: JSON as its value, CSV and NumPy's format as an array, Parquet as a frame.

    Other text is text, and anything else bytes.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == CSV:
        return _numbers(body.decode())
    if kind in (JSON, NPY, PARQUET):
        return read(body, kind)
    return body.decode() if kind == TEXT or kind.startswith("text/") else body


def _frame_rows(frame: Any) -> bytes:
    text: str = frame.to_csv(index=False, header=False)
    return text.encode()


def _array(value: Any) -> bytes:
    import numpy as np  # noqa: PLC0415 - it is loaded, as the value is its

    if value.dtype.hasobject:
        raise InvalidInput("data", "an array of objects cannot be sent", legal="numbers or texts")
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return file.getvalue()


def _rows(value: Any) -> bytes:
    """Write one row or several."""
    rows = _bare(value)
    if not isinstance(rows, list | tuple) or not rows:
        raise InvalidInput("data", f"a {type(value).__name__} is no row", legal="rows of numbers")
    rows = rows if isinstance(rows[0], list | tuple) else [rows]
    return "".join(
        ",".join("" if one is None else str(one) for one in row) + "\n" for row in rows
    ).encode()


def _bare(value: Any) -> Any:
    """Turn NumPy's values into Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(one) for one in value]
    return value


def _numbers(text: str) -> Any:
    """Read CSV as an array of one or two dimensions, or as lists where NumPy is missing."""
    rows = [line.split(",") for line in text.strip().splitlines()]
    try:
        numbers: Any = [[float(one) for one in row] for row in rows]
    except ValueError:
        return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows
    flat = all(len(row) == 1 for row in numbers)
    numbers = [row[0] for row in numbers] if flat else numbers
    try:
        import numpy as np  # noqa: PLC0415 - not everybody has it
    except ModuleNotFoundError:
        return numbers
    return np.array(numbers)
