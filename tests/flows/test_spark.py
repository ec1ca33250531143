"""Flows as Spark's SQL: read back, it gives the cells that DuckDB gives."""

import duckdb
import pytest
import sqlglot

from clary.flows import documents, spark
from clary.flows.batch import Batch
from clary.flows.plans import ready
from clary.kernel.errors import NotSupported

NODES = [
    {"id": "people", "operator": "source"},
    {"id": "cities", "operator": "source"},
    {
        "id": "known",
        "operator": "rows.filter",
        "with": {"condition": "age is not null"},
        "inputs": ["people"],
    },
    {
        "id": "named",
        "operator": "strings.affix",
        "with": {"columns": ["city"], "prefix": "in "},
        "inputs": ["known"],
    },
    {
        "id": "both",
        "operator": "combine.join",
        "with": {"on": ["city"]},
        "inputs": ["named", "cities"],
    },
    {
        "id": "counted",
        "operator": "group.aggregate",
        "with": {"by": ["land"], "aggregates": {"age": ["mean", "max"], "*": ["count"]}},
        "inputs": ["both"],
    },
    {"id": "sample", "operator": "sampling.sample", "with": {"rows": 1}, "inputs": ["people"]},
]


@pytest.fixture
def fitted():
    flow = documents.read({"nodes": NODES})
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE people (id BIGINT, age BIGINT, city VARCHAR)")
        connection.execute(
            "INSERT INTO people VALUES (1, 20, 'Rome'), (2, 40, 'Oslo'), (3, NULL, 'Rome'),"
            " (4, 60, 'Rome')"
        )
        connection.execute("CREATE TABLE cities (city VARCHAR, land VARCHAR)")
        connection.execute("INSERT INTO cities VALUES ('in Rome', 'Italy'), ('in Oslo', 'Norway')")
        yield flow, connection, Batch(connection, flow)


def test_the_text_read_back_gives_the_same_cells(fitted):
    flow, connection, batch = fitted
    for node in ("named", "both", "counted"):
        rows = batch.rows(node).fetchall()
        text = spark.query(ready(flow, node, batch.fitted))
        [back] = sqlglot.transpile(text, read="spark", write="duckdb")
        assert sorted(connection.execute(back).fetchall(), key=repr) == sorted(rows, key=repr)


def test_what_spark_has_not_is_named(fitted):
    flow, _, batch = fitted
    batch.fit("sample")
    with pytest.raises(NotSupported, match=r"the node sample .*does not run on Spark"):
        spark.query(ready(flow, "sample", batch.fitted))
