"""Aggregates over windows by DuckDB: one pass over the rows, then parts of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import EXTRA, name, parquet
from clary.features.windows import mean_of, sum_of
from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from clary.adapters.duckdb_session import DuckDB
    from clary.features.model import Feature, Schema
    from clary.features.window_batch import Input, Stream
    from clary.features.windows import Aggregate

_AT_ONCE = 20_000
"""Times asked that are answered together: the numbers to add exactly are held in memory."""
_KINDS = {"Integral": "BIGINT", "Fractional": "DOUBLE", "String": "VARCHAR"}
_FIXED = {
    "event_us": "BIGINT",
    "write_us": "BIGINT",
    "is_deleted": "BOOLEAN",
    "row": "BIGINT",
}


class DuckWindows:
    """The port ``Windows``.

    Parameters
    ----------
    database
        Makes connections.
    """

    def __init__(self, database: DuckDB) -> None:
        self._database = database

    def aggregate(self, asked: Any, stream: Stream, *, known_at_us: int | None = None) -> Any:
        """Compute the aggregates of a stream; see ``Windows``."""
        pa = _arrow()
        with self._database.open(stream.files) as connection:
            connection.register("given", asked)
            connection.execute(
                "CREATE TEMP TABLE asked AS SELECT row_number() OVER () - 1 AS id, key, at_us "
                "FROM given"
            )
            connection.execute(_moments(stream, known_at_us))
            found = [
                _part(connection, stream, first) for first in range(0, asked.num_rows, _AT_ONCE)
            ]
        return pa.concat_tables(found or [_empty(stream)])

    def keys(
        self, schema: Schema, files: Sequence[str], after_us: int, until_us: int
    ) -> Sequence[str]:
        """List the entities with rows in a span of time; see ``Windows``."""
        with self._database.open(files) as connection:
            found = connection.execute(
                f"SELECT DISTINCT {_key(schema)} AS key FROM ({_rows(schema, files)}) "
                f"WHERE event_us > {after_us} AND event_us <= {until_us} ORDER BY key"
            ).fetchall()
        return [key for (key,) in found]


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
    longest = max(one.window_us for one in stream.aggregates)
    inputs = "".join(
        f", CAST(({one.sql}) AS {one.type}) AS i{place}" for place, one in enumerate(stream.inputs)
    )
    known = "" if known_at_us is None else f"AND write_us <= {known_at_us}"
    return f"""
        CREATE TEMP TABLE moments AS
        WITH rows AS (
            SELECT *, {_key(stream.schema)} AS "key of row"
            FROM ({_rows(stream.schema, stream.files)})
            WHERE event_us > (SELECT min(at_us) FROM asked) - {longest}
                AND event_us <= (SELECT max(at_us) FROM asked) {known}
        ), latest AS (
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
        SELECT "key of row" AS key, event_us, "gone at us" AS gone_us{inputs}
        FROM cut WHERE NOT is_deleted
    """


def _part(connection: DuckDBPyConnection, stream: Stream, first: int) -> Any:
    longest = max(one.window_us for one in stream.aggregates)
    chosen = [
        _select(one, stream.inputs[one.of], f"c{at}") for at, one in enumerate(stream.aggregates)
    ]
    found = connection.sql(f"""
        SELECT {", ".join(chosen)}
        FROM (SELECT * FROM asked WHERE id >= {first} AND id < {first + _AT_ONCE}) AS asked
        LEFT JOIN moments ON moments.key = asked.key AND event_us <= at_us
            AND event_us > at_us - {longest} AND gone_us > at_us
        GROUP BY id ORDER BY id
    """).to_arrow_table()
    pa = _arrow()
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
    pa = _arrow()
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
    pa = _arrow()
    return pa.table({one.name: pa.array([], pa.null()) for one in stream.aggregates})


def _arrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - only where the extra is installed
    except ImportError as error:
        raise NotSupported(f"aggregating {EXTRA}") from error
    return pa
