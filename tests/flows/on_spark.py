"""Flows on a local Spark and in DuckDB: the same cells."""

import math

import duckdb
import local_spark
import parity
import pytest

from clary.flows import documents, spark
from clary.flows.batch import Batch
from clary.flows.plans import ready

CLOSE = 1e-9
"""What sums and Java's functions differ by: the order they add in, their last digits."""


def fitted(document, tables, node):
    """Fit a flow; give its query for Spark, or why there is none, and DuckDB's columns and rows."""
    flow = documents.read(document)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        used = {one.id: tables[one.id] for one in flow.nodes if one.operator == "source"}
        for name, (schema, rows) in used.items():
            parity._fill(connection, name, schema, rows)
        batch = Batch(connection, flow)
        batch.fit(node)
        plans = ready(flow, node, batch.fitted)
        text = spark.query(plans)
        try:
            rows = batch.rows(node).fetchall()
        except duckdb.Error as error:
            rows = error
        return used, text, plans[-1].columns, rows


def assert_same(session, document, tables, node, *, is_sorted=False):
    """Run a flow on both; the order of rows counts only where it is said to."""
    tables = {name: (parity._schema(schema), rows) for name, (schema, rows) in tables.items()}
    used, text, columns, ours = fitted(document, tables, node)
    if isinstance(ours, Exception):
        with pytest.raises(RuntimeError):
            session.rows(used, text)
        return
    theirs = [
        tuple(map(local_spark.zoned, row, columns.values())) for row in session.rows(used, text)
    ]
    if not is_sorted:
        ours, theirs = sorted(ours, key=_key), sorted(theirs, key=_key)
    assert len(ours) == len(theirs), f"{len(ours)} rows, Spark has {len(theirs)}\n{text}"
    wrong = [
        (name, mine, other)
        for one, another in zip(ours, theirs, strict=True)
        for name, mine, other in zip(columns, one, another, strict=True)
        if not alike(mine, other)
    ]
    assert not wrong, f"{len(wrong)} cells: {wrong[:4]}\n{text[-1500:]}"


def alike(left, right):
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[one], right[one]) for one in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isfinite(left):
        return math.isclose(left, right, rel_tol=CLOSE, abs_tol=CLOSE)
    return parity.same(left, right)


def _key(row):
    return [f"{one:.6e}" if isinstance(one, float) else repr(one) for one in row]
