"""The data formats of the built-in XGBoost: CSV without a header, libsvm, parquet."""

from __future__ import annotations

import sys

from job_files import JobError

_HIDDEN = sys.modules.setdefault("sklearn", None) is None  # importing it takes xgboost a second
import numpy as np  # noqa: E402 - after the line above
import xgboost  # noqa: E402 - after the line above

if _HIDDEN:
    del sys.modules["sklearn"]

_CSV = {"csv", "text/csv"}
_LIBSVM = {"libsvm", "text/libsvm", "text/x-libsvm"}
_PARQUET = {"parquet", "application/x-parquet"}
DELIMITERS = ",;\t|"


def data_format(content_type):
    """Name the format of a content type: csv, libsvm or parquet; libsvm when there is none."""
    kind = (content_type or "libsvm").partition(";")[0].strip().lower()
    for name, kinds in (("csv", _CSV), ("libsvm", _LIBSVM), ("parquet", _PARQUET)):
        if kind in kinds:
            return name
    legal = ", ".join(sorted(_CSV | _LIBSVM | _PARQUET))
    raise JobError(f"the content type {content_type!r} is not one of: {legal}")


def load(files, content_type, *, weighted):
    """Read training files as one labelled DMatrix."""
    read = {"csv": _load_csv, "libsvm": _load_libsvm, "parquet": _load_parquet}
    return read[data_format(content_type)](files, weighted)


def csv_rows(text, name):
    """Read CSV text as a float32 matrix, an empty field as missing."""
    lines = [line for line in text.splitlines() if line.strip(" ")]
    if not lines:
        raise JobError(f"{name} has no rows")
    delimiter = next((one for one in DELIMITERS if one in lines[0]), ",")
    try:
        return np.loadtxt(lines, dtype=np.float32, delimiter=delimiter, ndmin=2, comments=None)
    except ValueError:
        return _slow_rows(lines, delimiter, name)


def _slow_rows(lines, delimiter, name):
    """Read rows one by one: takes empty fields, and says which row is wrong."""
    rows = []
    for number, line in enumerate(lines, 1):
        fields = [field.strip().strip('"') for field in line.split(delimiter)]
        try:
            rows.append([float(field) if field else np.nan for field in fields])
        except ValueError as error:
            hint = "; the CSV must have no header" if number == 1 else ""
            raise JobError(f"{name}, row {number}: {error}{hint}") from None
        if len(rows[0]) != len(rows[-1]):
            raise JobError(
                f"{name}, row {number} has {len(rows[-1])} columns, the first has {len(rows[0])}"
            )
    return np.array(rows, dtype=np.float32)


def libsvm_rows(text, name):
    """Read libsvm text: (sparse matrix, labels, weights or None, groups or None)."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - dear, and only libsvm needs it

    labels, weights, groups = [], [], []
    values, columns, starts = [], [], [0]
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            label, _, weight = words[0].partition(":")
            labels.append(float(label))
            weights.append(float(weight or 1))
            for word in words[1:]:
                column, _, value = word.partition(":")
                if column == "qid":
                    groups.append(int(value))
                else:
                    columns.append(int(column))
                    values.append(float(value))
        except ValueError:
            raise JobError(f"{name}, row {number} is not libsvm: {line[:80]!r}") from None
        starts.append(len(columns))
    width = max(columns, default=-1) + 1
    shape = (len(labels), width)
    matrix = csr_matrix((np.array(values, np.float32), columns, starts), shape=shape)
    weighted = any(weight != 1 for weight in weights)
    return matrix, np.array(labels), np.array(weights) if weighted else None, groups or None


def _labelled(matrix, weighted):
    if matrix.shape[1] < 2 + weighted:
        raise JobError(
            f"the CSV has {matrix.shape[1]} columns; the label comes first, then features"
        )
    weight = matrix[:, 1] if weighted else None
    return xgboost.DMatrix(matrix[:, 1 + weighted :], label=matrix[:, 0], weight=weight)


def _load_csv(files, weighted):
    parts = [csv_rows(file.read_text("utf-8"), file.name) for file in files if file.stat().st_size]
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) != 1:
        raise JobError(f"the CSV files have rows of {widths or 'no'} columns")
    return _labelled(np.vstack(parts), weighted)


def _load_libsvm(files, _weighted):
    text = "\n".join(file.read_text("utf-8") for file in files)
    matrix, labels, weights, groups = libsvm_rows(text, files[0].name)
    if not len(labels):
        raise JobError("the libsvm files have no rows")
    return xgboost.DMatrix(matrix, label=labels, weight=weights, qid=groups)


def _load_parquet(files, weighted):
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an optional package
    except ImportError:
        raise JobError("parquet needs the package pyarrow, which is not installed here") from None
    tables = [parquet.read_table(file) for file in files]
    return _labelled(
        np.vstack(
            [np.column_stack([column.to_numpy() for column in table.columns]) for table in tables]
        ).astype(np.float32),
        weighted,
    )
