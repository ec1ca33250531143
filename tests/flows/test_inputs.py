"""The order of rows: defined for joins, known beside a column of its name, the same as SQL."""

import duckdb
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clary
from clary.flows.exports import sql
from clary.flows.plans import ready
from clary.flows.sessions import SETTINGS

few = settings(max_examples=15, deadline=None)
KEYS = st.none() | st.sampled_from(["a", "b", "c"])
HOWS = ("inner", "left", "right", "full", "left_semi", "left_anti")


def two(operator, with_, left, right):
    nodes = [
        {"id": "left", "operator": "source"},
        {"id": "right", "operator": "source"},
        {"id": "made", "operator": operator, "with": with_, "inputs": ["left", "right"]},
    ]
    return parity.run({"nodes": nodes}, {"left": left, "right": right})


def joined(how, left, right):
    """Join in order: the left's rows, each with the right's; then the right's alone."""
    found, matched = [], set()
    for row in left:
        same = [at for at, one in enumerate(right) if one[0] == row[0] is not None]
        matched.update(same)
        if how == "left_semi":
            found += [row] if same else []
        elif how == "left_anti":
            found += [] if same else [row]
        else:
            found += [(*row, *right[at]) for at in same]
            found += [(*row, None, None)] if not same and how in ("left", "full") else []
    if how in ("right", "full"):
        found += [(None, None, *row) for at, row in enumerate(right) if at not in matched]
    return found


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["place", "ROWID"])
def test_joins_have_an_order(how, name):
    @few
    @given(st.lists(KEYS, max_size=8), st.lists(KEYS, max_size=8))
    def run(left, right):
        left = [(key, 9 - at) for at, key in enumerate(left)]
        right = [(key, -at) for at, key in enumerate(right)]
        schemas = {"k": "varchar", name: "bigint"}, {"k": "varchar", "y": "bigint"}
        found = two("combine.join", {"on": ["k"], "how": how}, *zip(schemas, (left, right)))  # noqa: B905
        assert found.rows == joined(how, left, right)

    run()


def test_rows_are_in_the_order_of_the_left_among_many():
    left = [(at % 1000, at) for at in range(20_000, 0, -1)]
    right = [(at, at) for at in range(999, -1, -1)] * 2
    schemas = {"k": "bigint", "x": "bigint"}, {"k": "bigint", "y": "bigint"}
    found = two("combine.join", {"on": ["k"]}, (schemas[0], left), (schemas[1], right))
    assert found["x"] == [x for _, x in left for _ in range(2)]


@few
@given(st.lists(KEYS, max_size=8), st.lists(KEYS, max_size=8))
def test_distinct_rows_stand_where_the_first_of_them_stood(left, right):
    given = {"distinct": True, "indicator": "from"}
    schemas = {"k": "varchar"}, {"K": "varchar"}
    rows = [[(one,) for one in side] for side in (left, right)]
    found = two("combine.concatenate", given, *zip(schemas, rows))  # noqa: B905
    assert list(found.columns) == ["k", "from"]
    both = [(one, "0") for one in left] + [(one, "1") for one in right]
    assert found.rows == list({one[0]: one for one in reversed(both)}.values())[::-1] or (
        sorted(found.rows, key=both.index) == found.rows
        and {one[0] for one in found.rows} == {one[0] for one in both}
    )


ORDERED = (
    ("rows.sort", {"columns": ["g"]}),
    ("rows.shuffle", {"seed": 3}),
    ("rows.drop_duplicates", {"columns": ["g"]}),
    ("sampling.sample", {"rows": 4, "seed": 1}),
    ("sampling.sample", {"fraction": 0.5}),
    ("sampling.sample", {"rows": 4, "stratify": ["g"]}),
    ("sampling.split", {"part": "a", "shares": {"a": 0.5, "b": 0.5}}),
    ("balance.oversample", {"column": "g"}),
    ("balance.undersample", {"column": "g"}),
    ("balance.smote", {"column": "g"}),
    ("series.lag", {"time": "t", "keys": ["g"], "columns": ["x"]}),
    ("series.gather", {"time": "t", "keys": ["g"]}),
    ("series.validate_times", {"time": "t", "policy": "drop"}),
    ("series.range", {"output": "at", "start": "2024-01-01"}),
)
ROWS = [(5, at // 4, "abaacaba"[at % 8], at * 0.5) for at in range(24)]


@pytest.mark.parametrize(("operator", "with_"), ORDERED)
def test_a_column_called_as_the_order_is_changes_nothing(operator, with_):
    plain, hidden = (
        parity.apply(
            operator, with_, {name: "bigint", "t": "bigint", "g": "varchar", "x": "double"}, ROWS
        )
        for name in ("number", "RowId")
    )
    assert hidden.rows == plain.rows
    renamed = [one.replace("RowId", "number") for one in hidden.columns]
    assert renamed == list(plain.columns)


@pytest.mark.parametrize(("operator", "with_"), ORDERED)
@pytest.mark.parametrize("name", ["number", "rowid"])
def test_the_sql_of_a_flow_has_the_same_order(operator, with_, name):
    rows = [dict(zip((name, "t", "g", "x"), one, strict=True)) for one in ROWS]
    flow = clary.Flow(rows, name="rows").then(operator, with_)
    found = flow.to_arrow()
    query = sql.query(ready(flow.document, flow.name, flow.fitted))
    with duckdb.connect() as connection:
        connection.execute(SETTINGS)
        connection.register("given", clary.Flow(rows).to_arrow())
        connection.execute("CREATE TABLE rows AS FROM given")
        assert connection.sql(query).to_arrow_table().to_pylist() == found.to_pylist()


def test_working_tables_leave_nodes_alone():
    rows = clary.Flow([{"a": 2}, {"a": 1}], name="n")
    other = clary.Flow([{"a": 7}], name="n kept")
    flow = rows.filter("a > 0").called("n kept_2").sort("a").concatenate(other)
    sorted_ = rows.filter("true").called("m").sort("a").called("m kept").sort("a", descending=True)
    assert flow.to_arrow().to_pylist() == [{"a": 1}, {"a": 2}, {"a": 7}]
    assert sorted_.to_arrow().to_pylist() == [{"a": 2}, {"a": 1}]
