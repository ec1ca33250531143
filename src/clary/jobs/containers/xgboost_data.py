"""The data formats of the built-in XGBoost: CSV without a header, libsvm, parquet."""

from __future__ import annotations

import sys

import tabular
from job_files import JobError

_HIDDEN = sys.modules.setdefault("sklearn", None) is None  # importing it takes xgboost a second
import numpy as np  # noqa: E402 - after the line above
import xgboost  # noqa: E402 - after the line above

if _HIDDEN:
    del sys.modules["sklearn"]


def data_format(content_type):
    """Name the format of a content type: csv, libsvm or parquet; libsvm when there is none."""
    return _read(tabular.data_format, content_type)


def load(files, content_type, *, weighted):
    """Read training files as one labelled DMatrix."""
    read = {"csv": _load_csv, "libsvm": _load_libsvm, "parquet": _load_parquet}
    return read[data_format(content_type)](files, weighted)


def csv_rows(text, name):
    """Read CSV text as a float32 matrix, an empty field as missing."""
    return _read(tabular.csv_rows, text, name)


def libsvm_rows(text, name):
    """Read libsvm text: (sparse matrix, labels, weights or None, groups or None)."""
    rows = _read(tabular.libsvm_rows, text, name)
    weighted = any(weight != 1 for weight in rows.weights)
    weights = np.array(rows.weights) if weighted else None
    return compressed(rows, rows.width), np.array(rows.labels), weights, rows.groups or None


def compressed(rows, width):
    """Make libsvm rows a sparse matrix of ``width`` columns."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - dear, and only libsvm needs it

    values = np.array(rows.values, np.float32)
    return csr_matrix((values, rows.columns, rows.starts), shape=(len(rows.labels), width))


def _read(read, *arguments):
    """Call a function of ``tabular``; a text that it cannot read is the job's failure."""
    try:
        return read(*arguments)
    except tabular.Unreadable as error:
        raise JobError(error.message) from None


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
