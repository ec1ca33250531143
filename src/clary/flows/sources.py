"""Where rows come from: files of every common format, SQLite, groups, frames, records."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa
from msgspec import Struct
from pyarrow import orc

from clary.analysis import columnar, delimited
from clary.analysis.arrow_tables import arrow
from clary.analysis.json_rows import opened
from clary.analysis.spool import MOST_COLUMNS
from clary.expressions.types import quoted
from clary.flows.bounds import Bounds
from clary.flows.encodings import in_unicode
from clary.flows.foreign import nearest
from clary.flows.reach import NOWHERE, is_remote
from clary.flows.sessions import allow
from clary.flows.transforms.sampling import Limit, Sample
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from clary.flows.model import Node
    from clary.flows.reach import Reach
    from clary.flows.steps import Query

_FORMATS = {
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
    "orc": "orc",
    "delta": "delta",
}
_DATABASES = ("sqlite", "sqlite3", "db")
_ENDINGS = re.compile(r"\.(gz|zst)$", re.IGNORECASE)
_GLOB = re.compile(r"[*?\[]")
_LONGEST_LINE = 4 << 20
_STREAM = re.compile(
    r"reading the stream .*? failed: (?:\w+ error: )?([^\n]*?)(?:\. Detail: |\n|$)"
)
"""What a library said, within what DuckDB says of its stream."""
_COLOURS = re.compile(r"\x1b\[\d*m")


class Sampling(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows of a source are taken: the first, or a part drawn from a seed.

    Parameters
    ----------
    rows, fraction
        How many, or which share.
    method
        ``first`` rows; ``random``; ``stratified`` by ``columns``.
    """

    method: Literal["first", "random", "stratified"] = "first"
    rows: int = 0
    fraction: float = 0.0
    columns: tuple[str, ...] = ()
    seed: int = 0


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
                skipped = _files(connection, node.id, found, reading, folder)
            else:
                skipped = _scanned(connection, node.id, found)
        if reading.sampling is not None:
            _sample(connection, node.id, reading.sampling)
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
    return skipped


def _unreadable(where: str, given: Any, said: str) -> InvalidInput:
    """Say what DuckDB, or a library whose rows it read, said."""
    told = delimited.problem(said)
    if told:
        return InvalidInput(where, told.message)
    of = given if isinstance(given, str | os.PathLike) else "its rows"
    streamed = _STREAM.search(said)
    short = streamed[1] if streamed else said.partition("\n\n")[0]
    hint = "say the encoding, such as latin-1" if "utf-8" in short.lower() else ""
    return InvalidInput(where, f"{of}: {_COLOURS.sub('', short).strip()}", hint=hint)


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
        return _records(given) if isinstance(given, list) else arrow(given)
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


def _records(given: list[Any]) -> pa.Table:
    """Make a table of records; a column that one has not is missing there."""
    if not all(isinstance(one, Mapping) for one in given):
        raise InvalidInput("data", "is a list of something else", legal="a list of records")
    names = list(dict.fromkeys(name for one in given for name in one))
    try:
        return pa.table({str(name): [one.get(name) for one in given] for name in names})
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput("data", f"a column is of no one type: {error}") from None


def _files(
    connection: DuckDBPyConnection, name: str, path: Path, reading: Reading, folder: Path
) -> int:
    files = [path] if path.is_file() else _below(path)
    if not files:
        raise InvalidInput("path", f"there is no file in {path}")
    form = _format(reading.format or _ENDINGS.sub("", files[0].name).rpartition(".")[2])
    if form == "csv":
        return _csv(connection, name, in_unicode(files, reading.encoding, folder), reading)
    if form == "orc":
        try:
            read = [orc.read_table(one) for one in files]
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput("path", f"{path}: no readable ORC: {error}") from None
        return _scanned(connection, name, pa.concat_tables(read))
    kinds = {"json": "read_json", "parquet": "read_parquet"}
    rows = f"{kinds[form]}([{_texts(files)}], union_by_name = true)"
    is_plain = not any(_GLOB.search(str(one)) for one in files)  # a pattern is never allowed
    if form == "parquet" and reading.sampling is None and is_plain:
        allow(connection, files)
        _table(connection, name, rows, kind="VIEW")
    else:
        _table(connection, name, _first(rows, reading.sampling))
    return 0


def _first(rows: str, sampling: Sampling | None) -> str:
    """Take no more rows of files than a sample of the first has."""
    if sampling is None or sampling.method != "first" or sampling.rows < 1:
        return rows
    return f"(FROM {rows} LIMIT {sampling.rows})"


def _csv(connection: DuckDBPyConnection, name: str, files: list[Path], reading: Reading) -> int:
    comma = _comma(files[0], reading)
    names = _header(files[0], comma)
    if len(names) > MOST_COLUMNS:
        raise LimitExceeded(f"{files[0]}: {len(names)} columns are more than {MOST_COLUMNS}")
    options = (
        f"header = {reading.header}, delim = {_text(comma)}, quote = '\"', escape = '\"', "
        f"skip = 0, comment = '', null_padding = false, normalize_names = false, "
        f"all_varchar = {reading.texts}"
    )
    if not reading.header:
        options += f", names = [{', '.join(_text(f'_c{at}') for at in range(len(names)))}]"
    if reading.ragged == "skip":
        connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        options += ", ignore_errors = true, store_rejects = true"
    text = f"read_csv([{_texts(files)}], {options}"
    sampling = reading.sampling if reading.ragged == "error" else None  # all skips are counted
    try:
        _table(connection, name, _first(f"{text})", sampling))
    except duckdb.ConversionException:  # a later row is of another type than the first
        _table(connection, name, _first(f"{text}, sample_size = -1)", sampling))
    except duckdb.InvalidInputException:
        _find_line(connection, files, comma, names)
        raise
    return _skipped(connection) if reading.ragged == "skip" else 0


def _skipped(connection: DuckDBPyConnection) -> int:
    counted = "SELECT count(DISTINCT (file_id, line)) FROM reject_errors"
    [[skipped]] = connection.execute(counted).fetchall()
    return int(skipped)


def _comma(file: Path, reading: Reading) -> str:
    is_tabbed = reading.format == "tsv" or file.name.lower().endswith(".tsv")
    comma = reading.delimiter or ("\t" if is_tabbed else ",")
    if len(comma) != 1:
        raise InvalidInput("delimiter", f"{comma!r}", legal="one character")
    return comma


def _find_line(
    connection: DuckDBPyConnection, files: Sequence[Path], comma: str, names: Sequence[str]
) -> None:
    """Read files as texts: what fails then fails at a line that DuckDB names."""
    texts = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(len(names)))
    options = f"auto_detect = false, delim = {_text(comma)}, quote = '\"', escape = '\"'"
    rows = f"read_csv([{_texts(files)}], {options}, header = true, columns = {{{texts}}})"
    connection.execute(f"SELECT count(columns(*)) FROM {rows}")  # noqa: S608 quoted texts


def _header(file: Path, comma: str) -> list[str]:
    """Split the first line of a file; that is enough to count columns."""
    with opened(file) as reading:
        line = reading.readline(_LONGEST_LINE)
    if not line:
        raise InvalidInput("path", f"{file} is empty")
    first = line.decode("utf-8", "replace").partition("\r")[0]
    return next(csv.reader([first], delimiter=comma))


def _scanned(connection: DuckDBPyConnection, name: str, rows: Any) -> int:
    connection.register(f"{name} given", rows)
    _table(connection, name, quoted(f"{name} given"))
    connection.unregister(f"{name} given")
    return 0


def _table(
    connection: DuckDBPyConnection,
    name: str,
    rows: str,
    kind: Literal["TABLE", "VIEW"] = "TABLE",
) -> None:
    """Make a table or view of rows, with the types that flows have."""
    found = connection.execute(f"DESCRIBE FROM {rows}").fetchall()
    if len(found) > MOST_COLUMNS:
        raise LimitExceeded(f"{len(found)} columns are more than {MOST_COLUMNS}")
    cells = ", ".join(_cell(row[0], row[1]) for row in found)
    connection.execute(f"CREATE OR REPLACE {kind} {quoted(name)} AS SELECT {cells} FROM {rows}")  # noqa: S608 quoted names and texts


def _cell(column: str, kind: str) -> str:
    try:
        return f"CAST({quoted(column)} AS {nearest(kind).duckdb}) AS {quoted(column)}"
    except InvalidInput:
        return f"CAST(to_json({quoted(column)}) AS VARCHAR) AS {quoted(column)}"


def _sample(connection: DuckDBPyConnection, name: str, sampling: Sampling) -> None:
    whole = quoted(f"{name} whole")
    connection.execute(f"ALTER TABLE {quoted(name)} RENAME TO {whole}")
    found = connection.execute(f"DESCRIBE {whole}").fetchall()
    schema = {row[0]: nearest(row[1]) for row in found}
    if sampling.method == "first":
        steps: Sequence[Any] = Limit(sampling.rows).steps([schema], {})
    else:
        strata = sampling.columns if sampling.method == "stratified" else ()
        sample = Sample(sampling.rows, sampling.fraction, strata, sampling.seed)
        steps = sample.steps([schema], {})
    query: Query = steps[0]
    sql = query.sql.replace("input0", whole, 1)
    connection.execute(f"CREATE TABLE {quoted(name)} AS {sql}")
    connection.execute(f"DROP TABLE {whole}")


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


def _texts(files: Sequence[Path]) -> str:
    return ", ".join(_text(_GLOB.sub(r"[\g<0>]", str(one))) for one in files)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
