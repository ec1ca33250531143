"""Tables of rows as they are read, or of a sample that is drawn while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from clary.analysis.spool import MOST_COLUMNS
from clary.expressions.types import quoted
from clary.flows.foreign import nearest
from clary.flows.transforms.queries import fresh, listed, lot
from clary.flows.transforms.sampling import Sample
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

    from clary.flows.steps import Schema


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


def table(
    connection: DuckDBPyConnection,
    name: str,
    rows: str,
    sampling: Sampling | None = None,
    *,
    once: bool = False,
    columns: Mapping[str, str] | None = None,
) -> None:
    """Make a table of rows, or of a sample of them, with the types that flows have.

    Of what is not taken no more is held than a sample needs: for the first rows and for a share
    nothing, for a number of rows as many, for strata their columns, in a reading of their own.
    The same seed takes the same rows as the transform ``sampling.sample``, in their order.

    Parameters
    ----------
    rows
        What DuckDB scans, as SQL.
    once
        Whether it can be read only once, or must be to its end: then all of it is held.
    columns
        Their names and DuckDB's types, where they are known.

    Raises
    ------
    InvalidInput
        The sample is none that can be taken.
    LimitExceeded
        There are more than 5,000 columns.
    """
    cells, schema = _cells(described(connection, rows) if columns is None else columns)
    sql = f"SELECT {cells} FROM {rows}"  # noqa: S608 quoted names and texts
    if sampling is None:
        _make(connection, name, sql)
    elif once and sampling.method != "random":
        whole = f"{name} whole"
        _make(connection, whole, sql)
        _make(connection, name, _taken(f"SELECT * FROM {quoted(whole)}", schema, sampling))  # noqa: S608 a quoted name
        connection.execute(f"DROP TABLE {quoted(whole)}")
    else:
        _make(connection, name, _taken(sql, schema, sampling))


def view(connection: DuckDBPyConnection, name: str, rows: str) -> None:
    """Make a view of rows, with the types that flows have. Raises LimitExceeded."""
    cells, _ = _cells(described(connection, rows))
    sql = f"CREATE OR REPLACE VIEW {quoted(name)} AS SELECT {cells} FROM {rows}"  # noqa: S608 quoted names and texts
    connection.execute(sql)


def described(connection: DuckDBPyConnection, rows: str) -> dict[str, str]:
    """Tell the names and DuckDB's types of columns."""
    found = connection.execute(f"DESCRIBE FROM {rows}").fetchall()
    return {row[0]: row[1] for row in found}


def _make(connection: DuckDBPyConnection, name: str, sql: str) -> None:
    connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS {sql}")


def _cells(columns: Mapping[str, str]) -> tuple[str, Schema]:
    if len(columns) > MOST_COLUMNS:
        raise LimitExceeded(f"{len(columns)} columns are more than {MOST_COLUMNS}")
    texts, schema = [], {}
    for column, kind in columns.items():
        name = quoted(column)
        try:
            schema[column] = nearest(kind)
            text = f"CAST({name} AS {schema[column].duckdb})"
        except InvalidInput:
            schema[column] = nearest("VARCHAR")
            text = f"CAST(to_json({name}) AS VARCHAR)"
        texts.append(f"{text} AS {name}")
    return ", ".join(texts), schema


def _taken(sql: str, schema: Schema, sampling: Sampling) -> str:
    """Write the sample of what a query gives; its rows are numbered as they come."""
    if sampling.method == "first":
        if sampling.rows < 1:
            raise InvalidInput("sampling", f"the first {sampling.rows} rows", legal="at least 1")
        return f"SELECT * FROM ({sql}) LIMIT {sampling.rows}"  # noqa: S608 of this module
    strata = sampling.columns if sampling.method == "stratified" else ()
    Sample(sampling.rows, sampling.fraction, strata, sampling.seed).steps([schema], {})
    at = fresh(schema, "at")
    names, drawn = listed(schema), lot(sampling.seed, at)
    numbered = f"(SELECT *, row_number() OVER () - 1 AS {at} FROM ({sql}))"  # noqa: S608 of this module
    if strata:
        test = _by_strata(strata, at, drawn, sampling)
        chosen = f"SELECT {at} FROM {numbered} QUALIFY {test}"  # noqa: S608 the same
        return f"SELECT {names} FROM {numbered} WHERE {at} IN ({chosen}) ORDER BY {at}"  # noqa: S608 the same
    if sampling.rows:
        chosen = f"SELECT * FROM {numbered} ORDER BY {drawn}, {at} LIMIT {sampling.rows}"  # noqa: S608 the same
        return f"SELECT {names} FROM ({chosen}) ORDER BY {at}"  # noqa: S608 the same
    return f"SELECT {names} FROM {numbered} WHERE {drawn} < {sampling.fraction!r}"  # noqa: S608 the same


def _by_strata(strata: tuple[str, ...], at: str, drawn: str, sampling: Sampling) -> str:
    """Say which rows of every stratum are taken: its share, rounded up."""
    of = f"PARTITION BY {listed(strata)}"
    share = f"{sampling.rows} / count(*) OVER ()" if sampling.rows else f"{sampling.fraction!r}"
    place = f"row_number() OVER ({of} ORDER BY {drawn}, {at})"
    return f"{place} <= ceil(round(count(*) OVER ({of}) * {share}, 6))"
