"""What the built-in XGBoost reads and writes, as text; needs numpy alone.

The container's programs and the server's compiled models both use it, so that a request gets the
same answer from either.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
ANY = "*/*"
DELIMITERS = ",;\t|"
_CSV = {"csv", "text/csv"}
_LIBSVM = {"libsvm", "text/libsvm", "text/x-libsvm"}
_PARQUET = {"parquet", "application/x-parquet"}
_ACCEPTED = {CSV: CSV, "csv": CSV, ANY: CSV, "": CSV, JSON: JSON, JSON_LINES: JSON_LINES}
_SURPLUS = 1000
_BLOCK = 1024
"""Lines that are read without a pause, in which other threads wait."""


class Unreadable(ValueError):
    """A text that cannot be answered.

    Parameters
    ----------
    status
        The HTTP status that says why: 400, 406 or 415.
    message
        One sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Sparse(NamedTuple):
    """Rows of libsvm text in compressed form: row i is ``[starts[i], starts[i + 1])`` of both."""

    values: list[float]
    columns: list[int]
    starts: list[int]
    labels: list[float]
    weights: list[float]
    groups: list[int]

    @property
    def width(self) -> int:
        """One more than the largest column."""
        return max(self.columns, default=-1) + 1


def media_type(text: str | None) -> str:
    """Return a content type without its parameters, lower case."""
    return (text or "").partition(";")[0].strip().lower()


def data_format(content_type: str | None) -> str:
    """Name the format of a content type: csv, libsvm or parquet; libsvm when there is none."""
    kind = media_type(content_type or "libsvm")
    for name, kinds in (("csv", _CSV), ("libsvm", _LIBSVM), ("parquet", _PARQUET)):
        if kind in kinds:
            return name
    legal = ", ".join(sorted(_CSV | _LIBSVM | _PARQUET))
    raise Unreadable(415, f"the content type {content_type!r} is not one of: {legal}")


def accepted(accept: str | None) -> str:
    """Say which type an answer gets. Raises Unreadable when there is none."""
    kind = media_type(accept)
    if kind not in _ACCEPTED:
        legal = f"{CSV}, {JSON}, {JSON_LINES}"
        raise Unreadable(406, f"the accept type {kind} is not one of: {legal}")
    return _ACCEPTED[kind]


def request(
    body: bytes, content_type: str | None, features: int | None
) -> NDArray[np.float32] | Sparse:
    """Read a request: as many columns as the model has features, libsvm at most as many.

    Parameters
    ----------
    body, content_type
        The request; CSV unless it says something else.
    features
        How many the model has; None takes any number.

    Raises
    ------
    Unreadable
        It is of another type, malformed, of another width, or holds what is no finite float32.
    """
    kind = data_format(content_type or CSV)
    if kind == "parquet":
        raise Unreadable(415, f"the content type {content_type} is not for inference")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(415, str(error)) from None
    if kind == "csv":
        rows = csv_rows(text, "the request", features)
        width, values = rows.shape[1], rows
    else:
        sparse = libsvm_rows(text, "the request")
        width, values = sparse.width, _float32(sparse.values)
    if features is not None and (width > features or (kind == "csv" and width < features)):
        raise _misfit(width, features)
    if np.isinf(values).any():
        raise Unreadable(400, "the prediction failed: a value is infinite or too large")
    return rows if kind == "csv" else sparse


def _misfit(width: int, features: int) -> Unreadable:
    return Unreadable(400, f"the request has {width} features a row, the model {features}")


def csv_rows(text: str, name: str, features: int | None = None) -> NDArray[np.float32]:
    """Read CSV text as a float32 matrix, an empty field as missing.

    Rows that are far wider than ``features`` are refused before they are read.
    """
    lines = [line for line in text.splitlines() if line.strip(" ")]
    if not lines:
        raise Unreadable(415, f"{name} has no rows")
    delimiter = next((one for one in DELIMITERS if one in lines[0]), ",")
    width = lines[0].count(delimiter) + 1
    if features is not None and width > features + _SURPLUS:
        raise _misfit(width, features)
    blocks = []
    for start in range(0, len(lines), _BLOCK):
        block = lines[start : start + _BLOCK]
        try:
            rows = np.loadtxt(block, np.float32, delimiter=delimiter, ndmin=2, comments=None)
        except ValueError:
            rows = None
        if rows is None or rows.shape[1] != width:
            rows = _slow_rows(block, delimiter, name, (start, width))
        blocks.append(rows)
    return blocks[0] if len(blocks) == 1 else np.vstack(blocks)


def _slow_rows(
    lines: list[str], delimiter: str, name: str, place: tuple[int, int]
) -> NDArray[np.float32]:
    """Read rows one by one: takes empty fields, and says which row is wrong."""
    before, width = place
    rows = []
    for number, line in enumerate(lines, before + 1):
        fields = [field.strip().strip('"') for field in line.split(delimiter)]
        try:
            rows.append([float(field) if field else np.nan for field in fields])
        except ValueError as error:
            hint = "; the CSV must have no header" if number == 1 else ""
            raise Unreadable(415, f"{name}, row {number}: {error}{hint}") from None
        if len(fields) != width:
            problem = f"has {len(fields)} columns, the first has {width}"
            raise Unreadable(415, f"{name}, row {number} {problem}")
    return _float32(rows)


def _float32(values: list[float] | list[list[float]]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.array(values, np.float64).astype(np.float32)


def libsvm_rows(text: str, name: str) -> Sparse:
    """Read libsvm text: a label, perhaps ``:`` and a weight, then ``column:value``.

    Of a column that a row has twice the last value counts.
    """
    rows = Sparse([], [], [0], [], [], [])
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            _libsvm_row(words, rows)
        except ValueError:
            problem = f"is not libsvm: {line[:80]!r}"
            raise Unreadable(415, f"{name}, row {number} {problem}") from None
        rows.starts.append(len(rows.columns))
    return rows


def _libsvm_row(words: list[str], rows: Sparse) -> None:
    label, _, weight = words[0].partition(":")
    rows.labels.append(float(label))
    rows.weights.append(float(weight or 1))
    found = {}
    for word in words[1:]:
        column, _, value = word.partition(":")
        if column == "qid":
            rows.groups.append(int(value))
            continue
        number = int(column)
        if not 0 <= number < 2**31:
            raise ValueError(column)
        found[number] = float(value)
    rows.columns.extend(found)
    rows.values.extend(found.values())


def encoded(predictions: list[float] | list[list[float]], accept: str) -> bytes:
    """Write predictions as one of the types that ``accepted`` gives."""
    if accept == JSON:
        return json.dumps({"predictions": [{"score": one} for one in predictions]}).encode()
    if accept == JSON_LINES:
        return "".join(json.dumps({"score": one}) + "\n" for one in predictions).encode()
    lines = [",".join(map(str, one)) if isinstance(one, list) else str(one) for one in predictions]
    return "".join(f"{line}\n" for line in lines).encode()
