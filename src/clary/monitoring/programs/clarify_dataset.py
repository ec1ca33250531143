"""The dataset of a Clarify job as one table in DuckDB, whatever its format."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import jmespath

from clary.analysis import delimited
from clary.analysis.bias_columns import literal, name
from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from clary.monitoring.programs.clarify_config import AnalysisConfig, Name

TABLE = "dataset"
_LABEL, _PREDICTED = "label", "predicted_label"
_NULLS = "('', 'NA', 'N/A', 'NaN', 'nan', 'NULL', 'null', 'None')"
_MOST_JSON_BYTES = 1 << 30
_MEMORY = "1GiB"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table and what its columns are for.

    Parameters
    ----------
    table
        SQL that stands for it after FROM.
    columns
        All of them, in the order of the data.
    added
        Those of them that come from elsewhere than the dataset's own files.
    label, prediction, group, join
        Which of them have a part in the analysis; empty: there is none.
    """

    connection: DuckDBPyConnection
    scratch: Path
    table: str
    columns: Sequence[str]
    added: Sequence[str] = ()
    label: str = ""
    prediction: str = ""
    group: str = ""
    join: str = ""

    def column(self, given: Name, *, field: str) -> str:
        """Find a column by its name or its place. Raises InvalidInput naming ``field``."""
        return column(self.columns, given, field=field)

    def features(self, excluded: Iterable[str] = ()) -> Sequence[str]:
        """Name the columns that a model gets: all but label, prediction, join and excluded."""
        apart = {self.label, self.prediction, self.join, *self.added, *excluded}
        return [one for one in self.columns if one not in apart]


def column(columns: Sequence[str], given: Name, *, field: str) -> str:
    """Find a column by its name or its place.

    Raises
    ------
    InvalidInput
        There is none; names ``field``.

    Examples
    --------
    >>> column(["a", "b"], 1, field="label"), column(["a", "b"], "a", field="label")
    ('b', 'a')
    """
    if given in columns:
        return str(given)
    place = int(given) if str(given).isdigit() else -1
    if not 0 <= place < len(columns):
        legal = ", ".join(columns[:50])
        raise InvalidInput(field, f"the dataset has no column {given!r}", legal=legal)
    return columns[place]


@contextmanager
def opened(folder: Path, config: AnalysisConfig) -> Iterator[Dataset]:
    """Read the files of a folder.

    Raises
    ------
    NotFound
        There are none.
    InvalidInput
        One cannot be read as what it should be; names it and the line where that shows.
    """
    files = sorted(one for one in folder.rglob("*") if one.is_file() and one.name[0] not in "._")
    if not files:
        raise NotFound(f"a file of the dataset in {folder}")
    with TemporaryDirectory() as scratch, _connected(scratch) as connection:
        kind = config.dataset_type.lower()
        try:
            _load(connection, files, config, f"{scratch}/rows.csv" if "json" in kind else "")
            yield _named(connection, config, Path(scratch))
        except duckdb.OutOfMemoryException as error:
            raise LimitExceeded(f"the dataset needs more than {_MEMORY} of memory") from error
        except duckdb.Error as error:
            raise unreadable(error, "dataset") from error


@contextmanager
def _connected(scratch: str) -> Iterator[DuckDBPyConnection]:
    limits: dict[str, Any] = {
        "memory_limit": _MEMORY,
        "temp_directory": scratch,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(config=limits)
    try:
        yield connection
    finally:
        connection.close()


def _load(
    connection: DuckDBPyConnection, files: Sequence[Path], config: AnalysisConfig, flat: str
) -> None:
    kind = config.dataset_type.lower()
    if kind == "application/x-parquet":
        listed = ", ".join(literal(str(one)) for one in files)
        source = f"read_parquet([{listed}], union_by_name = true)"
        connection.execute(f"CREATE VIEW {TABLE} AS SELECT * FROM {source}")
        if config.headers:
            _rename(connection, config.headers)
        return
    if flat:
        lines = kind == "application/jsonlines"
        headers = flatten(files, config, flat, lines=lines)
        load_csv(connection, TABLE, [flat], headers, ())
        return
    wanted = [config.label, config.group_variable]
    wanted += [] if config.predicted_label_dataset_uri else [config.predicted_label]
    wanted += [] if config.facet_dataset_uri else [one.name_or_index for one in config.facet]
    named = [one for one in wanted if isinstance(one, str)]
    load_csv(connection, TABLE, [str(one) for one in files], config.headers, named)


def _rename(connection: DuckDBPyConnection, headers: Sequence[str]) -> None:
    found = names_of(connection, TABLE)
    if len(found) != len(headers):
        problem = f"names {len(headers)} columns, and the dataset has {len(found)}"
        raise InvalidInput("headers", problem)
    pairs = ", ".join(f"{name(o)} AS {name(n)}" for o, n in zip(found, headers, strict=True))
    connection.execute(f"CREATE VIEW named AS SELECT {pairs} FROM {TABLE}")
    connection.execute(f"CREATE OR REPLACE VIEW {TABLE} AS SELECT * FROM named")


def load_csv(
    connection: DuckDBPyConnection,
    table: str,
    files: Sequence[str],
    headers: Sequence[str] | None,
    named: Sequence[str],
) -> None:
    """Read CSV files into a table.

    Parameters
    ----------
    headers
        The columns' names; a first line that has them is no row. Without them the first line
        has them if it looks so, else they are ``column_0``, ``column_1``, ….
    named
        Names that somebody used: a first line with all of them is a header.

    Raises
    ------
    InvalidInput
        There are more or fewer names than columns.
    """
    with open(files[0], encoding="utf-8", errors="replace", newline="") as file:  # noqa: PTH123 - a path of DuckDB's
        lines = csv.reader(file)
        first, second = next(lines, []), next(lines, [])
    if headers is None:
        has_header = _is_header(first, second, named)
        names = first if has_header else [f"column_{place}" for place in range(len(first))]
    else:
        has_header, names = [one.strip() for one in first] == list(headers), list(headers)
    if len(names) != len(first):
        raise InvalidInput(
            "headers", f"names {len(names)} columns, and {files[0]} has {len(first)}"
        )
    if len(set(names)) != len(names):
        raise InvalidInput("headers", f"the columns' names repeat: {', '.join(names)}")
    texts = name(f"{table} as texts")
    query = delimited.select([Path(one) for one in files], has_header=has_header)
    connection.execute(f"CREATE TEMP TABLE {texts} AS {query}")
    found = [str(row[0]) for row in connection.execute(f"DESCRIBE {texts}").fetchall()]
    cells = [f"CASE WHEN {name(one)} IN {_NULLS} THEN NULL ELSE {name(one)} END" for one in found]
    types = connection.execute(f"SELECT {', '.join(map(_type, cells))} FROM {texts}").fetchone()
    typed = (
        f"CAST({cell} AS {kind}) AS {name(one)}"
        for cell, kind, one in zip(cells, types or (), names, strict=True)
    )
    connection.execute(f"CREATE TABLE {name(table)} AS SELECT {', '.join(typed)} FROM {texts}")
    connection.execute(f"DROP TABLE {texts}")


def _type(cell: str) -> str:
    """Ask which type all cells of a column of texts have."""
    return (
        f"CASE WHEN bool_and(TRY_CAST({cell} AS BIGINT) IS NOT NULL AND NOT contains({cell}, '.') "
        f"OR ({cell}) IS NULL) THEN 'BIGINT' "
        f"WHEN bool_and(TRY_CAST({cell} AS DOUBLE) IS NOT NULL OR ({cell}) IS NULL) THEN 'DOUBLE' "
        "ELSE 'VARCHAR' END"
    )


def unreadable(error: duckdb.Error, source: str) -> InvalidInput:
    """Say which file cannot be read, and at which line where that is known."""
    said = str(error).strip()
    return delimited.problem(said) or InvalidInput(source, said.split("\n\n")[0][:600])


def _is_header(first: Sequence[str], second: Sequence[str], named: Sequence[str]) -> bool:
    if named and set(named) <= set(first):
        return True
    if any(_is_number(one) for one in first) or len(set(first)) != len(first):
        return False
    return any(_is_number(one) for one in second)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True


def flatten(
    files: Sequence[Path], config: AnalysisConfig, target: str, *, lines: bool
) -> Sequence[str]:
    """Write JSON or JSON lines as CSV, and return the columns' names.

    The paths of the configuration find features, label and prediction; without one for features,
    the members of each line's object are the columns.

    Raises
    ------
    InvalidInput
        A file is no such JSON, or rows differ in length; names file and line.
    """
    width, headers = 0, list(config.headers or ())
    with open(target, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - as above
        writer = csv.writer(file)
        rows = _json_lines(files, config) if lines else _json_rows(files, config)
        for place, row, members in rows:
            if not width:
                width, headers = len(row), headers or members
            if len(row) != width:
                raise InvalidInput(place, f"has {len(row)} values, and those before {width}")
            writer.writerow(["" if one is None else one for one in row])
    if width and len(headers) != width:
        problem = f"names {len(headers)} columns, and the dataset has {width}"
        raise InvalidInput("headers", problem)
    return headers


Row = tuple[str, list[Any], list[str]]


def _members(config: AnalysisConfig, features: int) -> list[str]:
    names = [f"column_{place}" for place in range(features)]
    names += [_LABEL] if config.label is not None else []
    return names + ([_PREDICTED] if config.predicted_label is not None else [])


def _json_lines(files: Sequence[Path], config: AnalysisConfig) -> Iterator[Row]:
    find = _paths(config)
    for file in files:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                place = f"{file.name} line {number}"
                document = from_json(line, field=place)
                if not config.features:
                    if not isinstance(document, dict):
                        raise InvalidInput(place, "is no object, and no path finds its features")
                    yield place, list(document.values()), list(document)
                    continue
                found = [one.search(document) for one in find]
                if not isinstance(found[0], list):
                    raise InvalidInput(place, f"{config.features!r} finds no list of features")
                yield place, [*found[0], *found[1:]], _members(config, len(found[0]))


def _json_rows(files: Sequence[Path], config: AnalysisConfig) -> Iterator[Row]:
    if not config.features:
        raise InvalidInput("features", "is missing: where are they in the JSON document?")
    find = _paths(config)
    for file in files:
        if file.stat().st_size > _MOST_JSON_BYTES:
            raise InvalidInput(file.name, "is too large", legal=f"{_MOST_JSON_BYTES >> 20} MiB")
        document = from_json(file.read_bytes(), field=file.name)
        features, *others = (one.search(document) for one in find)
        columns = [features, *others]
        if not all(isinstance(one, list) and len(one) == len(columns[0]) for one in columns):
            raise InvalidInput(file.name, "its paths do not find lists of one length")
        for number, (row, *rest) in enumerate(zip(*columns, strict=True)):
            values = row if isinstance(row, list) else [row]
            yield f"{file.name} row {number}", [*values, *rest], _members(config, len(values))


def _paths(config: AnalysisConfig) -> list[Any]:
    wanted = [config.features, config.label, config.predicted_label]
    try:
        return [jmespath.compile(str(one)) for one in wanted if one not in {None, ""}]
    except jmespath.exceptions.JMESPathError as error:
        raise InvalidInput("features, label or predicted_label", str(error)) from None


def names_of(connection: DuckDBPyConnection, table: str) -> list[str]:
    """Name a table's columns."""
    rows = connection.execute(f"DESCRIBE {name(table)}").fetchall()
    return [str(row[0]) for row in rows]


def _named(connection: DuckDBPyConnection, config: AnalysisConfig, scratch: Path) -> Dataset:
    columns = names_of(connection, TABLE)
    by_path = "json" in config.dataset_type.lower() and bool(config.features)
    if by_path:
        behind = [one for one in (config.label, config.predicted_label) if one is not None]
        tail = columns[len(columns) - len(behind) :]
        label = tail[0] if config.label is not None else ""
        prediction = tail[-1] if config.predicted_label is not None else ""
    else:
        label = _maybe(columns, config.label, "label")
        elsewhere = bool(config.predicted_label_dataset_uri)
        here = None if elsewhere else config.predicted_label
        prediction = _maybe(columns, here, "predicted_label")
    return Dataset(
        connection,
        scratch,
        TABLE,
        columns,
        label=label,
        prediction=prediction,
        group=_maybe(columns, config.group_variable, "group_variable"),
        join=_maybe(columns, config.joinsource_name_or_index, "joinsource_name_or_index"),
    )


def _maybe(columns: Sequence[str], given: Name | None, field: str) -> str:
    return "" if given is None else column(columns, given, field=field)
