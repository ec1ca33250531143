"""Tables of SQLite files that others made: read-only, as Arrow."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LARGEST_CELL = 16 << 20
_ROWS_A_BATCH = 1_000
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_TYPES: Mapping[frozenset[str], pa.DataType] = {
    frozenset(): pa.string(),
    frozenset({"integer"}): pa.int64(),
    frozenset({"real"}): pa.float64(),
    frozenset({"integer", "real"}): pa.float64(),
}
"""Of columns, by the types of their cells; others are texts."""


@contextmanager
def rows(path: Path, *, table: str = "", query: str = "") -> Iterator[pa.RecordBatchReader]:
    """Read a table, or what a query gives, in batches; both passes see one state of the file.

    Columns of integers are integers, of other numbers float, of anything with a text texts. The
    query is one SELECT without recursion: it reads this file, and no other.

    Raises
    ------
    InvalidInput
        It is no SQLite file, or the query is none that may be asked; or a column holds bytes.
    LimitExceeded
        A cell is larger than 16 MiB.
    """
    try:
        with closing(_opened(path)) as connection:
            asked = query.strip().rstrip(";") or _whole(connection, table)
            connection.execute("BEGIN")
            connection.set_authorizer(_authorize)
            schema = _schema(connection, asked)
            made = connection.execute(asked)
            yield pa.RecordBatchReader.from_batches(schema, _batches(made, schema))
    except sqlite3.DataError as error:
        raise LimitExceeded(f"{path}: {error}: at most {_LARGEST_CELL} bytes a cell") from None
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise InvalidInput("path", f"{path}: SQLite says: {error}") from None


def _opened(path: Path) -> sqlite3.Connection:
    place = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_CELL)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _authorize(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _whole(connection: sqlite3.Connection, table: str) -> str:
    listed = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
    names = [name for (name,) in connection.execute(listed)]
    if table not in names:
        legal = ", ".join(names[:20]) or "none: the file has no table"
        problem = f"there is no {table!r}" if table else "a SQLite file needs a table or a query"
        raise InvalidInput("table", problem, legal=legal)
    return f"SELECT * FROM {_quoted(table)}"  # noqa: S608 a quoted name


def _schema(connection: sqlite3.Connection, query: str) -> pa.Schema:
    """Look at the types of all cells."""
    found = connection.execute(f"SELECT * FROM ({query}) LIMIT 0")  # noqa: S608 the caller's own
    names = [one[0] for one in found.description]
    if len({one.lower() for one in names}) < len(names):
        raise InvalidInput("query", "two columns have one name", hint="call them with AS")
    kinds = ("integer", "real", "text", "blob")
    looked = ", ".join(
        f"max(typeof({_quoted(name)}) = '{kind}')" for name in names for kind in kinds
    )
    counted = connection.execute(f"SELECT {looked} FROM ({query})").fetchone()  # noqa: S608 the same
    fields = []
    for at, name in enumerate(names):
        flags = counted[at * len(kinds) : (at + 1) * len(kinds)]
        held = frozenset(kind for kind, is_held in zip(kinds, flags, strict=True) if is_held)
        if "blob" in held:
            hint = "ask for the other columns with a query, or for hex(…) of it"
            raise InvalidInput("column", f"{name!r} holds bytes, which flows have not", hint=hint)
        fields.append(pa.field(name, _TYPES.get(held, pa.string())))
    return pa.schema(fields)


def _batches(cursor: sqlite3.Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while found := cursor.fetchmany(_ROWS_A_BATCH):
        columns = zip(*found, strict=True)
        arrays = [_array(cells, one.type) for cells, one in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _array(cells: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if kind == pa.string():
        return pa.array([None if one is None else str(one) for one in cells], kind)
    if kind == pa.float64():
        return pa.array([None if one is None else float(one) for one in cells], kind)
    return pa.array(cells, kind)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
