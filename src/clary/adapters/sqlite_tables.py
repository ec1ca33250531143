"""Tables of SQLite files that others made: read-only, as Arrow."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LARGEST_CELL = 16 << 20
_ROWS_A_BATCH = 1_000
_STEPS_A_LOOK = 1_000_000
"""After so many steps of a query Python looks whether somebody has interrupted it."""
_WRITE_VERSION, _LOGGED = 18, b"\2"
"""Where a file says how it is written, and what it says where writes go to a log first."""
_MEND = "open it with SQLite once, which mends it"
_KINDS = ("null", "integer", "real", "text", "blob")
"""Types of cells; a column is of the last of those that its cells have."""
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_TYPES: Mapping[str, pa.DataType] = {"integer": pa.int64(), "real": pa.float64()}
"""Others are texts."""


@contextmanager
def rows(path: Path, *, table: str = "", query: str = "") -> Iterator[pa.RecordBatchReader]:
    """Read a table, or what a query gives, in batches; both passes see one state of the file.

    Columns of integers are integers, of other numbers float, of anything with a text texts. The
    query is one SELECT without recursion: it reads this file, and no other. Nothing is left
    beside the file.

    Raises
    ------
    InvalidInput
        It is no SQLite file, or the query is none that may be asked; or a column holds bytes, or
        a text that is no UTF-8. Or a program was stopped while it wrote the file, or wrote it
        while it was read.
    LimitExceeded
        A cell is larger than 16 MiB.
    """
    guard = _Guard()
    try:
        alone = _is_alone(path)
        before = path.stat()
        with closing(_opened(path, alone=alone)) as connection:
            asked = query.strip().rstrip(";") or _whole(connection, table)
            connection.execute("BEGIN")
            connection.set_authorizer(guard)
            made = connection.execute(asked)
            schema = _schema(connection, asked, [one[0] for one in made.description])
            yield pa.RecordBatchReader.from_batches(schema, _batches(made, schema))
        after = path.stat()
        if alone and (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise InvalidInput("path", f"{path} was written to while it was read", hint="try again")
    except sqlite3.DataError as error:
        raise LimitExceeded(f"{path}: {error}: at most {_LARGEST_CELL} bytes a cell") from None
    except (sqlite3.Error, sqlite3.Warning) as error:
        kind = getattr(error, "sqlite_errorname", "")
        denied = kind == "SQLITE_AUTH" or "not authorized to use function" in str(error)
        if kind == "SQLITE_INTERRUPT" or (denied and not guard.refused):
            raise KeyboardInterrupt from None
        hint = _MEND if kind == "SQLITE_READONLY_ROLLBACK" else ""
        raise InvalidInput("path", f"{path}: SQLite says: {error}", hint=hint) from None


def _is_alone(path: Path) -> bool:
    """Whether nobody has a file open to write, so that it needs no journal to be read.

    Raises
    ------
    InvalidInput
        A journal is left of a program that was stopped: reading the file would mend it.
    """
    with path.open("rb") as file:
        if file.read(_WRITE_VERSION + 1)[_WRITE_VERSION:] != _LOGGED:
            return False
    log = Path(f"{path}-wal")
    if not log.is_file() or not log.stat().st_size:
        return True
    if not Path(f"{path}-shm").is_file():
        raise InvalidInput("path", f"{path} was left in the middle of a write", hint=_MEND)
    return False


def _opened(path: Path, *, alone: bool) -> sqlite3.Connection:
    place = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_CELL)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(lambda: 0, _STEPS_A_LOOK)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    return connection


class _Guard:
    """Refuse what is no reading, and know of it.

    SQLite takes an exception in here, also that of Ctrl+C, for a refusal.
    """

    refused = False

    def __call__(self, action: int, *_: str | None) -> int:
        if action in _ALLOWED:
            return sqlite3.SQLITE_OK
        self.refused = True
        return sqlite3.SQLITE_DENY


def _whole(connection: sqlite3.Connection, table: str) -> str:
    listed = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
    names = [name for (name,) in connection.execute(listed)]
    if table not in names:
        legal = ", ".join(names[:20]) or "none: the file has no table"
        problem = f"there is no {table!r}" if table else "a SQLite file needs a table or a query"
        raise InvalidInput("table", problem, legal=legal)
    return f"SELECT * FROM {_quoted(table)}"  # noqa: S608 a quoted name


def _schema(connection: sqlite3.Connection, query: str, names: list[str]) -> pa.Schema:
    """Look at the types of all cells."""
    if len({one.lower() for one in names}) < len(names):
        raise InvalidInput("query", "two columns have one name", hint="call them with AS")
    cases = " ".join(f"WHEN '{kind}' THEN {rank}" for rank, kind in enumerate(_KINDS))
    looked = ", ".join(
        f"max(CASE typeof({_quoted(name)}) {cases} ELSE {_KINDS.index('null')} END)"
        for name in names
    )
    counted = connection.execute(f"SELECT {looked} FROM ({query})").fetchone()  # noqa: S608 the caller's own
    fields = []
    for name, rank in zip(names, counted, strict=True):
        kind = _KINDS[rank or 0]
        if kind == "blob":
            hint = "ask for the other columns with a query, or for hex(…) of it"
            raise InvalidInput("column", f"{name!r} holds bytes, which flows have not", hint=hint)
        fields.append(pa.field(name, _TYPES.get(kind, pa.string())))
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
