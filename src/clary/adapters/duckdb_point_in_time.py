"""Point-in-time joins by DuckDB, exact and within limits of memory."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from clary.adapters import arrow_frames
from clary.adapters.duckdb_session import name, parquet
from clary.features.point_in_time import method
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from clary.adapters.duckdb_session import DuckDB
    from clary.features.model import FeatureType, Schema
    from clary.features.point_in_time import Encoded, Form, Question, Source

_TYPES: dict[FeatureType, str] = {
    "Integral": "BIGINT",
    "Fractional": "DOUBLE",
    "String": "VARCHAR",
}
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_WHOLE_NUMBERS = (*_WHOLE, *(f"U{one}" for one in _WHOLE))
_NUMBERS = (*_WHOLE_NUMBERS, "FLOAT", "DOUBLE")
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_LABELS = "labels"
_ROW = "_label_row"
"""No feature is called so: their names begin with a letter or a digit."""
_PAIRS = """
SELECT e._label_row, any_value(e.t) AS t,
       max({{'event': f.event_us, 'write': f.write_us, 'row': f."row"}}) AS m
FROM {rows} f JOIN asked e ON f.id = e.id AND f.event_us <= e.t AND f.write_us <= e.known
GROUP BY e._label_row
"""
_ASOF = """
WITH k AS (
    SELECT id, event_us, write_us, event_us::HUGEINT * 18446744073709551616 + write_us AS at
    FROM {rows} f WHERE f.write_us <= (SELECT min(known) FROM asked)
), met AS (
    SELECT e._label_row, e.t, e.id, k.event_us, k.write_us
    FROM (SELECT *, (t::HUGEINT + 1) * 18446744073709551616 - 1 AS at FROM asked) e
    ASOF JOIN k ON e.id = k.id AND e.at >= k.at
)
SELECT met._label_row, any_value(met.t) AS t,
       max({{'event': f.event_us, 'write': f.write_us, 'row': f."row"}}) AS m
FROM {rows} f
JOIN met ON f.id = met.id AND f.event_us = met.event_us AND f.write_us = met.write_us
GROUP BY met._label_row
"""
_LAST_US = (1 << 63) - 1


class DuckDBPointInTime:
    """The ``PointInTime`` engine on DuckDB: keys first, then the features of the rows found.

    Parameters
    ----------
    duckdb
        Where connections come from.
    """

    def __init__(self, duckdb: DuckDB) -> None:
        self._duckdb = duckdb

    def table(self, frame: Any) -> Any:
        """Take a frame, see ``PointInTime``."""
        return arrow_frames.table(frame)

    def version(self) -> dict[str, str]:
        """Say which libraries answer, see ``PointInTime``."""
        return {one: metadata.version(one) for one in ("duckdb", "pyarrow")}

    def encode(self, table: Any) -> Encoded:
        """Write Parquet, see ``PointInTime``."""
        return arrow_frames.encode(table)

    def decode(self, data: bytes) -> Any:
        """Read Parquet, see ``PointInTime``."""
        return arrow_frames.decode(data)

    def convert(self, table: Any, form: Form) -> Any:
        """Give another library's frame, see ``PointInTime``."""
        return arrow_frames.convert(table, form)

    def join(self, labels: Any, question: Question) -> Any:
        """Join, see ``PointInTime``."""
        _check_columns(labels, question)
        files = [file for source in question.sources for file in source.files]
        with self._duckdb.open(files) as connection:
            connection.register(
                _LABELS, arrow_frames.numbered(labels.select(_needed(question)), _ROW)
            )
            return _Join(connection, labels, question).answer()


class _Join:
    """One question, on a connection of its own."""

    def __init__(self, connection: DuckDBPyConnection, labels: Any, question: Question) -> None:
        self._connection = connection
        self._labels = labels
        self._question = question
        described = connection.execute(f"DESCRIBE {_LABELS}").fetchall()
        self._types = {row[0]: str(row[1]) for row in described}

    def answer(self) -> Any:
        columns, tables = [], []
        for number, source in enumerate(self._question.sources):
            self._find(source, f"found_{number}")
            tables.append(f"LEFT JOIN found_{number} USING ({_ROW})")
            columns += [
                f"found_{number}.{name(feature)} AS {name(f'{source.name}.{feature}')}"
                for feature in source.names
            ]
        joined = self._connection.sql(
            f"SELECT {', '.join(columns)} FROM (SELECT {_ROW} FROM {_LABELS}) {' '.join(tables)}"
            f" ORDER BY {_ROW}"
        )
        return arrow_frames.beside(self._labels, joined.to_arrow_table())

    def _find(self, source: Source, table: str) -> None:
        """Make the table of the features asked for, by label."""
        self._ask(source)
        rows, columns = self._rows(source)
        keyed = f'(SELECT {columns} AS id, event_us, write_us, "row" FROM {rows})'
        chosen = method(self._fan_out(keyed), known_per_label=bool(self._question.known_at))
        template = _PAIRS if chosen == "pairs" else _ASOF
        keys = template.format(rows=keyed)
        self._run(f"CREATE OR REPLACE TEMP TABLE _met AS {keys}")
        young = "" if source.ttl_us is None else f"AND _met.t - _met.m.event < {source.ttl_us}"
        features = ", ".join(f"f.{name(feature)}" for feature in source.names)
        self._run(
            f"CREATE TEMP TABLE {table} AS SELECT _met.{_ROW}, {features} FROM {rows} f"
            f' JOIN _met ON f."row" = _met.m.row WHERE NOT f.is_deleted {young}'
        )

    def _run(self, statement: str) -> None:
        self._connection.execute(statement)

    def _rows(self, source: Source) -> tuple[str, str]:
        """Write the relation of a group's rows, and its identifier."""
        kinds = {one.name: column_type(one.kind, one.collection) for one in source.schema.features}
        identifier = name(source.schema.identifier)
        return rows_of(source.files, kinds, self._connection), identifier

    def _ask(self, source: Source) -> None:
        """Make the table of what is asked: label, identifier, time, time of knowing."""
        question = self._question
        known = str(_LAST_US if question.known_at_us is None else question.known_at_us)
        if question.known_at:
            known = self._moment(question.known_at)
        self._run(
            f"CREATE OR REPLACE TEMP TABLE asked AS SELECT {_ROW}, {self._key(source)} AS id,"
            f" {name(source.key)} IS NOT NULL AS is_keyed, {self._moment(question.time)} AS t,"
            f" ({known})::BIGINT AS known FROM {_LABELS}"
        )
        for column, bad in (
            (source.key, "id IS NULL AND is_keyed"),
            (question.time, "t IS NULL"),
            *([(question.known_at, "known IS NULL")] if question.known_at else []),
        ):
            self._refuse(column, bad, source)
        if source.since_us is not None:
            self._refuse_removed(source, source.since_us)

    def _refuse_removed(self, source: Source, since_us: int) -> None:
        found = self._connection.execute(
            f"SELECT min({_ROW}) FROM asked WHERE t < {since_us} HAVING count(*) > 0"
        ).fetchone()
        if found is None:
            return
        at = datetime.fromtimestamp(since_us / 1e6, UTC).isoformat(timespec="seconds")
        value = self._labels[self._question.time][found[0]].as_py()
        raise InvalidInput(
            f"labels.{self._question.time}",
            f"row {found[0]} holds {value!r}, and the rows of {source.name!r} from before {at}"
            " were removed by its retention",
            legal=f"{at} or later",
        )

    def _refuse(self, column: str, bad: str, source: Source) -> None:
        found = self._connection.execute(
            f"SELECT min({_ROW}) FROM asked WHERE {bad} HAVING count(*) > 0"
        ).fetchone()
        if found is None:
            return
        legal = "timestamps, ISO-8601 texts, or seconds since 1970"
        if column == source.key:
            identifier = source.schema.identifier
            kind = next(one.kind for one in source.schema.features if one.name == identifier)
            legal = f"{kind} values, as {identifier!r} of {source.name!r} has"
        value = self._labels[column][found[0]].as_py()
        raise InvalidInput(f"labels.{column}", f"row {found[0]} holds {value!r}", legal=legal)

    def _key(self, source: Source) -> str:
        return key(source.schema, source.key, self._types[source.key])

    def _moment(self, column: str) -> str:
        return moment(column, self._types[column])

    def _fan_out(self, rows: str) -> float:
        counted = self._connection.execute(
            "SELECT coalesce(sum(n), 0) / greatest((SELECT count(*) FROM asked) +"
            f" (SELECT count(*) FROM {rows}), 1) FROM {rows} JOIN"
            " (SELECT id, count(*)::DOUBLE AS n FROM asked GROUP BY id) USING (id)"
        ).fetchone()
        return float(counted[0]) if counted else 0.0


def key(schema: Schema, column: str, found: str) -> str:
    """Write the labels' column of a type as the identifier of a group; NULL where it is none.

    Raises InvalidInput when no value of the type can be one.
    """
    kind = next(one.kind for one in schema.features if one.name == schema.identifier)
    if kind == "String" and found not in ("VARCHAR", *_WHOLE_NUMBERS):
        raise InvalidInput(
            f"labels.{column}", f"is {found}", legal=f"texts, as {schema.identifier!r} has"
        )
    return f"TRY_CAST({name(column)} AS {_TYPES[kind]})"


def moment(column: str, found: str) -> str:
    """Write the labels' column of a type as microseconds since 1970; NULL where it is no time.

    Raises InvalidInput when no value of the type can be one.
    """
    quoted = name(column)
    if found in _NUMBERS:
        return f"TRY_CAST(round({quoted}::DECIMAL(38, 9) * 1000000) AS BIGINT)"
    if found in _MOMENTS or found.startswith("TIMESTAMP_"):
        return f"epoch_us({quoted}::TIMESTAMP WITH TIME ZONE)"
    if found == "VARCHAR":
        return f"epoch_us(TRY_CAST({quoted} AS TIMESTAMP WITH TIME ZONE))"
    raise InvalidInput(
        f"labels.{column}", f"is {found}", legal="timestamps, ISO-8601 texts, or seconds"
    )


def column_type(kind: FeatureType, collection: str | None) -> str:
    """Write a feature's type in DuckDB's words."""
    return _TYPES[kind] + ("[]" if collection else "")


def rows_of(files: list[str] | Any, kinds: dict[str, str], connection: DuckDBPyConnection) -> str:
    """Write the relation of a group's rows, with every feature of its schema and the four times.

    A feature that no file has yet is missing everywhere.
    """
    wanted = {
        **kinds,
        "event_us": "BIGINT",
        "write_us": "BIGINT",
        "is_deleted": "BOOLEAN",
        "row": "BIGINT",
    }
    there: set[str] = set()
    if files:
        described = connection.execute(f"DESCRIBE SELECT * FROM {parquet(files)}").fetchall()
        there = {row[0] for row in described}
    columns = ", ".join(_columns(wanted, there))
    return f"(SELECT {columns} " + (f"FROM {parquet(files)})" if files else "WHERE false)")


def _columns(wanted: dict[str, str], there: set[str]) -> Iterator[str]:
    for column, kind in wanted.items():
        yield name(column) if column in there else f"NULL::{kind} AS {name(column)}"


def _needed(question: Question) -> list[str]:
    """Name the columns of the labels that are read, each once."""
    keys = (source.key for source in question.sources)
    known = [question.known_at] if question.known_at else []
    return list(dict.fromkeys([question.time, *keys, *known]))


def _check_columns(labels: Any, question: Question) -> None:
    there = set(labels.column_names)
    for column in _needed(question):
        if column not in there:
            raise InvalidInput("labels", f"has no column {column!r}", legal=", ".join(there))
        if column.lower() == _ROW:
            raise InvalidInput("labels", f"{column!r} is a name of ours", legal="any other name")
    for source in question.sources:
        for feature in source.names:
            if f"{source.name}.{feature}" in there:
                raise InvalidInput("labels", f"has a column {source.name}.{feature} already")
