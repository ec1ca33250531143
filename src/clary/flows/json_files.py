"""Files of JSON lines as tables."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import duckdb

from clary.analysis import json_rows
from clary.analysis.spool import MOST_COLUMNS
from clary.flows import csv_files, drawn
from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from clary.flows.drawn import Sampling

_EVERY_KEY = f", map_inference_threshold = {MOST_COLUMNS}, field_appearance_threshold = 0"


def table(
    connection: DuckDBPyConnection, name: str, files: Sequence[Path], sampling: Sampling | None
) -> None:
    """Make a table of objects; every key is a column, however many or rare they are.

    Raises
    ------
    InvalidInput
        A line is no object; names the file and the line.
    LimitExceeded
        There are more than 5,000 columns.
    """
    rows = f"read_json([{csv_files.texts(files)}], union_by_name = true"
    try:
        for options in ("", _EVERY_KEY):
            columns = drawn.described(connection, f"{rows}{options})")
            if not _is_map(columns):
                drawn.table(connection, name, f"{rows}{options})", sampling, columns=columns)
                return
    except duckdb.InvalidInputException:
        deque(json_rows.rows(files), maxlen=0)  # fails at the line, which DuckDB counts otherwise
        raise
    raise LimitExceeded(f"{files[0]}: there are more than {MOST_COLUMNS} columns")


def _is_map(columns: dict[str, str]) -> bool:
    """Whether DuckDB takes the objects themselves for maps, for they have many or rare keys."""
    return list(columns) == ["json"] and columns["json"].startswith("MAP(")
