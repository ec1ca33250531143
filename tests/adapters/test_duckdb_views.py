"""Windows by DuckDB give the bits of tiles."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.test_windows import AGGREGATES, LENGTH_US, TIMES, bits, moments

from clary.adapters.duckdb_session import DuckDB
from clary.adapters.duckdb_views import DuckViews
from clary.features import windows
from clary.features.model import Feature, Schema
from clary.features.view_engine import Asked, Column, Input, Span, Stream
from clary.features.windows import HOUR_US, Aggregate

SCHEMA = Schema(
    (
        Feature("id", "Integral"),
        Feature("at", "String"),
        Feature("x", "Fractional"),
        Feature("n", "Integral"),
        Feature("s", "String"),
        Feature("added", "Integral"),
    ),
    "id",
    "at",
)
INPUTS = [Input('"x"', "DOUBLE"), Input('"n"', "BIGINT"), Input('"s"', "VARCHAR")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return DuckViews(DuckDB(tmp_path_factory.mktemp("scratch")))


def write(path, rows):
    padded = [(row, row.inputs or (None,) * 3) for _, row in rows]
    table = pa.table(
        {
            "id": pa.array([key for key, _ in rows], pa.int64()),
            "at": pa.array(["" for _ in rows], pa.string()),
            "x": pa.array([inputs[0] for _, inputs in padded], pa.float64()),
            "n": pa.array([inputs[1] for _, inputs in padded], pa.int64()),
            "s": pa.array([inputs[2] for _, inputs in padded], pa.string()),
            "event_us": pa.array([row.event_us for row, _ in padded], pa.int64()),
            "write_us": pa.array([row.write_us for row, _ in padded], pa.int64()),
            "is_deleted": pa.array([row.is_deleted for row, _ in padded], pa.bool_()),
            "row": pa.array(range(len(rows)), pa.int64()),
        }
    )
    pq.write_table(table, path)
    return [str(path)]


def tiles_of(rows, key, known_at_us):
    made = {}
    for of, row in rows:
        if of == key and row.write_us <= known_at_us:
            made.setdefault(row.event_us // LENGTH_US, []).append(row)
    return {number: windows.tile(held, AGGREGATES) for number, held in made.items()}


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), moments()), max_size=30),
    st.lists(st.tuples(st.integers(1, 4), TIMES), max_size=8),
    st.none() | st.integers(0, 5),
)
def test_batch_equals_tiles(engine, tmp_path_factory, rows, asked, known_at_us):
    files = write(tmp_path_factory.mktemp("rows") / "a.parquet", rows)
    table = pa.table(
        {
            "id": pa.array([str(key) for key, _ in asked], pa.string()),
            "t": pa.array([at_us for _, at_us in asked], pa.timestamp("us", "UTC")),
        }
    )
    stream = Stream(SCHEMA, files, INPUTS, AGGREGATES)
    found = engine.aggregate(table, Asked("id", "t", known_at_us), stream).to_pylist()
    assert len(found) == len(asked)
    for (key, at_us), cells in zip(asked, found, strict=True):
        tiles = tiles_of(rows, key, 9 if known_at_us is None else known_at_us)
        expected = windows.evaluate(tiles, AGGREGATES, LENGTH_US, at_us)
        for aggregate, cell in zip(AGGREGATES, expected, strict=True):
            assert bits(cells[aggregate.name]) == bits(cell), aggregate.name


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), moments()), max_size=30),
    st.lists(st.tuples(st.integers(1, 4), TIMES, st.integers(0, 5)), max_size=8),
)
def test_each_time_asked_has_a_moment_of_knowing(engine, tmp_path_factory, rows, asked):
    files = write(tmp_path_factory.mktemp("rows") / "a.parquet", rows)
    columns = list(zip(*asked, strict=True)) or [(), (), ()]
    moment = pa.timestamp("us", "UTC")
    table = pa.table(
        {
            "id": pa.array(map(str, columns[0]), pa.string()),
            "t": pa.array(columns[1], moment),
            "known": pa.array(columns[2], moment),
        }
    )
    stream = Stream(SCHEMA, files, INPUTS, AGGREGATES)
    found = engine.aggregate(table, Asked("id", "t", known_at="known"), stream).to_pylist()
    assert len(found) == len(asked)
    for (key, at_us, known_us), cells in zip(asked, found, strict=True):
        tiles = tiles_of(rows, key, known_us)
        expected = windows.evaluate(tiles, AGGREGATES, LENGTH_US, at_us)
        for aggregate, cell in zip(AGGREGATES, expected, strict=True):
            assert bits(cells[aggregate.name]) == bits(cell), aggregate.name


def test_columns_that_no_file_has_and_no_files_at_all(engine):
    stream = Stream(
        SCHEMA, [], [Input('"added" * 2', "BIGINT")], [Aggregate("n", "count", 0, HOUR_US)]
    )
    asked = pa.table({"id": ["1"], "t": pa.array([0], pa.timestamp("us"))})
    assert engine.aggregate(asked, Asked("id", "t"), stream).column("n").to_pylist() == [0]


def test_more_times_than_are_answered_together(engine, tmp_path):
    rows = [
        (key, windows.Moment(at * HOUR_US, 0, False, (0.1, key, "a")))
        for key in (1, 2)
        for at in range(50)
    ]
    files = write(tmp_path / "a.parquet", rows)
    count = 45_000
    asked = pa.table(
        {
            "id": [str(1 + at % 2) for at in range(count)],
            "t": pa.array([(at % 50) * HOUR_US for at in range(count)], pa.timestamp("us")),
        }
    )
    stream = Stream(SCHEMA, files, INPUTS, [Aggregate("n", "sum", 1, 2 * HOUR_US)])
    found = engine.aggregate(asked, Asked("id", "t"), stream).column("n").to_pylist()
    expected = [(1 + at % 2) * (1 if at % 50 == 0 else 2) for at in range(count)]
    assert found == expected
    asked = asked.slice(0, 4_500).append_column("k", asked["t"].slice(0, 4_500))
    question = Asked("id", "t", known_at="k")
    found = engine.aggregate(asked, question, stream).column("n").to_pylist()
    assert found == expected[:4_500]


def test_keys_are_those_with_rows_in_a_span(engine, tmp_path):
    rows = [(key, windows.Moment(key, 0, False, (None, None, None))) for key in (3, 1, 2)]
    files = write(tmp_path / "a.parquet", rows)
    assert engine.keys(SCHEMA, files, Span(1, 3)) == ["2", "3"]
    assert engine.keys(SCHEMA, files, Span(2, 3), Span(-1, 0)) == ["1", "2", "3"]


def test_computed_rows_stay_in_their_order(engine):
    count = 700_000  # more than two threads take at once
    table = pa.table({"n": pa.arange(0, count)}).combine_chunks()
    parts = pa.concat_tables(table.slice(at, 7_001) for at in range(0, count, 7_001))
    columns, made = {"n": Column("n", "BIGINT")}, {"found": '"n" + 1'}
    for given_table in (table, parts):
        computed = engine.compute(given_table, columns, made)
        assert computed.column("found").equals(pa.chunked_array([pa.arange(1, count + 1)]))
    assert engine.compute(table, {}, {"one": "1"}).num_rows == count
