"""Views by DuckDB: aggregates in one pass over the rows, and expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.adapters.arrow_frames import beside
from clary.adapters.duckdb_point_in_time import key, moment
from clary.adapters.duckdb_session import library, name, parquet
from clary.features.definitions import EVENT_TIME
from clary.features.values import as_text
from clary.features.view_engine import Change
from clary.features.windows import Moment, mean_of, sum_of
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from clary.adapters.duckdb_session import DuckDB
    from clary.features.model import Feature, Schema, Value
    from clary.features.view_engine import Asked, Column, Input, Span, Stream
    from clary.features.windows import Aggregate

_AT_ONCE = 20_000
"""Times asked that are answered together: the numbers to add exactly are held in memory."""
_KNOWN_AT_ONCE = 2_000
"""So many where each has a moment of knowing: their rows are told apart for each of them."""
_KINDS = {"Integral": "BIGINT", "Fractional": "DOUBLE", "String": "VARCHAR"}
_FIXED = {
    "event_us": "BIGINT",
    "write_us": "BIGINT",
    "is_deleted": "BOOLEAN",
    "row": "BIGINT",
}
_IN_ORDER = {"preserve_insertion_order": True}
"""Rows come out as they go in, where nothing joins or gathers them; sorting them costs as much."""


class DuckViews:
    """The port ``ViewEngine``.

    Parameters
    ----------
    database
        Makes connections.
    """

    def __init__(self, database: DuckDB) -> None:
        self._database = database

    def asked(self, identifier: str, keys: Sequence[str], at_us: int) -> Any:
        """Make the labels of entities at one time; see ``ViewEngine``."""
        pa = library("pyarrow")
        times = pa.array([at_us] * len(keys), pa.timestamp("us", "UTC"))
        return pa.table({identifier: pa.array(keys, pa.string()), EVENT_TIME: times})

    def aggregate(self, labels: Any, asked: Asked, stream: Stream) -> Any:
        """Append the aggregates of a stream to labels; see ``ViewEngine``."""
        pa = library("pyarrow")
        for column in filter(None, (asked.key, asked.time, asked.known_at)):
            if column not in labels.column_names:
                raise InvalidInput(
                    "labels", f"has no column {column!r}", legal=", ".join(labels.column_names)
                )
        with self._database.open(stream.files) as connection:
            connection.register("labels", labels)
            _ask(connection, asked, stream)
            step = _KNOWN_AT_ONCE if asked.known_at else _AT_ONCE
            if not asked.known_at:
                connection.execute(_moments(stream, asked.known_at_us))
            found = []
            for first in range(0, labels.num_rows, step):
                if asked.known_at:
                    connection.execute(_known_moments(stream, first))
                ids = range(first, first + step)
                found.append(_part(connection, stream, ids, is_own=bool(asked.known_at)))
        return beside(labels, pa.concat_tables(found or [_empty(stream)]))

    def compute(self, table: Any, columns: Mapping[str, Column], made: Mapping[str, str]) -> Any:
        """Compute expressions over columns; see ``ViewEngine``."""
        there = set(table.column_names)
        read = [_column_of(column, one, there) for column, one in columns.items()]
        wanted = [f"{sql} AS {name(result)}" for result, sql in made.items()]
        with self._database.open(options=_IN_ORDER) as connection:
            connection.register("given", table)
            try:
                return connection.sql(
                    f"SELECT {', '.join(wanted)} FROM (SELECT {', '.join(read) or '1'} FROM given)"
                ).to_arrow_table()
            except _failures() as error:
                raise InvalidInput("features", f"fails on a row: {error}") from None

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Read a table into rows; see ``ViewEngine``."""
        return list(table.to_pylist())

    def beside(self, left: Any, names: Sequence[str], right: Any) -> Any:
        """Put columns side by side; see ``ViewEngine``."""
        return beside(left.select(list(names)), right)

    def keys(
        self, schema: Schema, files: Sequence[str], events: Span, writes: Span | None = None
    ) -> Sequence[str]:
        """List the entities with rows in a span of time; see ``ViewEngine``."""
        also = f" OR {_within('write_us', writes)}" if writes else ""
        with self._database.open(files) as connection:
            found = connection.execute(
                f"SELECT DISTINCT {name(schema.identifier)} AS key FROM ({_rows(schema, files)}) "
                f"WHERE {_within('event_us', events)}{also}"
            ).fetchall()
        return sorted(as_text(value) for (value,) in found)

    def changes(self, stream: Stream, after_row: int, limit: int) -> Sequence[Change]:
        """Read the first rows behind a number; see ``ViewEngine``."""
        inputs = "".join(
            f", CASE WHEN NOT is_deleted THEN {_input(one)} END" for one in stream.inputs
        )
        with self._database.open(stream.files) as connection:
            found = connection.execute(
                f'SELECT "row", {name(stream.schema.identifier)}, event_us, write_us, is_deleted'
                f"{inputs} "
                f'FROM ({_rows(stream.schema, stream.files)}) WHERE "row" > {after_row} '
                f'ORDER BY "row" LIMIT {limit}'
            ).fetchall()
        return [_change(*row) for row in found]


def _within(column: str, span: Span) -> str:
    return f"({column} > {span.after_us} AND {column} <= {span.until_us})"


def _change(row: int, value: Value, *rest: Any) -> Change:
    event_us, write_us, is_deleted, *inputs = rest
    read = () if is_deleted else tuple(inputs)
    return Change(row, as_text(value), Moment(event_us, write_us, is_deleted, read))


def _ask(connection: DuckDBPyConnection, asked: Asked, stream: Stream) -> None:
    """Make the table of what is asked: label, key, time."""
    described = connection.execute("DESCRIBE labels").fetchall()
    types = {row[0]: str(row[1]) for row in described}
    read = key(stream.schema, asked.key, types[asked.key])
    known = moment(asked.known_at, types[asked.known_at]) if asked.known_at else "NULL::BIGINT"
    connection.execute(
        f"CREATE TEMP TABLE asked AS SELECT row_number() OVER () - 1 AS id, "
        f"CAST({read} AS VARCHAR) AS key, {moment(asked.time, types[asked.time])} AS at_us, "
        f"{known} AS known_us, {name(asked.key)} IS NOT NULL AS is_keyed FROM labels"
    )
    wrong_ones = [(asked.key, "key IS NULL AND is_keyed"), (asked.time, "at_us IS NULL")]
    wrong_ones += [(asked.known_at, "known_us IS NULL")] if asked.known_at else []
    for column, wrong in wrong_ones:
        found = connection.execute(
            f"SELECT min(id) FROM asked WHERE {wrong} HAVING count(*) > 0"
        ).fetchone()
        if found is not None:
            raise InvalidInput(f"labels.{column}", f"row {found[0]} holds no key or no time of it")


def _column_of(column: str, one: Column, there: set[str]) -> str:
    value = name(one.name) if one.name in there else "NULL"
    return f"CAST({value} AS {one.type}) AS {name(column)}"


def _input(one: Input) -> str:
    return f"CAST(({one.sql}) AS {one.type})"


def _failures() -> tuple[type[Exception], ...]:
    duckdb = library("duckdb")
    return (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


def _rows(schema: Schema, files: Sequence[str]) -> str:
    """Read a group's files with all of its columns, those too that the files lack."""
    columns = {one.name: _type(one) for one in schema.features} | _FIXED
    nothing = ", ".join(f"NULL::{kind} AS {name(column)}" for column, kind in columns.items())
    empty = f"SELECT {nothing} WHERE false"
    return f"{empty} UNION ALL BY NAME SELECT * FROM {parquet(files)}" if files else empty


def _type(feature: Feature) -> str:
    return _KINDS[feature.kind] + ("[]" if feature.collection else "")


def _key(schema: Schema) -> str:
    """Write the identifier as records are filed under it."""
    return f"CAST({name(schema.identifier)} AS VARCHAR)"


def _moments(stream: Stream, known_at_us: int | None) -> str:
    """Keep what counts of each event time, and when a deletion first forgets it."""
    known = "" if known_at_us is None else f"AND write_us <= {known_at_us}"
    return f"""
        CREATE TEMP TABLE moments AS
        WITH rows AS ({_near(stream, "asked")} {known}), latest AS (
            SELECT * FROM rows WHERE "key of row" IN (SELECT key FROM asked)
            QUALIFY row_number() OVER (
                PARTITION BY "key of row", event_us ORDER BY write_us DESC, row DESC
            ) = 1
        ), cut AS (
            SELECT *, coalesce(min(CASE WHEN is_deleted THEN event_us END) OVER (
                PARTITION BY "key of row" ORDER BY event_us
                ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            ), {2**63 - 1}) AS "gone at us"
            FROM latest
        )
        SELECT "key of row" AS key, event_us, "gone at us" AS gone_us{_inputs(stream)}
        FROM cut WHERE NOT is_deleted
    """


def _known_moments(stream: Stream, first: int) -> str:
    """Keep what counts for each of some times asked, of what was known then.

    A correction or a deletion that is known for one of them may be unknown for another.
    """
    longest = max(one.window_us for one in stream.aggregates)
    return f"""
        CREATE OR REPLACE TEMP TABLE moments AS
        WITH part AS (
            SELECT id, key, at_us, known_us FROM asked
            WHERE id >= {first} AND id < {first + _KNOWN_AT_ONCE}
        ), rows AS ({_near(stream, "part")}), latest AS (
            SELECT part.id AS "id of asked", rows.*
            FROM part JOIN rows ON "key of row" = part.key AND event_us <= part.at_us
                AND event_us > part.at_us - {longest} AND write_us <= part.known_us
            QUALIFY row_number() OVER (
                PARTITION BY part.id, event_us ORDER BY write_us DESC, row DESC
            ) = 1
        ), cut AS (
            SELECT *, max(CASE WHEN is_deleted THEN event_us END) OVER (
                PARTITION BY "id of asked"
            ) AS "gone until us"
            FROM latest
        )
        SELECT "id of asked" AS id, "key of row" AS key, event_us,
            {2**63 - 1} AS gone_us{_inputs(stream)}
        FROM cut WHERE event_us > coalesce("gone until us", {-(2**63)})
    """


def _near(stream: Stream, asked: str) -> str:
    """Read the rows that any of the times asked may count."""
    longest = max(one.window_us for one in stream.aggregates)
    return f"""
        SELECT *, {_key(stream.schema)} AS "key of row"
        FROM ({_rows(stream.schema, stream.files)})
        WHERE event_us > (SELECT min(at_us) FROM {asked}) - {longest}
            AND event_us <= (SELECT max(at_us) FROM {asked})
    """


def _inputs(stream: Stream) -> str:
    return "".join(f", {_input(one)} AS i{at}" for at, one in enumerate(stream.inputs))


def _part(connection: DuckDBPyConnection, stream: Stream, ids: range, *, is_own: bool) -> Any:
    """Answer some of the times asked; ``is_own`` says that each has moments of its own."""
    longest = max(one.window_us for one in stream.aggregates)
    chosen = [
        _select(one, stream.inputs[one.of], f"c{at}") for at, one in enumerate(stream.aggregates)
    ]
    own = "AND moments.id = asked.id" if is_own else ""
    found = connection.sql(f"""
        SELECT {", ".join(chosen)}
        FROM (SELECT * FROM asked WHERE id >= {ids.start} AND id < {ids.stop}) AS asked
        LEFT JOIN moments ON moments.key = asked.key {own} AND event_us <= at_us
            AND event_us > at_us - {longest} AND gone_us > at_us
        GROUP BY asked.id ORDER BY asked.id
    """).to_arrow_table()
    pa = library("pyarrow")
    return pa.table(
        {
            one.name: _column(one, stream.inputs[one.of], found.column(f"c{at}"))
            for at, one in enumerate(stream.aggregates)
        }
    )


def _select(aggregate: Aggregate, read: Input, called: str) -> str:
    value = f"i{aggregate.of}"
    unsigned = f"{value} + 0.0" if read.type == "DOUBLE" else value
    adds = f"list({value})" if read.type == "DOUBLE" else f"sum({value})"
    inside = f"FILTER ({value} IS NOT NULL AND event_us > at_us - {aggregate.window_us})"
    if aggregate.function == "mean":
        return f"{{'count': count({value}) {inside}, 'sum': {adds} {inside}}} AS {called}"
    form = {
        "count": f"count({value})",
        "sum": adds,
        "min": f"min({unsigned})",
        "max": f"max({unsigned})",
        "last": f"arg_max({value}, event_us)",
        "distinct": f"count(DISTINCT {value})",
    }[aggregate.function]
    return f"{form} {inside} AS {called}"


def _column(aggregate: Aggregate, read: Input, found: Any) -> Any:
    """Finish what DuckDB does not add exactly."""
    pa = library("pyarrow")
    if aggregate.function == "sum":
        cells = [sum_of(_numbers(cell)) for cell in found.to_pylist()]
        return pa.array(cells, pa.float64() if read.type == "DOUBLE" else pa.int64())
    if aggregate.function == "mean":
        cells = [mean_of(cell["count"], _numbers(cell["sum"])) for cell in found.to_pylist()]
        return pa.array(cells, pa.float64())
    return found.combine_chunks()


def _numbers(cell: Any) -> Sequence[Any]:
    if cell is None:
        return []
    return cell if isinstance(cell, list) else [int(cell)]


def _empty(stream: Stream) -> Any:
    pa = library("pyarrow")
    return pa.table({one.name: pa.array([], pa.null()) for one in stream.aggregates})
