# ruff: noqa: E501 - nodes read better as lines
"""Values that do not fit while rows are computed: the node and the value are named."""

import datetime as dt
import json

import pytest

import clary
from clary.flows import documents
from clary.flows.batch import Batch
from clary.flows.failures import explained
from clary.flows.sessions import session
from clary.kernel.errors import InvalidInput, LimitExceeded

KNOWN = [{"kind": "a", "size": "1"}, {"kind": "b", "size": "2"}]
NEW = {"source": [{"kind": "z", "size": "x"}]}
STRICT = {
    "one_hot": lambda flow: flow.one_hot("kind", unseen="error"),
    "ordinal": lambda flow: flow.ordinal("kind", unseen="error"),
    "cast": lambda flow: flow.cast("size", to="long", invalid="error"),
}


@pytest.mark.parametrize("node", STRICT)
def test_a_value_that_is_refused_is_named_with_its_node(node, tmp_path):
    before = clary.Flow(KNOWN).head(10)
    flow = STRICT[node](before).indicator("kind" if node == "cast" else "size").fit()
    for compute in (
        flow.to_arrow,
        lambda given: flow.preview(1, given),
        lambda given: flow.write(tmp_path / "out.csv").run(given),
        lambda given: flow.report(sources=given),
    ):
        with pytest.raises(InvalidInput, match=rf"node {node} \(.*'[xz]'"):
            compute(NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_sum_that_is_out_of_range_is_told():
    flow = clary.Flow([{"n": 2**63 - 1}, {"n": 1}]).aggregate([], {"n": ["sum"]})
    with pytest.raises(InvalidInput, match=r"node aggregate .*out of range"):
        flow.to_arrow()


@pytest.mark.parametrize(
    "sql", ["SELECT nope FROM df", "SELECT getenv('HOME')", "SELECT error('no') FROM df"]
)
def test_sql_that_does_not_run_names_its_node(sql):
    with pytest.raises(InvalidInput, match=r"node sql \(custom\.sql\)"):
        clary.Flow(KNOWN).sql(sql, dialect="duckdb").to_arrow()


def test_nodes_whose_names_differ_by_case_stay_apart():
    upper = clary.Flow([{"id": 1, "x": "upper"}], name="Rows")
    lower = clary.Flow([{"id": 1, "y": "lower"}], name="rows")
    assert upper.join(lower, on=["id"]).to_arrow().to_pylist() == [
        {"id_0": 1, "x": "upper", "id_1": 1, "y": "lower"}
    ]
    nodes = [{"id": "x", "operator": "source"}, {"id": "X", "operator": "source"}]
    with pytest.raises(InvalidInput, match="two nodes are called 'X'"):
        documents.read({"nodes": nodes})


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_a_node_has_a_name(name):
    with pytest.raises(InvalidInput, match="is no name of a node"):
        documents.read(json.dumps({"nodes": [{"id": name, "operator": "source"}]}))


def test_json_that_is_too_deep_is_no_flow():
    with pytest.raises(InvalidInput, match="is no JSON"):
        documents.read("[" * 100_000)


def test_a_transform_without_inputs_is_named():
    node = {"id": "both", "operator": "combine.concatenate"}
    flow = clary.Flow("none")
    flow.document = documents.read({"nodes": [node]})
    with pytest.raises(InvalidInput, match="the node both has 0 inputs"):
        flow.node("both").to_arrow()


def test_rows_of_no_source_are_refused():
    flow = clary.Flow(KNOWN).head(1)
    with pytest.raises(InvalidInput, match="no source 'sauce'; legal: source"):
        flow.to_arrow({"sauce": KNOWN})
    with pytest.raises(InvalidInput, match="2 tables are given"):
        flow(KNOWN, KNOWN)
    with pytest.raises(InvalidInput, match="the source later has no file"):
        clary.Flow("later").to_arrow()


def test_an_operator_that_is_none_is_told_with_those_like_it():
    node = {"id": "n", "operator": "columns.dorp", "inputs": ["source"]}
    flow = clary.Flow(KNOWN)
    flow.document = documents.read({"nodes": [{"id": "source", "operator": "source"}, node]})
    with pytest.raises(InvalidInput, match=r"node n .*'columns\.dorp'.*columns\.drop"):
        flow.node("n").to_arrow()


@pytest.mark.parametrize("end", ["lists", "long"])
def test_a_node_that_needs_too_much_memory_is_named(end):
    nodes = [
        {"id": "rows", "operator": "source"},
        {"id": "kept", "operator": "rows.filter", "with": {"condition": "t >= 0"}, "inputs": ["rows"]},
        {"id": "lists", "operator": "series.gather", "with": {"time": "t"}, "inputs": ["kept"]},
        {"id": "long", "operator": "series.standardize_length", "with": {"columns": ["x"]}, "inputs": ["lists"]},
    ]  # fmt: skip
    flow = documents.read({"nodes": nodes})
    with session(memory="64MiB") as (connection, _):
        connection.execute("CREATE TABLE rows AS SELECT range AS t, range AS x FROM range(4000000)")
        batch = Batch(connection, flow)
        with (
            pytest.raises(LimitExceeded, match=r"^node lists \(series\.gather\): .*memory"),
            explained(connection, flow.until(end)),
        ):
            batch.rows(end).fetchall()


def test_gaps_are_counted_before_they_are_filled():
    rows = [{"t": dt.datetime(1, 1, 1), "x": 1.0}, {"t": dt.datetime(9999, 1, 1), "x": 2.0}]
    flow = clary.Flow(rows).resample(time="t", unit="second", aggregates={"x": "mean"})
    told = r"node resample \(series\.resample\).* 315506361601 rows; legal: at most 100000000"
    with pytest.raises(InvalidInput, match=told):
        flow.to_arrow()
    found = clary.Flow(rows).resample(time="t", unit="year", every=9, aggregates={"x": "mean"})
    assert found.to_arrow().num_rows == 1112


def test_code_that_is_too_long_is_named():
    flow = clary.Flow(KNOWN).pandas("#" * 100_001)
    with pytest.raises(LimitExceeded, match=r"node pandas \(custom\.pandas\): code has at most"):
        flow.to_arrow()
