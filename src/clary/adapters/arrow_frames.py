"""Tables of Arrow from and to the frames of other libraries, and to Parquet that repeats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import library
from clary.features.point_in_time import Encoded
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clary.features.point_in_time import Form

_ROWS_A_GROUP = 1 << 20


def table(frame: Any) -> Any:
    """Make an Arrow table of one, or of a pandas or Polars frame, or of what exports Arrow.

    Raises
    ------
    InvalidInput
        It is none of them, its columns are no texts or not unique, or a column cannot be Arrow.
    """
    pa = library("pyarrow")
    if isinstance(frame, pa.Table):
        made = frame
    elif hasattr(frame, "iloc"):
        made = _read(lambda: pa.Table.from_pandas(frame, preserve_index=False))
    elif hasattr(frame, "__arrow_c_stream__"):
        made = _read(lambda: pa.table(frame))
    else:
        raise InvalidInput(
            "labels",
            f"is a {type(frame).__name__}",
            legal="an Arrow table, a pandas or a Polars data frame",
        )
    if len({one.lower() for one in made.column_names}) != made.num_columns:
        raise InvalidInput("labels", "two columns have the same name, but for case")
    return made


def _read(convert: Any) -> Any:
    try:
        return convert()
    except (TypeError, ValueError) as error:  # Arrow's errors are both
        raise InvalidInput("labels", str(error)) from error


def numbered(labels: Any, column: str) -> Any:
    """Append the number of each row, from 0."""
    pa = library("pyarrow")
    return labels.append_column(column, pa.arange(0, labels.num_rows))


def beside(left: Any, right: Any) -> Any:
    """Put the columns of two tables of as many rows side by side."""
    for field, column in zip(right.schema, right.columns, strict=True):
        left = left.append_column(field, column)
    return left


def convert(made: Any, form: Form) -> Any:
    """Give a table as it is, or as a frame of pandas or Polars."""
    if form == "pandas":
        return made.to_pandas()
    if form == "polars":
        return _polars().from_arrow(made)
    return made


def encode(made: Any) -> Encoded:
    """Write Parquet whose bytes depend on nothing but the cells, their types and names."""
    pa = library("pyarrow")
    sink = pa.BufferOutputStream()
    whole = made.combine_chunks()
    write = library("pyarrow.parquet").write_table
    write(whole, sink, compression="zstd", row_group_size=_ROWS_A_GROUP)
    return Encoded(sink.getvalue().to_pybytes(), whole.num_rows)


def decode(data: bytes) -> Any:
    """Read Parquet."""
    pa = library("pyarrow")
    return library("pyarrow.parquet").read_table(pa.BufferReader(data))


def _polars() -> Any:
    try:
        return import_module("polars")
    except ImportError as error:
        raise NotSupported("a Polars frame needs Polars", hint="pip install polars") from error


def parquet_rows(path: Path, at_once: int) -> Iterator[list[dict[str, Any]]]:
    """Read the rows of a Parquet file in portions. Raises InvalidInput when it is none."""
    pa = library("pyarrow")
    try:
        for batch in library("pyarrow.parquet").ParquetFile(path).iter_batches(at_once):
            yield batch.to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidInput("file", f"is no Parquet that can be read: {error}") from None
