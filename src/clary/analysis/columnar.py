"""Parquet files and Delta tables as Arrow batches, texts as dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyarrow.dataset import Dataset


def parquet_batches(
    files: Sequence[Path], columns: Sequence[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """Read files in order; a column that a file lacks is null there.

    Raises
    ------
    InvalidInput
        A file is damaged; names it.
    """
    for file in files:
        try:
            with parquet.ParquetFile(file) as plain:
                texts = [one.name for one in plain.schema_arrow if pa.types.is_string(one.type)]
            with parquet.ParquetFile(file, read_dictionary=texts, pre_buffer=False) as opened:
                for batch in opened.iter_batches(rows):
                    yield _with(batch, columns)
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput(str(file), f"no readable Parquet: {error}") from error


def _with(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    there = set(batch.schema.names)
    return pa.record_batch(
        [batch.column(one) if one in there else pa.nulls(len(batch)) for one in columns],
        names=list(columns),
    )


def delta(folder: Path) -> Dataset:
    """Open the current version of a Delta table.

    Raises
    ------
    NotSupported
        The library for it is not installed, or the table uses what that cannot read.
    InvalidInput
        The table is damaged.
    """
    try:
        from deltalake import DeltaTable  # noqa: PLC0415 an optional library
        from deltalake.exceptions import DeltaError, DeltaProtocolError  # noqa: PLC0415 the same
    except ImportError as error:
        hint = 'pip install "clary[features]"'
        raise NotSupported("Delta tables need the library deltalake", hint=hint) from error
    try:
        found: Any = DeltaTable(folder).to_pyarrow_dataset()
    except DeltaProtocolError as error:
        raise NotSupported(f"{folder}: {_said(error)}") from error
    except DeltaError as error:
        raise InvalidInput(str(folder), f"no readable Delta table: {_said(error)}") from error
    return found


def _said(error: Exception) -> str:
    """Give what was wrong, without where in the library it was found."""
    return str(error).partition("\n")[0]
