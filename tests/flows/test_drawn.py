"""Samples of sources: what the transform takes of a whole table, drawn while rows are read."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import orc, parquet

from clary.expressions import type_named
from clary.flows.drawn import Sampling, table
from clary.flows.model import Node
from clary.flows.sessions import session
from clary.flows.sources import load
from clary.flows.transforms.sampling import Limit, Sample
from clary.kernel.errors import InvalidInput

SCHEMA = {"at": type_named("BIGINT"), "kind": type_named("VARCHAR")}
SAMPLINGS = st.one_of(
    st.builds(Sampling, rows=st.integers(1, 40)),
    st.builds(
        Sampling,
        method=st.just("random"),
        rows=st.integers(1, 40),
        seed=st.integers(0, 2**63 - 1),
    ),
    st.builds(
        Sampling,
        method=st.just("random"),
        fraction=st.floats(0.01, 1),
        seed=st.integers(0, 9),
    ),
    st.builds(
        Sampling,
        method=st.just("stratified"),
        columns=st.just(("kind",)),
        rows=st.integers(1, 40),
        seed=st.integers(0, 9),
    ),
    st.builds(
        Sampling,
        method=st.just("stratified"),
        columns=st.just(("kind",)),
        fraction=st.floats(0.01, 1),
        seed=st.integers(0, 9),
    ),
)


@pytest.fixture(scope="module")
def connection():
    with session(memory="256MiB") as (opened, _):
        yield opened


def oracle(connection, sampling):
    """Take the rows of a whole table, as the transform does."""
    if sampling.method == "first":
        transform = Limit(sampling.rows)
    else:
        transform = Sample(sampling.rows, sampling.fraction, sampling.columns, sampling.seed)
    [query] = transform.steps([SCHEMA], {})
    return connection.execute(query.sql).fetchall()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=80), SAMPLINGS)
def test_a_sample_is_that_of_the_transform(connection, kinds, sampling):
    made = pa.table({"at": pa.array(range(len(kinds)), pa.int64()), "kind": pa.array(kinds, "str")})
    connection.register("given", made)
    connection.execute("CREATE OR REPLACE TABLE input0 AS FROM given")
    expected = oracle(connection, sampling)
    for once in (False, True):
        table(connection, "taken", "given", sampling, once=once)
        assert connection.table("taken").columns == ["at", "kind"]
        assert connection.table("taken").fetchall() == expected


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "orc", "delta"])
def test_every_format_is_drawn_from_alike(tmp_path, ending):
    if ending == "delta":
        deltalake = pytest.importorskip("deltalake")
    rows = pa.table({"id": range(20_000), "kind": [f"k{at % 3}" for at in range(20_000)]})
    place = tmp_path / f"a.{ending}"
    with session(memory="256MiB") as (connection, folder):
        connection.register("made", rows)
        if ending == "orc":
            orc.write_table(rows, place)
        elif ending == "delta":
            deltalake.write_deltalake(place, rows)
        elif ending == "parquet":
            parquet.write_table(rows, place)
        else:
            connection.execute(f"COPY (FROM made) TO '{place}'")
        for asked in (
            {"rows": 10},
            {"method": "random", "rows": 10, "seed": 5},
            {"method": "random", "fraction": 0.01, "seed": 5},
            {"method": "stratified", "rows": 10, "columns": ["kind"], "seed": 5},
        ):
            found = []
            for given_rows in (rows, place):
                node = Node("rows", "source", {"sampling": asked})
                load(connection, node, given_rows, folder)
                found.append(connection.table("rows").fetchall())
            assert found[0] == found[1]
            assert found[0] == sorted(found[0])
            assert len(found[0]) in range(1, 400)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rows": 0}, "the first 0 rows"),
        ({"method": "random", "rows": -1}, "rows: -1"),
        ({"method": "random", "rows": 3, "fraction": 0.5}, "3 rows, 0.5 of all"),
        ({"method": "stratified", "rows": 3, "columns": ["kin"]}, "no column 'kin'"),
    ],
)
def test_what_is_no_sample_is_said(connection, asked, said):
    with pytest.raises(InvalidInput, match=said):
        load(connection, Node("rows", "source", {"sampling": asked}), [{"kind": "a"}], None)
