"""A data set as a table, whatever its files are.

``open_table``, ``Table.columns``, ``rows``, ``relation``, ``sql``, ``batches`` and ``close`` are
final.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

import duckdb

from clary.analysis import delimited, sources
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from clary.analysis.sources import Format

ROWS_A_BATCH = 122_880
_MEMORY = "512MiB"
_THREADS = 2
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_AS_THEY_ARE = ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR")


class Table:
    """A data set that DuckDB reads; use it as a context manager, or ``close`` it.

    Parameters
    ----------
    connection
        Has the view ``cells``.
    is_text
        Whether every column of that view is a text which stands as it stood in the file.
    """

    def __init__(
        self, connection: DuckDBPyConnection, *, is_text: bool, closing: ExitStack
    ) -> None:
        self._connection = connection
        self._is_text = is_text
        self._closing = closing
        self._typed: DuckDBPyRelation | None = None
        self._rows: int | None = None
        with _reading():
            described = connection.execute("DESCRIBE cells").fetchall()
        self._types = {row[0]: row[1] for row in described}

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order; ``_c0``, ``_c1``, … where the file has none."""
        return tuple(self._types)

    @property
    def rows(self) -> int:
        """How many there are."""
        if self._rows is None:
            with _reading():
                (self._rows,) = self._connection.execute(
                    "SELECT count(*) FROM cells"
                ).fetchone() or (0,)
        return self._rows

    @property
    def relation(self) -> DuckDBPyRelation:
        """The rows with types: texts that are all integers as BIGINT, all numbers as DOUBLE."""
        if self._typed is None:
            with _reading():
                self._connection.execute(
                    f"CREATE TEMP VIEW dataset AS SELECT {self._casts()} FROM cells"
                )
                self._typed = self._connection.table("dataset")
        return self._typed

    def sql(self, text: str) -> DuckDBPyRelation:
        """Ask in SQL; the rows of ``relation`` are the table ``dataset``."""
        _ = self.relation
        return self._connection.sql(text)

    def batches(self, rows: int = ROWS_A_BATCH) -> Iterator[pa.RecordBatch]:
        """Give all rows in order, as Arrow batches of int64, double, bool and string columns.

        Texts of a CSV file stay texts.

        Raises
        ------
        InvalidInput
            A file cannot be read; names it, and the line and column where they are known.
        """
        chosen = ", ".join(_plain(name, kind) for name, kind in self._types.items())
        with _reading():
            reader = self._connection.sql(f"SELECT {chosen} FROM cells").to_arrow_reader(rows)
            yield from reader

    def close(self) -> None:
        """Let go of files and memory."""
        self._connection.close()
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _casts(self) -> str:
        if not self._is_text:
            return "*"
        tests = ", ".join(map(_tests, self._types))
        found = self._connection.execute(f"SELECT {tests} FROM cells").fetchone() or ()
        return ", ".join(_typed(one, *test) for one, test in zip(self._types, found, strict=True))


def open_table(
    source: str | Path | Sequence[str | Path],
    *,
    format: Format | None = None,  # noqa: A002 the word of the field
    header: bool = True,
) -> Table:
    """Open a data set.

    Parameters
    ----------
    source
        A file, a folder of files, or some files: CSV, JSON lines, Parquet, each also compressed.
    format
        Told from the names and beginnings of the files where it is not given.
    header
        Whether the first line of a CSV file names the columns; else they are ``_c0``, ``_c1``, ….

    Raises
    ------
    InvalidInput
        There is nothing to read, or it cannot be read as what it should be.
    """
    found = sources.find(source, format)
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="table-"))
        connection = _connect(folder)
        if found.format == "csv":
            select, is_text = delimited.select(found.files, has_header=header), True
        else:
            select, is_text = (
                f"SELECT * FROM read_parquet([{texts(found.files)}], union_by_name = true)",
                False,
            )
        with _reading():
            connection.execute(f"CREATE TEMP VIEW cells AS {select}")
        return Table(connection, is_text=is_text, closing=closing.pop_all())


def name(text: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + text.replace('"', '""') + '"'


def texts(values: Sequence[object]) -> str:
    """Quote texts for SQL, with commas between."""
    return ", ".join("'" + str(value).replace("'", "''") + "'" for value in values)


def _connect(folder: str) -> DuckDBPyConnection:
    return duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "temp_directory": folder,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def _plain(column: str, kind: str) -> str:
    quoted = name(column)
    if kind in _AS_THEY_ARE:
        return quoted
    if kind in _INTEGERS:
        return f"CAST({quoted} AS BIGINT) AS {quoted}"
    if kind in ("FLOAT", "HUGEINT", "UBIGINT") or kind.startswith("DECIMAL"):
        return f"CAST({quoted} AS DOUBLE) AS {quoted}"
    return f"CAST({quoted} AS VARCHAR) AS {quoted}"


def _tests(column: str) -> str:
    """Ask whether all texts of a column are integers, and whether all are numbers."""
    quoted = name(column)
    return (
        f"[bool_and({quoted} IS NULL"
        f" OR TRY_CAST({quoted} AS BIGINT) IS NOT NULL AND NOT contains({quoted}, '.')),"
        f" bool_and({quoted} IS NULL OR TRY_CAST({quoted} AS DOUBLE) IS NOT NULL)]"
    )


def _typed(column: str, is_integral: bool | None, is_number: bool | None) -> str:  # noqa: FBT001 a row of SQL's answer
    quoted = name(column)
    if is_integral:
        return f"CAST({quoted} AS BIGINT) AS {quoted}"
    return f"CAST({quoted} AS DOUBLE) AS {quoted}" if is_number else quoted


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise LimitExceeded(f"reading needs more than {_MEMORY} of memory") from error
    except duckdb.Error as error:
        raise InvalidInput("dataset", str(error).split("\n")[0]) from error
