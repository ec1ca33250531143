"""CSV files as tables."""

from __future__ import annotations

import codecs
import csv
import re
from typing import TYPE_CHECKING, Literal

import duckdb
from msgspec import Struct

from clary.analysis.json_rows import opened
from clary.analysis.spool import MOST_COLUMNS
from clary.expressions.types import quoted
from clary.flows import drawn
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from clary.flows.drawn import Sampling

_LONGEST_LINE = 4 << 20
_LONGEST_ROW = 2_000_000
_SNIFFED = 20_480
"""So many rows tell the types of columns; all, where a later one does not fit."""
_LOOKED_AT = 1 << 20
_INFINITE = "[+-]?inf(inity)?"
_LONG = ("HUGEINT", "UHUGEINT", "BIGNUM")
_MAYBE_INFINITE = ("DATE", "VARCHAR")
GLOB = re.compile(r"[*?\[]")
"""What DuckDB takes for a pattern in the name of a file."""


class Dialect(Struct, frozen=True):
    """How CSV files are written: the parameters of a source that are about them.

    Parameters
    ----------
    delimiter
        None: a tab where the file is called so, else a comma.
    """

    header: bool
    delimiter: str
    texts: bool
    ragged: Literal["error", "skip"]


def table(
    connection: DuckDBPyConnection,
    name: str,
    files: Sequence[Path],
    dialect: Dialect,
    sampling: Sampling | None,
) -> int:
    """Make a table of CSV files; gives how many lines were skipped.

    Types are told by values. Whole numbers of more than 64 bits are texts, so that no digit is
    lost.

    Raises
    ------
    InvalidInput
        A file is empty; or the delimiter is no character.
    LimitExceeded
        There are more than 5,000 columns, or a line of more than 2,000,000 bytes.
    duckdb.Error
        A line cannot be read.
    """
    comma = _comma(files[0], dialect)
    names = _header(files[0], comma)
    if len(names) > MOST_COLUMNS:
        raise LimitExceeded(f"{files[0]}: {len(names)} columns are more than {MOST_COLUMNS}")
    options = (
        f"header = {dialect.header}, delim = {text(comma)}, quote = '\"', escape = '\"', "
        f"skip = 0, comment = '', null_padding = false, normalize_names = false"
    )
    if not dialect.header:
        options += f", names = [{', '.join(text(f'_c{at}') for at in range(len(names)))}]"
    rows = f"read_csv([{texts(files)}], {options}, all_varchar = {dialect.texts}"
    is_skipping = dialect.ragged == "skip"
    end = ")"
    if is_skipping:
        connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        end = ", ignore_errors = true, store_rejects = true)"

    def made(start: str, sniffed: int) -> None:
        types, columns = _types(connection, files, start, end, sniffed=sniffed)
        read = f"{start}{types}{end}"
        drawn.table(connection, name, read, sampling, once=is_skipping, columns=columns)

    try:
        try:
            made(rows, _SNIFFED)
        except duckdb.ConversionException:  # a later row is of another type than the first
            made(f"{rows}, sample_size = -1", 0)
    except duckdb.InvalidInputException:
        _find_line(connection, files, comma, names)
        raise
    return _skipped(connection) if is_skipping else 0


def _types(
    connection: DuckDBPyConnection, files: Sequence[Path], rows: str, end: str, *, sniffed: int
) -> tuple[str, dict[str, str]]:
    """Give types to columns that DuckDB tells otherwise than flows do, and tell all.

    Whole numbers of more than 64 bits are no numbers of flows. ``inf`` is a number beside numbers
    and alone, where DuckDB says it is a date or a text.

    Parameters
    ----------
    rows, end
        The call that reads them, and its end.
    sniffed
        Of how many rows types are told; 0: of all.
    """
    columns = drawn.described(connection, f"{rows}{end}")
    types = {one: "VARCHAR" for one, kind in columns.items() if kind in _LONG}
    maybe = [one for one, kind in columns.items() if kind in _MAYBE_INFINITE]
    if maybe and any(map(_may_be_infinite, files)):
        tests = ", ".join(f"{_is_infinite(one)} AS {quoted(one)}" for one in maybe)
        read = rows.replace("all_varchar = False", "all_varchar = True") + ", ignore_errors = true)"
        limit = f" LIMIT {sniffed}" if sniffed else ""
        told = connection.execute(f"SELECT {tests} FROM (FROM {read}{limit})").fetchone()  # noqa: S608 quoted names and texts
        types |= {one: "DOUBLE" for one, is_told in zip(maybe, told or (), strict=True) if is_told}
    listed = ", ".join(f"{text(one)}: {text(kind)}" for one, kind in types.items())
    return f", types = {{{listed}}}" if types else "", columns | types


def _may_be_infinite(file: Path) -> bool:
    with opened(file) as reading:
        return b"inf" in reading.read(_LOOKED_AT).lower()


def _is_infinite(column: str) -> str:
    name = f"trim({quoted(column)})"
    every = f"bool_and(TRY_CAST({name} AS DOUBLE) IS NOT NULL) FILTER (WHERE {name} IS NOT NULL)"
    return f"({every} AND bool_or(regexp_full_match({name}, '{_INFINITE}', 'i')))"


def _skipped(connection: DuckDBPyConnection) -> int:
    counted = "SELECT count(DISTINCT (file_id, line)) FROM reject_errors"
    [[skipped]] = connection.execute(counted).fetchall()
    return int(skipped)


def _comma(file: Path, dialect: Dialect) -> str:
    comma = dialect.delimiter or ("\t" if file.name.lower().endswith(".tsv") else ",")
    if len(comma) != 1:
        raise InvalidInput("delimiter", f"{comma!r}", legal="one character")
    return comma


def _find_line(
    connection: DuckDBPyConnection, files: Sequence[Path], comma: str, names: Sequence[str]
) -> None:
    """Read files as texts: what fails then fails at a line that DuckDB names."""
    kinds = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(len(names)))
    options = f"auto_detect = false, delim = {text(comma)}, quote = '\"', escape = '\"'"
    rows = f"read_csv([{texts(files)}], {options}, header = true, columns = {{{kinds}}})"
    try:
        connection.execute(f"SELECT count(columns(*)) FROM {rows}")  # noqa: S608 quoted texts
    except duckdb.NotImplementedException:  # lines that are longer than what is read at once
        raise LimitExceeded(f"{files[0]}: a line is longer than {_LONGEST_ROW} bytes") from None


def _header(file: Path, comma: str) -> list[str]:
    """Split the first line of a file; that is enough to count columns."""
    with opened(file) as reading:
        line = reading.readline(_LONGEST_LINE)
    if not line.removeprefix(codecs.BOM_UTF8):
        raise InvalidInput("path", f"{file} is empty")
    first = line.decode("utf-8", "replace").partition("\r")[0]
    try:
        return next(csv.reader([first], delimiter=comma))
    except csv.Error as error:
        raise InvalidInput(f"{file}, line 1", f"no readable CSV: {error}") from None


def texts(files: Sequence[Path]) -> str:
    """Write the names of files, none of which is a pattern."""
    return ", ".join(text(GLOB.sub(r"[\g<0>]", str(one))) for one in files)


def text(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"
