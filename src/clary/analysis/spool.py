"""Rows that only Python can read, put down as Arrow files of texts, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROWS_AT_ONCE = 20_000
MOST_COLUMNS = 5_000
_TEXT_AT_ONCE = 64 << 20
_LARGEST_BYTES = 32 << 30
_NESTED = (dict, list)
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
        self._bytes = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of names and values; what is nested is flattened, names joined by dots."""
        waiting: list[Mapping[str, Any]] = []
        size = 0
        for row in rows:
            flat = _flat(row) if any(type(one) in _NESTED for one in row.values()) else row
            waiting.append(flat)
            size += sum([len(one) for one in flat.values() if type(one) is str])
            if len(waiting) == ROWS_AT_ONCE or size > _TEXT_AT_ONCE:
                self._put(waiting)
                waiting, size = [], 0
        self._put(waiting)

    def _put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        names = dict.fromkeys(name for row in rows for name in row) or ["_c0"]
        self.write(pa.table({name: _texts([row.get(name) for row in rows]) for name in names}))

    def write(self, rows: pa.Table) -> None:
        """Take rows whose columns are texts.

        Raises
        ------
        LimitExceeded
            All rows together have more than 5,000 columns, or need more than 32 GiB.
        """
        if not rows.num_rows:
            return
        self._columns |= dict.fromkeys(rows.column_names)
        if len(self._columns) > MOST_COLUMNS:
            raise LimitExceeded(f"the rows have more than {MOST_COLUMNS} different columns")
        texts = rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))
        file = self._folder / f"{len(self._files):06}.arrow"
        with pa.ipc.new_file(str(file), texts.schema) as writer:
            writer.write_table(texts.combine_chunks(), max_chunksize=ROWS_AT_ONCE)
        self._files.append(str(file))
        self._bytes += file.stat().st_size
        if self._bytes > _LARGEST_BYTES:
            raise LimitExceeded(f"the rows need more than {_LARGEST_BYTES >> 30} GiB")

    def rows(self) -> pa.Table:
        """Give all rows with all columns, in the order in which they came, mapped into memory."""
        parts = [pa.ipc.open_file(pa.memory_map(file)).read_all() for file in self._files]
        if not parts:
            return pa.schema([]).empty_table()
        return pa.concat_tables(parts, promote_options="default")


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


def _texts(values: Sequence[Any]) -> pa.Array:
    """Write values as they would stand in a CSV file; columns of one type fast."""
    kinds = set(map(type, values))
    if kinds <= {str, NoneType}:
        return pa.array(values, pa.string())
    if kinds <= {int, float, NoneType}:
        return pa.array([None if one is None else repr(one) for one in values], pa.string())
    return pa.array([_text(one) for one in values], pa.string())


def _text(value: Any) -> str | None:
    """Write a value as it would stand in a CSV file."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()
