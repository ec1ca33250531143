"""A data set as a table, whatever its files are.

``open_table``, ``Table.columns``, ``rows``, ``relation``, ``sql``, ``batches`` and ``close`` are
final.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pyarrow as pa

from clary.analysis import captured_rows, columnar, delimited, json_rows, sources
from clary.analysis.captured_rows import SIDES
from clary.analysis.captures import Faults
from clary.analysis.cells import INTEGRAL, NUMBER
from clary.analysis.spool import Spool
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from pyarrow.dataset import Dataset

    from clary.analysis.captures import Window
    from clary.analysis.sources import Format

_MOST_ROWS_A_BATCH = 1 << 17  # of which whole row groups of common sizes are made
_CELLS_A_BATCH = 20 * _MOST_ROWS_A_BATCH
_MEMORY = "512MiB"
_THREADS = 2


Batches = Callable[[Sequence[str], int], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class _Cells:
    """How the values of a data set are read.

    Parameters
    ----------
    view
        The query that reads them.
    scanned
        Arrow rows that the query finds as ``scanned``.
    batches
        Reads columns in batches of so many rows; None asks DuckDB.
    is_text
        Whether all values are texts, as they stand in the files.
    """

    view: str = "SELECT * FROM scanned"
    scanned: pa.Table | Dataset | None = None
    batches: Batches | None = None
    is_text: bool = False


class Table:
    """A data set; use it as a context manager, or ``close`` it.

    ``faults`` counts captured requests that could not be read and names the first twenty.
    """

    def __init__(self, cells: _Cells, closing: ExitStack, faults: Faults) -> None:
        self.faults = faults
        self._cells = cells
        self._typed: DuckDBPyRelation | None = None
        self._rows: int | None = None
        with _reading():
            self._connection = closing.enter_context(_connect(closing))
            if cells.scanned is None:
                self._connection.execute(f"CREATE VIEW cells AS {cells.view}")
                self._columns = tuple(self._connection.table("cells").columns)
            else:
                self._columns = tuple(cells.scanned.schema.names)
        self._closing = closing.pop_all()

    @cached_property
    def _asking(self) -> DuckDBPyConnection:
        """What answers SQL about ``cells``; it is shown Arrow rows when it is first asked."""
        if self._cells.scanned is not None:
            nothing = "SELECT NULL AS nothing WHERE false"
            if self._columns:
                self._connection.register("scanned", self._cells.scanned)
            view = self._cells.view if self._columns else nothing
            self._connection.execute(f"CREATE VIEW cells AS {view}")
        return self._connection

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order; ``_c0``, ``_c1``, … where the file has none."""
        return self._columns

    @property
    def rows(self) -> int:
        """How many there are."""
        if self._rows is None:
            with _reading():
                answer = self._asking.execute("SELECT count(*) FROM cells").fetchall()
            self._rows = int(answer[0][0])
        return self._rows

    @property
    def relation(self) -> DuckDBPyRelation:
        """The rows with types: texts that are all integers as BIGINT, all numbers as DOUBLE."""
        if self._typed is None:
            with _reading():
                self._asking.execute(f"CREATE VIEW dataset AS SELECT {self._casts()} FROM cells")
                self._typed = self._asking.table("dataset")
        return self._typed

    def sql(self, text: str) -> DuckDBPyRelation:
        """Ask in SQL; the rows of ``relation`` are the table ``dataset``."""
        _ = self.relation
        return self._asking.sql(text)

    def batches(self, rows: int = 0) -> Iterator[pa.RecordBatch]:
        """Give all rows in order, as Arrow batches.

        Values of CSV, JSON and captures are texts as they stand there; texts of Parquet are
        dictionaries.

        Parameters
        ----------
        rows
            At most in a batch; 0 for so many that a batch has up to 2.6 million cells.

        Raises
        ------
        InvalidInput
            A file cannot be read; names it, and the line and column where they are known.
        """
        read = self._cells.batches or self._asked
        with _reading():
            yield from read(self.columns, rows or self._rows_a_batch)

    @property
    def _rows_a_batch(self) -> int:
        return min(_MOST_ROWS_A_BATCH, _CELLS_A_BATCH // max(1, len(self.columns)))

    def _asked(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        chosen = ", ".join(map(name, columns))
        with self._asking.cursor() as apart:
            yield from apart.sql(f"SELECT {chosen} FROM cells").to_arrow_reader(rows)

    def close(self) -> None:
        """Let go of files and memory."""
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
        if not self._cells.is_text:
            return "*"
        tests = ", ".join(map(_tests, self._columns))
        found = self._asking.execute(f"SELECT {tests} FROM cells").fetchall()
        return ", ".join(
            _typed(one, *test) for one, test in zip(self._columns, found[0], strict=True)
        )


def open_table(
    source: str | Path | Sequence[str | Path],
    *,
    format: Format | None = None,  # noqa: A002 the word of the field
    header: bool = True,
    captures: Collection[str] = SIDES,
    window: Window | None = None,
) -> Table:
    """Open a data set.

    Parameters
    ----------
    source
        A file, a folder of files, or some files of one format: CSV, JSON (an object a line, or a
        list of them; what is nested gets names joined by dots), Parquet, a Delta table, captured
        requests. CSV and JSON may be compressed by gzip or zstandard.
    format
        Told from the names and beginnings of the files where it is not given.
    header
        Whether the first line of a CSV file names the columns; else they are ``_c0``, ``_c1``, ….
    captures
        Which sides of captured requests become columns; answers come first.
    window
        Of which time captured requests are read; all by default.

    Raises
    ------
    InvalidInput
        There is nothing to read, or it cannot be read as what it should be; names file and line.
    LimitExceeded
        A line, a list or the number of columns is beyond what is read.
    """
    found = sources.find(source, format)
    faults = Faults()
    with ExitStack() as closing:
        if found.format == "csv":
            cells = _Cells(delimited.select(found.files, has_header=header), is_text=True)
        elif found.format == "parquet":
            listed = texts(found.files)
            view = f"SELECT * FROM read_parquet([{listed}], union_by_name = true)"
            cells = _Cells(view, batches=partial(columnar.parquet_batches, found.files))
        elif found.format == "delta":
            cells = _delta(found.files[0])
        elif found.format == "json":
            spool = _spool(closing)
            spool.add(json_rows.rows(found.files))
            cells = _spooled(spool)
        else:
            spool = _spool(closing)
            for file in found.files:
                captured_rows.put_down_files(file, spool, faults, sides=captures, window=window)
            cells = _spooled(spool)
        return Table(cells, closing, faults)


def of_rows(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Make a table of rows of names and values, such as a pre-processing script gives."""
    with ExitStack() as closing:
        spool = _spool(closing)
        spool.add(rows)
        return Table(_spooled(spool), closing, Faults())


def name(text: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + text.replace('"', '""') + '"'


def texts(values: Sequence[object]) -> str:
    """Quote texts for SQL, with commas between."""
    return ", ".join("'" + str(value).replace("'", "''") + "'" for value in values)


def _spool(closing: ExitStack) -> Spool:
    return Spool(closing.enter_context(tempfile.TemporaryDirectory(prefix="rows-")))


def _spooled(spool: Spool) -> _Cells:
    rows = spool.rows()

    def batches(columns: Sequence[str], count: int) -> Iterator[pa.RecordBatch]:
        yield from rows.select(list(columns)).to_batches(max_chunksize=count)

    return _Cells(scanned=rows, batches=batches, is_text=True)


def _delta(folder: Path) -> _Cells:
    rows = columnar.delta(folder)

    def batches(columns: Sequence[str], count: int) -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches(
            columns=list(columns), batch_size=count, batch_readahead=2, fragment_readahead=1
        )

    return _Cells(scanned=rows, batches=batches)


def _connect(closing: ExitStack) -> DuckDBPyConnection:
    spill = closing.enter_context(tempfile.TemporaryDirectory(prefix="table-"))
    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    return connection


def _tests(column: str) -> str:
    """Ask whether all texts of a column are integers, and whether all are numbers."""
    quoted = name(column)
    integral = f"TRY_CAST({quoted} AS BIGINT) IS NOT NULL AND {_fits(quoted, INTEGRAL)}"
    number = f"TRY_CAST({quoted} AS DOUBLE) IS NOT NULL AND {_fits(quoted, NUMBER)}"
    return f"[bool_and({quoted} IS NULL OR ({integral})), bool_and({quoted} IS NULL OR ({number}))]"


def _fits(quoted: str, pattern: str) -> str:
    return f"regexp_full_match({quoted}, {texts([pattern])})"


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
        said = str(error)
        told = delimited.problem(said) or InvalidInput("dataset", said.partition("\n")[0])
        raise told from error
    except pa.ArrowException as error:
        raise InvalidInput("dataset", str(error)) from error
