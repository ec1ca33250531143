"""Where rows come from: files of every common format, SQLite, groups, frames, records."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa
from msgspec import Struct
from pyarrow import orc

from clary.analysis import columnar, delimited
from clary.analysis.arrow_tables import arrow
from clary.expressions.types import quoted
from clary.flows import csv_files, drawn, json_files
from clary.flows.bounds import Bounds
from clary.flows.drawn import Sampling
from clary.flows.encodings import in_unicode
from clary.flows.kept import MOST_BYTES, stamps
from clary.flows.reach import NOWHERE, is_remote
from clary.flows.sessions import allow
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection
    from pyarrow.dataset import Dataset

    from clary.flows.kept import Kept
    from clary.flows.model import Node
    from clary.flows.reach import Reach

_FORMATS = {
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
    "orc": "orc",
    "delta": "delta",
}
_DATABASES = ("sqlite", "sqlite3", "db")
_ENDINGS = re.compile(r"\.(gz|zst)$", re.IGNORECASE)
_STREAM = re.compile(
    r"reading the stream .*? failed: (?:\w+ error: )?([^\n]*?)(?:\. Detail: |\n|$)"
)
"""What a library said, within what DuckDB says of its stream."""
_ROWS_A_BATCH = 10_000
_COLOURS = re.compile(r"\x1b\[\d*m")


class Reading(Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a source.

    Parameters
    ----------
    path, uri
        A file or a folder of files, of this machine or at ``s3://…``.
    feature_group
        Instead of a path: the features of all entities of a group, as they are now.
    table, query
        What is read of a SQLite file.
    format
        Of the files; told by their endings by default.
    header
        Whether the first line of CSV files names the columns; else they are ``_c0``, ``_c1``, ….
    delimiter, encoding
        Of CSV files.
    texts
        Whether all columns of CSV files are texts; else their types are told by their values.
    ragged
        What becomes of lines of CSV files that cannot be read: an ``error``, or a ``skip``.
    """

    path: str = ""
    uri: str = ""
    feature_group: str = ""
    table: str = ""
    query: str = ""
    format: str = ""
    header: bool = True
    delimiter: str = ""
    encoding: str = "utf-8"
    texts: bool = False
    ragged: Literal["error", "skip"] = "error"
    sampling: Sampling | None = None


def load(
    connection: DuckDBPyConnection,
    node: Node,
    given: Any,
    folder: Path,
    reach: Reach = NOWHERE,
    bounds: Bounds | None = None,
) -> int:
    """Make a table of a source, called as its node is.

    Parameters
    ----------
    given
        A path, ``s3://…``, a frame, or a list of records; None: its feature group.
    folder
        Where files may be written on the way; the source's own are only read.
    bounds
        Where paths may lead, unless they are the caller's own.

    Returns
    -------
    int
        How many lines were skipped, as the source has it.

    Raises
    ------
    InvalidInput
        The rows cannot be read: names the node, and where there is one the file and line.
    LimitExceeded
        There are more than 5,000 columns, or more rows than the disk holds.
    NotSupported
        It is at ``s3://…`` or a feature group, and there is no home; or in another database.
    """
    where = f"source {node.id}"
    reading = build(Reading, node.with_, field=where)
    try:
        with ExitStack() as stack:
            found = _found(stack, given, reading, folder, reach, bounds)
            if isinstance(found, Path):
                return _files(connection, node.id, found, reading, folder, reach.kept)
            _scanned(connection, node.id, found, reading.sampling)
            return 0
    except InvalidInput as error:
        raise InvalidInput(where, error.message, hint=error.hint) from None
    except LimitExceeded as error:
        raise LimitExceeded(f"{where}: {error.message}", hint=error.hint) from None
    except NotSupported as error:
        raise NotSupported(f"{where}: {error.message}", hint=error.hint) from None
    except duckdb.Error as error:
        raise _unreadable(where, given, str(error)) from None
    except OSError as error:
        raise _unreadable(where, given, error.strerror or str(error)) from None


def _unreadable(where: str, given: Any, said: str) -> InvalidInput:
    """Say what DuckDB, or a library whose rows it read, said."""
    told = delimited.problem(said)
    hint = "say the encoding, such as latin-1" if "utf-8" in said.partition("\n\n")[0] else ""
    if told:
        return InvalidInput(where, told.message, hint=hint)
    of = given if isinstance(given, str | os.PathLike) else "its rows"
    streamed = _STREAM.search(said)
    short = streamed[1] if streamed else said.partition("\n\n")[0]
    return InvalidInput(where, f"{of}: {_COLOURS.sub('', short).strip()}")


def _found(
    stack: ExitStack,
    given: Any,
    reading: Reading,
    folder: Path,
    reach: Reach,
    bounds: Bounds | None,
) -> Any:
    """Give files as a path; all else as what DuckDB scans, while the stack is open."""
    if given is None:
        return reach.group(reading.feature_group, bounds)
    if not isinstance(given, str | os.PathLike):
        return _records(given) if isinstance(given, list | dict) else arrow(given)
    place = os.fspath(given)
    path = reach.file(place, folder, bounds)
    if reading.format == "delta" or (path / "_delta_log").is_dir():
        return _delta(path, Bounds([path]) if is_remote(place) else bounds)
    if not _is_database(path, reading):
        return path
    if reach.database is None:
        raise NotSupported(f"{path}: databases are not read here", hint="give its rows by name")
    return stack.enter_context(reach.database(path, table=reading.table, query=reading.query))


def _delta(path: Path, bounds: Bounds | None) -> Any:
    """Open a Delta table; its log may name files that lie elsewhere."""
    found: Any = columnar.delta(path)
    if bounds is not None:
        for file in found.files:
            bounds.file(path / file)
    return found


def _is_database(path: Path, reading: Reading) -> bool:
    if reading.table or reading.query or reading.format == "sqlite":
        return True
    return not reading.format and path.suffix.lower().removeprefix(".") in _DATABASES


def _records(given: list[Any] | dict[Any, Any]) -> pa.Table:
    """Make a table of records; a column that one has not is missing there."""
    if isinstance(given, dict) or not all(isinstance(one, Mapping) for one in given):
        problem = "is a dict" if isinstance(given, dict) else "is a list of something else"
        raise InvalidInput("data", problem, legal="a list of records, a frame, a path")
    if not given:
        raise InvalidInput("data", "has no records, so no columns", legal="one or more records")
    names = list(dict.fromkeys(name for one in given for name in one))
    try:
        return pa.table({str(name): [one.get(name) for one in given] for name in names})
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput("data", f"a column is of no one type: {error}") from None


def _files(
    connection: DuckDBPyConnection,
    name: str,
    path: Path,
    reading: Reading,
    folder: Path,
    kept: Kept | None,
) -> int:
    files = [path] if path.is_file() else _below(path)
    if not files:
        raise InvalidInput("path", f"there is no file in {path}")
    key = (stamps(files), reading)
    found = kept.get(key) if kept is not None else None
    if found is not None:
        connection.register(f"{name} given", found[0])
        drawn.view(connection, name, quoted(f"{name} given"))
        return found[1]
    skipped = _read(connection, name, files, reading, folder)
    rows = None if kept is None else _little(connection, name)
    if kept is not None and rows is not None:
        kept.put(key, (rows, skipped))
    return skipped


def _little(connection: DuckDBPyConnection, name: str) -> pa.Table | None:
    """Give the rows of a table that is held easily; None of a larger one, and of a view."""
    views = "SELECT 1 FROM duckdb_views() WHERE view_name = ?"
    if connection.execute(views, [name]).fetchall():
        return None
    batches, room = [], MOST_BYTES
    with connection.cursor() as apart:
        reader = apart.table(name).to_arrow_reader(_ROWS_A_BATCH)
        for batch in reader:
            room -= batch.nbytes
            if room < 0:
                return None
            batches.append(batch)
        return pa.Table.from_batches(batches, reader.schema)


def _read(
    connection: DuckDBPyConnection, name: str, files: list[Path], reading: Reading, folder: Path
) -> int:
    form = _format(reading.format or _ENDINGS.sub("", files[0].name).rpartition(".")[2])
    if form == "csv":
        comma = reading.delimiter or ("\t" if reading.format == "tsv" else "")
        dialect = csv_files.Dialect(reading.header, comma, reading.texts, reading.ragged)
        read = in_unicode(files, reading.encoding, folder)
        return csv_files.table(connection, name, read, dialect, reading.sampling)
    if form == "orc":
        _scanned(connection, name, _orc(files), reading.sampling)
        return 0
    if form == "json":
        json_files.table(connection, name, files, reading.sampling)
        return 0
    rows = f"read_parquet([{csv_files.texts(files)}], union_by_name = true)"
    is_plain = not any(csv_files.GLOB.search(str(one)) for one in files)  # patterns are refused
    if reading.sampling is None and is_plain:
        allow(connection, files)
        drawn.view(connection, name, rows)
    else:
        drawn.table(connection, name, rows, reading.sampling)
    return 0


def _orc(files: Sequence[Path]) -> Dataset:
    """Open files that are read as they are asked; a column that one has not is missing there."""
    told = []
    for one in files:
        try:
            told.append(orc.ORCFile(one).schema)
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput("path", f"{one}: no readable ORC: {error}") from None
    try:
        schema = pa.unify_schemas(told)
    except pa.ArrowException as error:
        raise InvalidInput("path", f"the files in {files[0].parent} differ: {error}") from None
    datasets = import_module("pyarrow.dataset")  # it takes 0.2 s
    found: Dataset = datasets.dataset([str(one) for one in files], schema=schema, format="orc")
    return found


def _scanned(
    connection: DuckDBPyConnection, name: str, rows: Any, sampling: Sampling | None
) -> None:
    given = f"{name} given"
    connection.register(given, rows)
    once = isinstance(rows, pa.RecordBatchReader)
    drawn.table(connection, name, quoted(given), sampling, once=once)
    connection.unregister(given)


def _below(folder: Path) -> list[Path]:
    """Give the files of a folder and of those below; what begins with a dot or ``_`` is none."""
    found = (one for one in folder.rglob("*") if one.is_file())
    hidden = (".", "_")
    return sorted(
        one
        for one in found
        if not any(part.startswith(hidden) for part in one.relative_to(folder).parts)
    )


def _format(word: str) -> str:
    if word.lower() not in _FORMATS:
        raise InvalidInput("format", f"{word!r} is none that is read", legal=", ".join(_FORMATS))
    return _FORMATS[word.lower()]
