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
    {"id": "sorted", "operator": "rows.sort", "with": {"columns": ["age"]}, "inputs": ["people"]},
    {
        "id": "part",
        "operator": "sampling.sample",
        "with": {"fraction": 0.6, "key": ["city"], "seed": 1},
        "inputs": ["sorted"],
    },
    {"id": "unique", "operator": "rows.drop_duplicates", "inputs": ["part"]},
    {"id": "first", "operator": "sampling.limit", "with": {"rows": 1}, "inputs": ["people"]},
    {
        "id": "before",
        "operator": "series.lag",
        "with": {"time": "id", "columns": ["age"]},
        "inputs": ["people"],
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
    for node in ("named", "both", "counted", "sorted", "part", "unique"):
        rows = batch.rows(node).fetchall()
        text = spark.query(ready(flow, node, batch.fitted))
        [back] = sqlglot.transpile(text, read="spark", write="duckdb")
        assert sorted(connection.execute(back).fetchall(), key=repr) == sorted(rows, key=repr)


@pytest.mark.parametrize(
    ("node", "why"), [("sample", "the number of a row"), ("first", "takes the first rows")]
)
def test_what_spark_has_not_is_named(fitted, node, why):
    flow, _, batch = fitted
    batch.fit(node)
    with pytest.raises(NotSupported, match=rf"the node {node} .*does not run on Spark: .*{why}"):
        spark.query(ready(flow, node, batch.fitted))


def test_series_fail_where_two_rows_have_the_same_time(fitted):
    flow, _, batch = fitted
    batch.fit("before")
    text = spark.query(ready(flow, "before", batch.fitted))
    assert "COUNT(*) OVER (PARTITION BY `id`)" in text
    assert "LAG(`age`, 1) OVER (ORDER BY `id` NULLS LAST)" in text
