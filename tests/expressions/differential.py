"""The same expression on the same rows: by row, and in DuckDB, cell by cell."""

import datetime as dt
import math
import struct

import duckdb
import pyarrow as pa

from clary.expressions import parse
from clary.expressions.row import compile_rows
from clary.expressions.tree import Call
from clary.kernel.errors import InvalidInput

FAILED = object()
FAILURES = (duckdb.OutOfRangeException, duckdb.ConversionException, duckdb.InvalidInputException)
ARROW = {
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


def arrow_type(kind):
    if kind.item is not None:
        return pa.list_(arrow_type(kind.item))
    if kind.fields:
        return pa.struct([(name, arrow_type(inner)) for name, inner in kind.fields])
    return ARROW[kind.name]


class Table:
    """Rows in DuckDB, beside the same rows in Python."""

    def __init__(self, schema, rows):
        self.schema, self.rows, self.columns = schema, rows, tuple(schema)
        arrays = {
            name: pa.array([row[place] for row in rows], arrow_type(kind))
            for place, (name, kind) in enumerate(schema.items())
        }
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        held = pa.table(arrays)
        self.connection.register("held", held)
        self.connection.execute(
            "CREATE TABLE rows AS SELECT row_number() OVER () AS number, * FROM held"
        )

    def optimized(self, sql):
        """Return what DuckDB answers, None where it fails for a row."""
        try:
            return self._select(sql)
        except FAILURES:
            return None

    def literally(self, sql):
        """Return what each part comes to if nothing is optimized away, FAILED for such rows."""
        self.connection.execute("PRAGMA disable_optimizer")
        try:
            found = self._select(f"TRY({{'v': {sql}}})")
        except FAILURES:  # of constants alone, which TRY does not catch
            return [FAILED] * len(self.rows)
        finally:
            self.connection.execute("PRAGMA enable_optimizer")
        return [FAILED if value is None else value["v"] for value in found]

    def _select(self, sql):
        found = self.connection.execute(f"SELECT {sql} FROM rows ORDER BY number").fetchall()
        return [value for (value,) in found]

    def by_row(self, tree):
        compiled = compile_rows([tree], self.columns)
        return [_attempt(compiled, row) for row in self.rows]

    def differences(self, text):
        """Return the rows in which the two differ, with both values.

        Of a part that fails beside one that decides the answer, DuckDB computes sometimes the one,
        sometimes both, by how its vectors come. So where we fail it may have an answer, and where
        it fails and we have an answer, a part must fail that we did not need.
        """
        expression = parse(text, self.schema)
        sql, ours = expression.sql(), self.by_row(expression.tree)
        theirs = self.optimized(sql) or self.literally(sql)
        found = [
            (row, left, right)
            for row, left, right in zip(self.rows, theirs, ours, strict=True)
            if right is not FAILED and not same(left, right)
        ]
        return [
            one
            for one in found
            if one[1] is not FAILED or not self.has_failing(expression.tree, one[0])
        ]

    def has_failing(self, tree, row):
        """Tell whether any part of a tree fails for a row."""
        if not isinstance(tree, Call) or not tree.fails:
            return False
        compiled = compile_rows([tree], self.columns)
        return _attempt(compiled, row) is FAILED or any(
            self.has_failing(one, row) for one in tree.arguments
        )

    def failures(self, text):
        """Return the rows of which one fails and the other does not; for single functions."""
        expression = parse(text, self.schema)
        pairs = zip(
            self.rows, self.literally(expression.sql()), self.by_row(expression.tree), strict=True
        )
        return [one for one in pairs if (one[1] is FAILED) != (one[2] is FAILED)]


def _attempt(compiled, row):
    try:
        return compiled(row)[0]
    except InvalidInput:
        return FAILED


def same(left, right):
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, dt.datetime) and isinstance(right, dt.datetime):
        return left == right and (left.tzinfo is None) == (right.tzinfo is None)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right
