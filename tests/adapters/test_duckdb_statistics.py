"""Statistics of features against plain Python over the same rows."""

from __future__ import annotations

import math
import statistics

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.adapters.duckdb_session import DuckDB
from clary.adapters.duckdb_statistics import DuckDBStatistics
from clary.features.model import Feature, Schema
from clary.features.statistics import Span

SCHEMA = Schema(
    (
        Feature("id", "String"),
        Feature("at", "Fractional"),
        Feature("whole", "Integral"),
        Feature("part", "Fractional"),
        Feature("text", "String"),
        Feature("list", "Integral", "List"),
        Feature("never", "String"),
    ),
    "id",
    "at",
)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-30, 30),
        st.none() | st.floats() | st.floats(-10, 10),
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.none() | st.lists(st.integers(0, 3), max_size=3),
        st.booleans(),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return DuckDBStatistics(DuckDB(tmp_path_factory.mktemp("scratch")))


def write(path, rows):
    columns = {
        "id": pa.array([f"k{at % 3}" for at in range(len(rows))], pa.string()),
        "at": pa.array([float(at) for at in range(len(rows))], pa.float64()),
        "whole": pa.array([row[0] for row in rows], pa.int64()),
        "part": pa.array([row[1] for row in rows], pa.float64()),
        "text": pa.array([row[2] for row in rows], pa.string()),
        "list": pa.array([row[3] for row in rows], pa.list_(pa.int64())),
        "event_us": pa.array(range(len(rows)), pa.int64()),
        "write_us": pa.array([at + 5 for at in range(len(rows))], pa.int64()),
        "is_deleted": pa.array([row[4] for row in rows], pa.bool_()),
        "row": pa.array(range(len(rows)), pa.int64()),
    }
    pq.write_table(pa.table(columns), path)
    return [str(path)]


def numbers(cells):
    return [len(one) if isinstance(one, str | list) else one for one in cells]


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_what_is_counted_is_what_is_there(engine, tmp_path_factory, rows):
    files = write(tmp_path_factory.mktemp("rows") / "rows.parquet", rows)
    measured = engine.measure(SCHEMA, files)
    kept = [row for row in rows if not row[4]]
    assert (measured.rows, measured.deletions) == (len(rows), len(rows) - len(kept))
    by_name = {one.feature: one for one in measured.features}
    assert [one.feature for one in measured.features] == [one.name for one in SCHEMA.features]
    for place, name in enumerate(("whole", "part", "text", "list")):
        found, cells = by_name[name], [row[place] for row in kept if row[place] is not None]
        assert (found.present, found.missing) == (len(cells), len(kept) - len(cells))
        values = [one for one in numbers(cells) if math.isfinite(one)]
        assert found.nan == sum(map(math.isnan, numbers(cells)))
        assert found.infinite == len(cells) - found.nan - len(values)
        assert found.distinct <= len(cells)
        if not values:
            assert (found.minimum, found.mean, list(found.histogram)) == (None, None, [])
            continue
        assert (found.minimum, found.maximum) == (min(values), max(values))
        scale = max(abs(found.minimum), abs(found.maximum), 1e-300)
        assert found.mean == pytest.approx(
            math.fsum(one / len(values) for one in values), rel=1e-9, abs=1e-9 * scale
        )
        if len(values) > 1 and scale < 1e150:
            assert found.deviation == pytest.approx(
                statistics.stdev(map(float, values)), rel=1e-6, abs=1e-9 * scale
            )
        assert sum(one.count for one in found.histogram) == len(values)
        assert len(found.histogram) <= 20
        assert all(math.isfinite(one.start + 0 * one.end) for one in found.histogram)
    assert by_name["never"].missing == len(kept)


def test_frequent_values_and_bins(engine, tmp_path):
    rows = [(n % 4, 0.5, "ab" if n % 5 else "x" * 300, [], False) for n in range(40)]
    measured = engine.measure(SCHEMA, write(tmp_path / "rows.parquet", rows))
    by_name = {one.feature: one for one in measured.features}
    assert [(one.value, one.count) for one in by_name["text"].frequent] == [
        ("ab", 32),
        ("x" * 200, 8),
    ]
    assert [(one.start, one.end, one.count) for one in by_name["whole"].histogram] == [
        (0, 1, 10),
        (1, 2, 10),
        (2, 3, 10),
        (3, 4, 10),
    ]
    assert by_name["part"].quantiles["0.5"] == 0.5
    assert [(one.start, one.count) for one in by_name["part"].histogram] == [(0.5, 40)]
    assert by_name["id"].frequent == []
    assert measured.entities == 3
    assert engine.span(write(tmp_path / "more.parquet", rows)) == Span(40, 0, 39, 44)


def test_a_table_without_rows_has_nothing(engine):
    measured = engine.measure(SCHEMA, [])
    assert (measured.rows, measured.entities, measured.features[2].present) == (0, 0, 0)
    assert engine.span([]) == Span()


def test_wide_groups_are_counted_some_columns_at_a_time(engine, tmp_path):
    names = [f"f{n}" for n in range(60)]
    schema = Schema(
        (
            Feature("id", "String"),
            Feature("at", "Fractional"),
            *(Feature(name, "Integral") for name in names),
        ),
        "id",
        "at",
    )
    rows = [(1, 1.0, "t", [], False)] * 3
    files = write(tmp_path / "rows.parquet", rows)
    table = pq.read_table(files[0]).drop(["whole", "part", "text", "list"])
    for at, name in enumerate(names):
        table = table.append_column(name, pa.array([at] * 3, pa.int64()))
    pq.write_table(table, files[0])
    found = engine.measure(schema, files).features
    assert [one.mean for one in found[2:]] == list(range(60))
