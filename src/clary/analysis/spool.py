"""Rows that only Python can read, put down as Arrow files of texts, in bounded memory."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from pyarrow import dataset

from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROWS_AT_ONCE = 20_000
MOST_COLUMNS = 5_000
_DEEPEST = 32


class Spool:
    """A folder of Arrow files, each with the columns that its rows have.

    Parameters
    ----------
    folder
        Exists, is empty, and is removed by whoever made it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._files: list[str] = []
        self._columns: dict[str, None] = {}

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of names and values; what is nested is flattened, names joined by dots."""
        rest = iter(rows)
        while some := list(islice(rest, ROWS_AT_ONCE)):
            flat = [_flat(row) if _is_nested(row) else row for row in some]
            names = dict.fromkeys(name for row in flat for name in row)
            self.write(
                pa.table(
                    {name: pa.array([_text(row.get(name)) for row in flat]) for name in names}
                    if names
                    else {"_c0": pa.nulls(len(flat), pa.string())}
                )
            )

    def write(self, rows: pa.Table) -> None:
        """Take rows whose columns are texts.

        Raises
        ------
        LimitExceeded
            All rows together have more than 5,000 columns.
        """
        if not rows.num_rows:
            return
        self._columns |= dict.fromkeys(rows.column_names)
        if len(self._columns) > MOST_COLUMNS:
            raise LimitExceeded(f"the rows have more than {MOST_COLUMNS} different columns")
        texts = rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))
        file = self._folder / f"{len(self._files):06}.arrow"
        with pa.ipc.new_file(str(file), texts.schema) as writer:
            writer.write_table(texts)
        self._files.append(str(file))

    def rows(self) -> dataset.Dataset:
        """Give all rows with all columns, in the order in which they came."""
        schema = pa.schema([(name, pa.string()) for name in self._columns])
        if not self._files:
            return dataset.dataset(schema.empty_table())
        return dataset.dataset(self._files, schema=schema, format="arrow")


def _is_nested(row: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict | list) for value in row.values())


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten: ``{"a": {"b": [1, 2]}}`` becomes ``{"a.b.0": 1, "a.b.1": 2}``."""
    flat: dict[str, Any] = {}
    waiting = [("", row, 0)]
    while waiting:
        prefix, value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise LimitExceeded(f"a row is nested more than {_DEEPEST} deep, at {prefix[:100]!r}")
        if isinstance(value, dict):
            parts: Iterable[tuple[Any, Any]] = value.items()
        elif isinstance(value, list):
            parts = enumerate(value)
        else:
            flat[prefix] = value
            continue
        joined = [(f"{prefix}.{name}" if prefix else str(name), one) for name, one in parts]
        waiting += [(name, one, depth + 1) for name, one in reversed(joined)]
    return flat


def _text(value: Any) -> str | None:
    """Write a value as it would stand in a CSV file."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()
