"""Statements in Trino's SQL, Hive's definitions and DuckDB's SQL, read for DuckDB to run."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import library
from clary.features.queries import CreateTable, DropTable, Select
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.features.queries import Dialect, Name, Statement

_SERDE = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
_LEGAL = "a query, CREATE EXTERNAL TABLE of CSV files by OpenCSVSerde, or DROP TABLE"
_TYPES = {
    "TINYINT": "BIGINT",
    "SMALLINT": "BIGINT",
    "INT": "BIGINT",
    "BIGINT": "BIGINT",
    "FLOAT": "DOUBLE",
    "DOUBLE": "DOUBLE",
    "TEXT": "VARCHAR",
    "VARCHAR": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
}
_FORMAT = re.compile("yyyy|mm|dd|hh24|hh|mi|ss", re.IGNORECASE)
_PARTS = {
    "yyyy": "%Y",
    "mm": "%m",
    "dd": "%d",
    "hh24": "%H",
    "hh": "%I",
    "mi": "%M",
    "ss": "%S",
}


def read(text: str, dialect: Dialect, database: str) -> Statement:
    """Read one statement, see ``SqlEngine``."""
    sqlglot, exp = library("sqlglot"), library("sqlglot.expressions")
    try:
        parsed = [one for one in sqlglot.parse(text, read=dialect) if one is not None]
    except sqlglot.errors.SqlglotError as error:
        raise InvalidInput("query", _reason(error)) from None
    except RecursionError:
        raise InvalidInput("query", "is nested too deeply") from None
    if len(parsed) != 1:
        raise InvalidInput("query", f"{len(parsed)} statements", legal="one")
    statement = parsed[0]
    if isinstance(statement, exp.Query):
        return _select(text, statement, dialect, database)
    if dialect == "athena" and isinstance(statement, exp.Create):
        return _create(statement, database)
    if dialect == "athena" and isinstance(statement, exp.Drop) and statement.kind == "TABLE":
        (table,) = statement.args["tables"]
        return DropTable(_name(table, database), if_exists=bool(statement.args.get("exists")))
    raise NotSupported(f"{type(statement).__name__.upper()} is not offered", hint=_LEGAL)


def _reason(error: Any) -> str:
    for one in getattr(error, "errors", ()):
        return f"{one['description']} at line {one['line']}, column {one['col']}"
    return "it cannot be read"


def _select(text: str, query: Any, dialect: Dialect, database: str) -> Select:
    exp = library("sqlglot.expressions")
    tables = list(_tables(query, is_strict=dialect == "athena"))
    names = [_name(table, database) for table in tables]
    if dialect == "duckdb":
        return Select(text, sorted(set(names)))
    for table, (of, _) in zip(tables, names, strict=True):
        table.set("catalog", None)
        table.set("db", exp.to_identifier(of, quoted=True))
    translated = query.transform(_in_duckdb)
    return Select(translated.sql(dialect="duckdb", identify=True), sorted(set(names)))


def _tables(query: Any, *, is_strict: bool) -> Iterator[Any]:
    """Yield what is read that the query does not define itself."""
    exp = library("sqlglot.expressions")
    own = {one.alias_or_name.lower() for one in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            if is_strict:
                raise NotSupported(f"{table.this.sql()} is not offered as a table", hint=_LEGAL)
        elif table.db or table.name.lower() not in own:
            yield table


def _name(table: Any, database: str) -> Name:
    return (table.db or database).lower(), table.name.lower()


def _in_duckdb(node: Any) -> Any:
    """Rewrite what has no meaning of its own in DuckDB: times by Oracle's patterns."""
    exp = library("sqlglot.expressions")
    if isinstance(node, exp.Anonymous) and node.name.lower() == "to_timestamp":
        match node.expressions:
            case [value, exp.Literal() as pattern] if pattern.is_string:
                named = _FORMAT.sub(lambda part: _PARTS[part[0].lower()], pattern.name)
                return exp.Anonymous(
                    this="strptime", expressions=[value, exp.Literal.string(named)]
                )
    return node


def _create(statement: Any, database: str) -> CreateTable:
    exp = library("sqlglot.expressions")
    schema, properties = statement.this, statement.args.get("properties")
    found = partial(_property, properties)
    location, serde = found(exp.LocationProperty), found(exp.RowFormatSerdeProperty)
    is_csv = serde is not None and serde.name == _SERDE
    if not (isinstance(schema, exp.Schema) and found(exp.ExternalProperty) and location and is_csv):
        raise NotSupported("this CREATE is not offered", hint=_LEGAL)
    marks = {
        one.name.lower(): one.args["value"].name
        for one in getattr(serde.args.get("serde_properties"), "expressions", ())
    }
    return CreateTable(
        _name(schema.this, database),
        [_column(one) for one in schema.expressions],
        location.name,
        (
            _mark(marks, "separatorchar", ","),
            _mark(marks, "quotechar", '"'),
            _mark(marks, "escapechar", "\\"),
        ),
        or_not=bool(statement.args.get("exists")),
    )


def _property(properties: Any, kind: type[Any]) -> Any:
    return properties.find(kind) if properties is not None else None


def _column(column: Any) -> tuple[str, str]:
    exp = library("sqlglot.expressions")
    kind = column.args.get("kind")
    name = kind.this.name if isinstance(kind, exp.DataType) else ""
    if name not in _TYPES:
        raise InvalidInput(
            column.name, f"is of type {kind.sql() if kind else '?'}", legal=", ".join(_TYPES)
        )
    return column.name.lower(), _TYPES[name]


def _mark(marks: dict[str, str], name: str, otherwise: str) -> str:
    mark = marks.get(name, otherwise)
    if len(mark) != 1:
        raise InvalidInput(name, f"is {mark!r}", legal="one character")
    return mark
