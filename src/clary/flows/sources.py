"""Where rows come from: files of every common format, frames, lists of records."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Mapping
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
from clary.flows.foreign import nearest
from clary.flows.transforms.sampling import Limit, Sample
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from clary.flows.model import Node
    from clary.flows.steps import Query

_FORMATS = {
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
    "orc": "orc",
    "delta": "delta",
}
_ENDINGS = re.compile(r"\.(gz|zst)$", re.IGNORECASE)
_BLOCK = 1 << 20
_LONGEST_LINE = 4 << 20


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
        A file or a folder of files.
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
    format: str = ""
    header: bool = True
    delimiter: str = ""
    encoding: str = "utf-8"
    texts: bool = False
    ragged: Literal["error", "skip"] = "error"
    sampling: Sampling | None = None


def load(connection: DuckDBPyConnection, node: Node, given: Any, folder: Path) -> int:
    """Make a table of a source, called as its node is.

    Parameters
    ----------
    given
        A path, a frame, or a list of records.
    folder
        Where files may be written on the way; the source's own are only read.

    Returns
    -------
    int
        How many lines were skipped, as the source has it.

    Raises
    ------
    InvalidInput
        The rows cannot be read: names the node, and where there is one the file and line.
    LimitExceeded
        There are more than 5,000 columns.
    """
    where = f"source {node.id}"
    reading = build(Reading, node.with_, field=where)
    try:
        if isinstance(given, str | os.PathLike):
            skipped = _files(connection, node.id, Path(given), reading, folder)
        else:
            frame = _records(given) if isinstance(given, list) else arrow(given)
            skipped = _scanned(connection, node.id, frame)
        if reading.sampling is not None:
            _sample(connection, node.id, reading.sampling)
    except InvalidInput as error:
        raise InvalidInput(where, error.message, hint=error.hint) from None
    except LimitExceeded as error:
        raise LimitExceeded(f"{where}: {error.message}", hint=error.hint) from None
    except duckdb.Error as error:
        told = delimited.problem(str(error))
        said = told.message if told else str(error).partition("\n\n")[0]
        hint = "say the encoding, such as latin-1" if "utf-8" in said.lower() else ""
        raise InvalidInput(where, f"{given}: {said}" if not told else said, hint=hint) from None
    return skipped


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
    if not path.exists():
        raise InvalidInput("path", f"there is nothing at {path}")
    if reading.format == "delta" or (path / "_delta_log").is_dir():
        return _scanned(connection, name, columnar.delta(path))
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if _is_data(one))
    if not files:
        raise InvalidInput("path", f"there is no file in {path}")
    form = _format(reading.format or _ENDINGS.sub("", files[0].name).rpartition(".")[2])
    if form == "csv":
        return _csv(connection, name, _in_unicode(files, reading.encoding, folder), reading)
    if form == "orc":
        try:
            read = [orc.read_table(one) for one in files]
        except (pa.ArrowException, OSError) as error:
            raise InvalidInput("path", f"{path}: no readable ORC: {error}") from None
        return _scanned(connection, name, pa.concat_tables(read))
    kinds = {"json": "read_json", "parquet": "read_parquet"}
    rows = f"{kinds[form]}([{_texts(files)}], union_by_name = true)"
    _table(connection, name, _first(rows, reading.sampling))
    return 0


def _first(rows: str, sampling: Sampling | None) -> str:
    """Take no more rows of files than a sample of the first has."""
    if sampling is None or sampling.method != "first" or sampling.rows < 1:
        return rows
    return f"(FROM {rows} LIMIT {sampling.rows})"


def _in_unicode(files: list[Path], encoding: str, folder: Path) -> list[Path]:
    """Give files in UTF-8: copies, where theirs is another encoding."""
    if codecs.lookup(_encoding(encoding)).name == "utf-8":
        return files
    return [_copied(one, encoding, folder / f"{at}.csv") for at, one in enumerate(files)]


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


def _copied(file: Path, encoding: str, made: Path) -> Path:
    """Copy a text file as UTF-8."""
    decode = codecs.getincrementaldecoder(encoding)("strict")
    with opened(file) as reading, made.open("wb") as writing:
        done = 0
        try:
            while block := reading.read(_BLOCK):
                writing.write(decode.decode(block).encode())
                done += len(block)
            writing.write(decode.decode(b"", final=True).encode())
        except UnicodeError as error:
            problem = f"{file} is no {encoding}, near byte {done}: {error}"
            raise InvalidInput("encoding", problem) from None
    return made


def _encoding(name: str) -> str:
    try:
        "".encode(name)  # codecs that are no encodings of texts are refused
        codecs.getincrementaldecoder(name)
    except (LookupError, TypeError, UnicodeError, ValueError):
        legal = "utf-8, utf-16, latin-1, cp1252, shift_jis, …"
        raise InvalidInput("encoding", f"there is none called {name!r}", legal=legal) from None
    return name


def _scanned(connection: DuckDBPyConnection, name: str, rows: Any) -> int:
    connection.register(f"{name} given", rows)
    _table(connection, name, quoted(f"{name} given"))
    connection.unregister(f"{name} given")
    return 0


def _table(connection: DuckDBPyConnection, name: str, rows: str) -> None:
    """Make a table of rows, with the types that flows have."""
    found = connection.execute(f"DESCRIBE FROM {rows}").fetchall()
    if len(found) > MOST_COLUMNS:
        raise LimitExceeded(f"{len(found)} columns are more than {MOST_COLUMNS}")
    cells = ", ".join(_cell(row[0], row[1]) for row in found)
    connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT {cells} FROM {rows}")  # noqa: S608 quoted names and texts


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


def _is_data(file: Path) -> bool:
    return file.is_file() and not file.name.startswith((".", "_"))


def _format(word: str) -> str:
    if word.lower() not in _FORMATS:
        raise InvalidInput("format", f"{word!r} is none that is read", legal=", ".join(_FORMATS))
    return _FORMATS[word.lower()]


def _texts(files: Sequence[Path]) -> str:
    return ", ".join(_text(re.sub(r"[*?\[]", r"[\g<0>]", str(one))) for one in files)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
