"""Point-in-time joins against an oracle that looks at every row for every label."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.adapters.duckdb_point_in_time import DuckDBPointInTime
from clary.adapters.duckdb_session import DuckDB
from clary.features import point_in_time
from clary.features.model import Feature, Schema
from clary.features.point_in_time import Question, Source
from clary.kernel.errors import InvalidInput, LimitExceeded

SCHEMA = Schema(
    (
        Feature("id", "Integral"),
        Feature("at", "Fractional"),
        Feature("income", "Fractional"),
        Feature("city", "String"),
    ),
    "id",
    "at",
)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),  # id
        st.integers(0, 12),  # event
        st.integers(0, 4),  # write
        st.booleans(),  # deleted
        st.one_of(st.none(), st.floats(allow_nan=False)),
    ),
    max_size=40,
)
LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 14), st.integers(0, 5)), max_size=12)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return DuckDBPointInTime(DuckDB(tmp_path_factory.mktemp("scratch")))


def write(path, rows, first=0):
    """Write rows as the offline store does."""
    table = pa.table(
        {
            "id": pa.array([one[0] for one in rows], pa.int64()),
            "at": pa.array([one[1] / 1e6 for one in rows], pa.float64()),
            "income": pa.array([one[4] for one in rows], pa.float64()),
            "city": pa.array([f"c{first + n}" for n in range(len(rows))], pa.string()),
            "event_us": pa.array([one[1] for one in rows], pa.int64()),
            "write_us": pa.array([one[2] for one in rows], pa.int64()),
            "is_deleted": pa.array([one[3] for one in rows], pa.bool_()),
            "row": pa.array(range(first, first + len(rows)), pa.int64()),
        }
    )
    pq.write_table(table, path)
    return str(path)


def truth(rows, label, ttl, known):
    """Say what the features are, by looking at every row."""
    key, t, _ = label
    met = [
        (event, write, row)
        for row, (of, event, write, _, _) in enumerate(rows)
        if of == key and event <= t and (known is None or write <= known)
    ]
    if not met:
        return None, None
    event, _, row = max(met)
    if rows[row][3] or (ttl is not None and t - event >= ttl):
        return None, None
    return rows[row][4], f"c{row}"


@pytest.mark.parametrize("fan_out", [0.0, 1e9], ids=["asof", "pairs"])
def test_every_label_gets_what_was_true(engine, tmp_path, fan_out, monkeypatch):
    monkeypatch.setattr(point_in_time, "LARGEST_FAN_OUT", fan_out)

    @settings(max_examples=60, deadline=None)
    @given(
        ROWS,
        LABELS,
        st.one_of(st.none(), st.integers(0, 6)),
        st.one_of(st.none(), st.integers(0, 5)),
        st.booleans(),
    )
    def check(rows, labels, ttl, known, per_label):
        middle = len(rows) // 2
        files = [write(tmp_path / "1.parquet", rows[:middle])] if middle else []
        files += [write(tmp_path / "2.parquet", rows[middle:], middle)] if rows else []
        table = pa.table(
            {
                "who": pa.array([one[0] for one in labels], pa.int64()),
                "when": pa.array([one[1] for one in labels], pa.timestamp("us", "UTC")),
                "known": pa.array([one[2] for one in labels], pa.timestamp("us")),
            }
        )
        source = Source("people", SCHEMA, files, ("income", "city"), "who", ttl)
        question = Question(
            (source,), "when", None if per_label else known, "known" if per_label else ""
        )
        answer = engine.join(table, question)
        assert answer.column_names == ["who", "when", "known", "people.income", "people.city"]
        found = list(
            zip(*(answer[name].to_pylist() for name in answer.column_names[3:]), strict=True)
        )
        expected = [truth(rows, label, ttl, label[2] if per_label else known) for label in labels]
        assert found == expected

    check()


@pytest.fixture
def people(tmp_path):
    rows = [(1, 1_000_000, 5, False, 10.0), (1, 3_000_000, 5, False, 30.0), (2, 0, 5, False, 2.0)]
    return Source("people", SCHEMA, [write(tmp_path / "p.parquet", rows)], ("income",), "id")


@pytest.mark.parametrize(
    "times",
    [
        [2, 3, 1],
        [2.0, 3.5, 1.0],
        ["1970-01-01T00:00:02Z", "1970-01-01 01:00:03+01:00", "1970-01-01T00:00:01"],
        [datetime(1970, 1, 1, 0, 0, second) for second in (2, 3, 1)],
        [datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (2, 3, 1)],
    ],
)
def test_times_may_be_numbers_texts_and_timestamps(engine, people, times):
    labels = pa.table({"id": [1, 1, 2], "t": times})
    answer = engine.join(labels, Question((people,), "t"))
    assert answer["people.income"].to_pylist() == [10.0, 30.0, 2.0]


def test_frames_go_in_and_come_out(engine, people):
    polars = pl.DataFrame({"id": ["1", "2"], "t": [2, 2]})
    for frame in (polars, polars.to_pandas(), polars.to_arrow()):
        answer = engine.join(engine.table(frame), Question((people,), "t"))
        assert engine.convert(answer, "polars")["people.income"].to_list() == [10.0, 2.0]
        assert engine.convert(answer, "pandas")["people.income"].tolist() == [10.0, 2.0]
        assert engine.convert(answer, "arrow") is answer


def test_encoded_tables_repeat(engine, people):
    labels = pa.table({"id": [1, 2], "t": [2, 2]})
    whole = engine.join(labels, Question((people,), "t"))
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert engine.encode(whole) == engine.encode(cut)
    assert engine.decode(engine.encode(cut).data).equals(whole)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"id": [1], "when": [1]}, "labels: has no column 't'"),
        ({"key": [1], "t": [1]}, "labels: has no column 'id'"),
        ({"id": ["x7"], "t": [1]}, "labels.id: row 0 holds 'x7'; legal: Integral values"),
        ({"id": [1, 1], "t": ["2020-01-01", "soon"]}, "labels.t: row 1 holds 'soon'"),
        ({"id": [1, 1], "t": [1, None]}, "labels.t: row 1 holds None"),
        ({"id": [1], "t": [[1]]}, "labels.t: is BIGINT[]"),
        ({"id": [1], "t": [1], "people.income": [1]}, "a column people.income already"),
        ({"t": [1], "T": [1], "id": [1]}, "two columns have the same name"),
    ],
)
def test_bad_labels_are_refused_by_column_and_row(engine, people, labels, says):
    with pytest.raises(InvalidInput) as refused:
        engine.join(engine.table(pa.table(labels)), Question((people,), "t"))
    assert says in str(refused.value)


def test_what_is_no_frame_is_refused(engine):
    with pytest.raises(InvalidInput, match="labels: is a list"):
        engine.table([1, 2])


def test_memory_is_bounded(tmp_path, people):
    small = DuckDBPointInTime(DuckDB(tmp_path / "scratch", memory_bytes=2 << 20))
    labels = pa.table({"id": pa.array(range(300_000)), "t": pa.array(range(300_000))})
    with pytest.raises(LimitExceeded, match="needs more than 2 MiB"):
        small.join(labels, Question((people,), "t"))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_killed_processes_spilled_is_removed(tmp_path):
    duckdb = DuckDB(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f"{ended.pid}-left").mkdir()
    with duckdb.folder() as first, duckdb.folder() as second:
        assert {str(one) for one in tmp_path.iterdir()} == {first, second}
