"""SQL over feature groups by DuckDB: views, limits and CSV."""

from __future__ import annotations

import io
import threading
import time
from contextlib import ExitStack, contextmanager
from csv import reader as csv_reader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.adapters import sql_statements
from clary.adapters.duckdb_point_in_time import column_type, rows_of
from clary.adapters.duckdb_session import library, literal, name
from clary.features.queries import Csv, CsvTable, Table
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from clary.adapters.duckdb_session import DuckDB
    from clary.features.queries import Dialect, Limits, Select, Statement

_ROWS_A_BATCH = 16_384
_LARGEST_ANSWER = 1 << 30
_LARGEST_FILES = 8 << 30
_LONGEST_REASON = 2_000
_LOOK_S = 0.1
_LAST_US = (1 << 63) - 1
_HISTORY = """
SELECT {features}, make_timestamp(write_us) AS write_time,
       make_timestamp(write_us) AS api_invocation_time, is_deleted
FROM {rows}
"""
_LATEST = """
SELECT {features}, write_time, api_invocation_time, is_deleted FROM (
    SELECT *, make_timestamp(write_us) AS write_time,
           make_timestamp(write_us) AS api_invocation_time
    FROM {rows} WHERE event_us <= {until} AND write_us <= {known}
    QUALIFY row_number() OVER (
        PARTITION BY {identifier} ORDER BY event_us DESC, write_us DESC, "row" DESC
    ) = 1
) WHERE NOT is_deleted {young}
"""
_PUBLIC_TYPES = {
    "HUGEINT": "decimal",
    "FLOAT": "float",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}
_AS_THEY_ARE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "BOOLEAN", "VARCHAR")
_TIMES = {
    "TIMESTAMP": "%Y-%m-%d %H:%M:%S.%g",
    "TIMESTAMP WITH TIME ZONE": "%Y-%m-%d %H:%M:%S.%g UTC",
}


class DuckDBSql:
    """The ``SqlEngine`` on DuckDB.

    Parameters
    ----------
    duckdb
        Where connections come from.
    """

    def __init__(self, duckdb: DuckDB) -> None:
        self._duckdb = duckdb

    def read(self, text: str, dialect: Dialect, database: str) -> Statement:
        """Read a statement, see ``SqlEngine``."""
        return sql_statements.read(text, dialect, database)

    def table(self, select: Select, tables: Sequence[Table], limits: Limits) -> Any:
        """Answer with an Arrow table, see ``SqlEngine``."""
        arrow = library("pyarrow")
        with self._answer(select, tables, limits) as relation:
            reader = relation.to_arrow_reader(_ROWS_A_BATCH)
            batches, size = [], 0
            for batch in reader:
                size += batch.nbytes
                if size > _LARGEST_ANSWER:
                    raise LimitExceeded("the answer is over 1 GiB", hint="add a LIMIT")
                batches.append(batch)
            return arrow.Table.from_batches(batches, reader.schema)

    @contextmanager
    def csv(
        self, select: Select, tables: Sequence[Table | CsvTable], limits: Limits
    ) -> Iterator[Csv]:
        """Answer with CSV, see ``SqlEngine``."""
        with self._answer(select, tables, limits, is_public=True) as relation:
            described = list(zip(relation.columns, map(str, relation.types), strict=True))
            shown = relation.project(", ".join(_shown(*one) for one in described))
            columns = [(column, _public(kind)) for column, kind in described]
            yield Csv(columns, _csv(shown.to_arrow_reader(_ROWS_A_BATCH)))

    def rows(
        self, chunks: Iterable[bytes], start: int, count: int
    ) -> Sequence[Sequence[str | None]]:
        """Read rows of CSV, see ``SqlEngine``."""
        arrow, csv = library("pyarrow"), library("pyarrow.csv")
        source = io.BufferedReader(_Chunks(chunks), 1 << 16)
        names = next(csv_reader(line.decode() for line in source))
        reader = csv.open_csv(
            source,
            csv.ReadOptions(column_names=names),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        found: list[Sequence[str | None]] = []
        for batch in reader:
            columns = [column.to_pylist() for column in batch.slice(max(0, start)).columns]
            found += zip(*columns, strict=True)
            start -= batch.num_rows
            if len(found) >= count:
                break
        return found[:count]

    @contextmanager
    def _answer(
        self,
        select: Select,
        tables: Sequence[Table | CsvTable],
        limits: Limits,
        *,
        is_public: bool = False,
    ) -> Iterator[DuckDBPyRelation]:
        duckdb = library("duckdb")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(self._duckdb.folder()))
            relations = [_Relation(one, folder / str(at)) for at, one in enumerate(tables)]
            files = [file for one in relations for file in one.files()]
            options = {"integer_division": True} if is_public else {}
            connection = stack.enter_context(self._duckdb.open(files, options))
            for one in relations:
                one.define(connection)
            stack.enter_context(_watched(connection, limits))
            try:
                _only_reads(connection, select.text)
                yield connection.sql(select.text)
            except duckdb.InterruptException:
                raise LimitExceeded(f"the query took longer than {limits.timeout_s:g} s") from None
            except duckdb.OutOfMemoryException:
                raise
            except duckdb.Error as error:
                raise InvalidInput("query", str(error)[:_LONGEST_REASON]) from None


class _Relation:
    """A table that a statement names, with its files."""

    def __init__(self, table: Table | CsvTable, folder: Path) -> None:
        self._table = table
        self._folder = folder

    def files(self) -> Sequence[str]:
        """Name the files it is read from, made where they are none of this machine's yet."""
        if isinstance(self._table, Table):
            return self._table.files
        self._folder.mkdir()
        left = _LARGEST_FILES
        for at, chunks in enumerate(self._table.files):
            with (self._folder / f"{at}.csv").open("wb") as file:
                for chunk in chunks:
                    left -= file.write(chunk)
                    if left < 0:
                        raise LimitExceeded(f"the files of {self._table.name[1]} are over 8 GiB")
        return [str(path) for path in sorted(self._folder.iterdir())]

    def define(self, connection: DuckDBPyConnection) -> None:
        """Make the view."""
        database, table = self._table.name
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name(database)}")
        if isinstance(self._table, Table):
            query = _group(self._table, connection)
        else:
            query = _csv_files(self._table, sorted(map(str, self._folder.iterdir())))
        connection.execute(f"CREATE VIEW {name(database)}.{name(table)} AS {query}")


def _group(table: Table, connection: DuckDBPyConnection) -> str:
    kinds = {one.name: column_type(one.kind, one.collection) for one in table.schema.features}
    rows = rows_of(table.files, kinds, connection)
    features = ", ".join(map(name, kinds))
    if not table.is_latest:
        return _HISTORY.format(features=features, rows=rows)
    ttl, until = table.ttl_us, _LAST_US if table.until_us is None else table.until_us
    at = "epoch_us(now())" if table.until_us is None else str(until)
    return _LATEST.format(
        features=features,
        rows=rows,
        identifier=name(table.schema.identifier),
        until=until,
        known=_LAST_US if table.known_us is None else table.known_us,
        young="" if ttl is None else f"AND event_us > {at} - {ttl}",
    )


def _csv_files(table: CsvTable, files: Sequence[str]) -> str:
    columns = ", ".join(_read(*one) for one in table.columns)
    if not files:
        empty = ", ".join(f"NULL::VARCHAR AS {name(one)}" for one, _ in table.columns)
        return f"SELECT {columns} FROM (SELECT {empty} WHERE false)"
    texts = ", ".join(f"{literal(one)}: 'VARCHAR'" for one, _ in table.columns)
    separator, quote, escape = map(literal, table.marks)
    listed = ", ".join(map(literal, files))
    return (
        f"SELECT {columns} FROM read_csv([{listed}], auto_detect = false, header = false,"
        f" columns = {{{texts}}}, delim = {separator}, quote = {quote}, escape = {escape},"
        " null_padding = true)"
    )


def _read(column: str, kind: str) -> str:
    quoted = name(column)
    if kind == "VARCHAR":
        return f"coalesce({quoted}, '') AS {quoted}"
    return f"TRY_CAST({quoted} AS {kind}) AS {quoted}"


def _only_reads(connection: DuckDBPyConnection, text: str) -> None:
    statements = connection.extract_statements(text)
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        raise InvalidInput("query", "does more than read", legal="SELECT …")


@contextmanager
def _watched(connection: DuckDBPyConnection, limits: Limits) -> Iterator[None]:
    """Interrupt what runs in the block when it takes too long or is stopped."""
    ended = threading.Event()
    deadline = time.monotonic() + limits.timeout_s

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            if time.monotonic() > deadline or limits.is_stopped():
                connection.interrupt()

    thread = threading.Thread(target=watch, name="query-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _shown(column: str, kind: str) -> str:
    quoted = name(column)
    if kind in _AS_THEY_ARE:
        return quoted
    if kind in _TIMES:
        return f"strftime({quoted}, {literal(_TIMES[kind])}) AS {quoted}"
    return f"{quoted}::VARCHAR AS {quoted}"


def _public(kind: str) -> str:
    if kind.endswith("]"):
        return "array"
    plain = kind.partition("(")[0]
    return _PUBLIC_TYPES.get(plain, plain.lower())


def _csv(reader: Any) -> Iterator[bytes]:
    """Write CSV with every value in quotes and nothing for what is missing."""
    csv = library("pyarrow.csv")
    options = csv.WriteOptions(include_header=False, quoting_style="all_valid")
    header = ",".join('"' + one.replace('"', '""') + '"' for one in reader.schema.names)
    yield header.encode() + b"\n"
    for batch in reader:
        sink = io.BytesIO()
        csv.write_csv(batch, sink, options)
        yield sink.getvalue()


class _Chunks(io.RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next((one for one in self._chunks if one), b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
