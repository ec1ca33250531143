"""Flows over tables and over records: the same cells."""

from __future__ import annotations

import duckdb

from clary.flows import documents, fitted
from clary.flows.batch import Batch
from clary.flows.plans import plan
from clary.flows.records import compiled

DOCUMENT = {
    "nodes": [
        {"id": "people", "operator": "source"},
        {
            "id": "known",
            "operator": "rows.filter",
            "with": {"condition": "age is not null"},
            "inputs": ["people"],
        },
        {
            "id": "scaled",
            "operator": "numeric.standard",
            "with": {"columns": ["age"]},
            "inputs": ["known"],
        },
        {
            "id": "city",
            "operator": "encode.one_hot",
            "with": {"column": "city"},
            "inputs": ["scaled"],
        },
        {"id": "sorted", "operator": "rows.sort", "with": {"columns": ["id"]}, "inputs": ["city"]},
        {
            "id": "ready",
            "operator": "columns.drop",
            "with": {"columns": ["id"]},
            "inputs": ["sorted"],
        },
    ]
}
PEOPLE = [(2, 20, "Rome"), (1, 40, "Oslo"), (3, None, "Rome"), (4, 60, "Rome")]


def test_a_flow_gives_the_same_cells_over_a_table_and_over_records():
    flow = documents.read(DOCUMENT)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE people (id BIGINT, age BIGINT, city VARCHAR)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?)", PEOPLE)
        batch = Batch(connection, flow)
        rows = batch.rows("ready").fetchall()
        assert rows == [(0.0, 0.0, 1.0, 0.0), (-1.0, 1.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0)]
        again = fitted.read(fitted.write(batch.fitted))
        source = {"people": batch._described("people")}
    plans = plan(flow, "ready", again, source)
    assert list(plans[-1].columns) == ["age", "city_Rome", "city_Oslo", "city_unknown"]
    run = compiled(plans)
    assert [run(one) for one in sorted(PEOPLE)] == [rows[0], rows[1], None, rows[2]]
