"""The reference page of flows on Spark: what the cases of the tests come to, without a Spark."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb

from clary.expressions import type_named
from clary.flows import documents, spark
from clary.flows.batch import Batch
from clary.flows.plans import ready
from clary.kernel.errors import NotSupported

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/flows"))
import spark_cases

_HEAD = """# Transforms on Spark
`flow.to_sql("spark")` and `clary flow export --to spark` write what was fitted as one query for
Spark 4 in its ANSI mode, its default. `make test-long` runs every transform below on a local Spark
and compares the cells with DuckDB's; it installs pyspark by itself where there is Java.

*Same* means the same rows with the same cells; sums, means and functions such as `exp` may differ
in their last digits. Rows of Spark have no order, so:

- what is sorted has equal rows in any order, and what is shuffled is not sorted at all;
- what goes along a series runs where no two of its rows have the same time, else the query fails;
- what takes rows by their number, as samples do, is refused. A split by key goes by digests, which
  Spark makes alike.

Tables have the types of the sources: `TIMESTAMP_NTZ` for times without a zone, `BIGINT`, `DOUBLE`,
`STRING`. A deviation or variance of numbers that are not finite fails in DuckDB, is NaN in Spark.
Which functions a formula may have there is told in [expressions](expressions.md).

| transform | on Spark |
|---|---|
"""
_APART = {"columns", "column", "output", "time", "keys", "value", "sql", "code"}


def page() -> str:
    """List every transform that has steps without code of its own."""
    cases = [one for one in spark_cases.CASES if one[0] != "columns.formula"]
    lines = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for name in spark_cases.SOURCES:
            _fill(connection, name)
        for operator, same in groupby(sorted(cases, key=itemgetter(0)), itemgetter(0)):
            found = [(with_, _refusal(connection, operator, with_)) for _, with_ in same]
            lines.append(f"| `{operator}` | {_told(found)} |")
    return _HEAD + "\n".join(lines) + "\n"


def _told(found: list[tuple[dict[str, Any], str]]) -> str:
    reasons = {problem for _, problem in found}
    if reasons == {""}:
        return "same"
    if "" not in reasons:
        return f"refused: {'; '.join(sorted(reasons))}"
    refused = [f"with `{_given(with_)}` refused: {problem}" for with_, problem in found if problem]
    return "; ".join(["same", *refused])


def _given(with_: dict[str, Any]) -> str:
    return json.dumps({name: one for name, one in with_.items() if name not in _APART})


def _refusal(connection: duckdb.DuckDBPyConnection, operator: str, with_: dict[str, Any]) -> str:
    flow = documents.read(spark_cases.document(operator, with_))
    batch = Batch(connection, flow)
    batch.fit("made")
    try:
        spark.query(ready(flow, "made", batch.fitted))
    except NotSupported as error:
        return error.message.partition(" on Spark: ")[2]
    return ""


def _fill(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make a table of a few rows."""
    schema, rows = spark_cases.SOURCES[name]
    columns = ", ".join(
        f'"{one.replace(chr(34), chr(34) * 2)}" {type_named(kind).duckdb}'
        for one, kind in schema.items()
    )
    connection.execute(f'CREATE TABLE "{name}" ({columns})')
    marks = ", ".join("?" for _ in schema)
    connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows[:60])
