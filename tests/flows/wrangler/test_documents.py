"""``.flow`` files: read and written again, ours and hostile ones."""

from __future__ import annotations

import json

import pytest

import clary
from clary.flows import transforms
from clary.flows.fitted import NOTHING
from clary.flows.wrangler import documents, spark_models
from clary.flows.wrangler.spark_models import SparkModel
from clary.kernel.errors import InvalidInput, LimitExceeded


def source(name: str, uri: str = "") -> dict:
    place = {"s3Uri": uri or f"s3://bucket/{name}.csv", "s3ContentType": "csv", "s3HasHeader": True}
    return {
        "node_id": name,
        "type": "SOURCE",
        "operator": "sagemaker.s3_source_0.1",
        "parameters": {
            "dataset_definition": {
                "__typename": "S3CreateDatasetDefinitionOutput",
                "datasetSourceType": "S3",
                "name": f"{name}.csv",
                "description": None,
                "s3ExecutionContext": {"__typename": "S3ExecutionContext", **place},
            }
        },
        "inputs": [],
        "outputs": [
            {
                "name": "default",
                "sampling": {"sampling_method": "sample_by_limit", "limit_rows": 9},
            }
        ],
    }


def transform(name: str, operator: str, parameters: dict, *inputs: str, **more) -> dict:
    return {
        "node_id": name,
        "type": "TRANSFORM",
        "operator": f"sagemaker.spark.{operator}_0.1",
        "parameters": parameters,
        "inputs": [{"name": "df", "node_id": x, "output_name": "default"} for x in inputs],
        "outputs": [{"name": "default"}],
        **more,
    }


def drop(name: str, column: str, before: str) -> dict:
    parameters = {
        "operator": "Drop column",
        "drop_column_parameters": {"column_to_drop": column},
        "rename_column_parameters": {"stale": {"of": ["the", "page"]}},
    }
    return transform(name, "manage_columns", parameters, before)


def file(*nodes: dict, **more) -> dict:
    return {"metadata": {"version": 1, "disable_limits": False}, "nodes": list(nodes), **more}


def test_what_is_not_known_stays_as_it_was():
    picture = {
        "node_id": "seen",
        "type": "VISUALIZATION",
        "operator": "sagemaker.visualizations.custom_chart_0.1",
        "parameters": {"name": "chart", "spec": [1, {"a": None}]},
        "inputs": [{"name": "df", "node_id": "less", "output_name": "default"}],
        "outputs": [{"name": "default"}],
        "canvas": "of a later version",
    }
    written = file(
        drop("less", "city", "people"),
        source("people"),
        picture,
        parameters=[{"name": "day", "type": "String", "default_value": "1", "description": "x"}],
        future={"kept": True},
    )
    found = documents.read(json.dumps(written))
    assert [one.id for one in found.flow.nodes] == ["people", "less", "seen"]
    assert found.flow.node("less").with_ == {"columns": ["city"]}
    assert "custom_chart" in found.unknown["seen"]
    again = documents.write(found.flow, found.fitted, document=found.document)
    assert json.loads(again) == written


def test_unknown_operators_are_named_and_the_rest_loads():
    written = file(
        source("people"),
        drop("less", "city", "people"),
        transform("odd", "dream_0.1_of", {"operator": "Sleep"}, "less"),
        transform("lost", "manage_columns", {"operator": "Fold column"}, "less"),
        drop("more", "age", "odd"),
    )
    found = documents.read(written)
    assert set(found.unknown) == {"odd", "lost"}
    assert "manage_columns_0.1 (Fold column) is not known here" in found.unknown["lost"]
    assert transforms.of(found.flow.node("less")).columns == ("city",)
    with pytest.raises(InvalidInput, match="the node odd has the operator"):
        transforms.of(found.flow.node("odd"))


def test_a_parameter_that_would_be_lost_makes_a_node_unknown():
    parameters = {"formula": "age + 1", "output_column": "next", "rounding": "up"}
    found = documents.read(file(source("a"), transform("b", "custom_formula", parameters, "a")))
    assert "rounding: 'up'" in found.unknown["b"]


@pytest.mark.parametrize("name", ["people.csv", "s3://bucket/people.csv", "people"])
def test_callers_say_where_sources_are(name):
    found = documents.read(file(source("people")), sources={name: "/data/people.csv"})
    assert found.flow.node("people").with_["path"] == "/data/people.csv"
    again = json.loads(documents.write(found.flow, document=found.document))
    place = again["nodes"][0]["parameters"]["dataset_definition"]
    assert place["s3ExecutionContext"]["s3Uri"] == "/data/people.csv"
    assert place["__typename"] == "S3CreateDatasetDefinitionOutput"


def test_a_source_of_another_kind_is_where_the_caller_says():
    athena = {**source("sales"), "operator": "sagemaker.athena_source_0.1"}
    assert "athena_source" in documents.read(file(athena)).unknown["sales"]
    found = documents.read(file(athena), sources={"sales.csv": "/data/sales.parquet"})
    assert found.flow.node("sales").operator == "source"
    assert not found.unknown
    with pytest.raises(InvalidInput, match=r"no source of the file is called other\.csv"):
        documents.read(file(athena), sources={"other.csv": "/x"})


def encoded(labels: list[str]) -> dict:
    block = {
        "invalid_handling_strategy": "Keep",
        "drop_last": False,
        "output_style": "Columns",
        "input_column": "city",
    }
    model = spark_models.write(SparkModel("StringIndexerModel", {"labelsArray": [labels]}))
    return transform(
        "encoded",
        "encode_categorical",
        {"operator": "One-hot encode", "one_hot_encode_parameters": block},
        "people",
        trained_parameters={
            "one_hot_encode_parameters": {
                "_hash": -1767228197713558300,
                "string_indexer_model": model,
            }
        },
    )


def test_trained_parameters_become_states_and_return():
    written = file(source("people"), encoded(["rome", "oslo"]))
    found = documents.read(written)
    state = found.fitted.learned(found.flow.node("encoded")).state
    assert state["categories"] == ["rome", "oslo"]
    assert json.loads(documents.write(found.flow, found.fitted, document=written)) == written
    fresh = documents.read(documents.write(found.flow, found.fitted))
    assert (fresh.flow, fresh.fitted) == (found.flow, found.fitted)
    refit = json.loads(documents.write(found.flow, NOTHING, document=written))
    assert "trained_parameters" not in refit["nodes"][1]


def test_a_damaged_model_is_named_by_its_node():
    node = encoded(["rome"])
    node["trained_parameters"]["one_hot_encode_parameters"]["string_indexer_model"] = "P)h>"
    message = r"node encoded .*string_indexer_model: is no base85 of a ZIP"
    with pytest.raises(InvalidInput, match=message):
        documents.read(file(source("people"), node))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{", r"\.flow: not valid JSON"),
        ("[" * 100_000, r"\.flow: not valid JSON"),
        ("[]", "list of nodes"),
        ({"nodes": {}}, "list of nodes"),
        ({"nodes": [], "metadata": {"version": 2}}, "legal: 1"),
        (file({"operator": "x"}), r"nodes\[0\].*node_id"),
        (file(drop("a", "x", "b")), "the node a takes the rows of 'b', which is no node"),
        (file(drop("a", "x", "b"), drop("b", "x", "a")), "nodes wait for one another"),
        (file(source("a"), source("a")), "two nodes are called 'a'"),
        (file(parameters=[{"name": "a"}, {"name": "a"}]), "two parameters are called 'a'"),
        (file(parameters=[{"name": "a", "type": "Colour"}]), r"parameters\[0\]\.type"),
    ],
)
def test_what_is_no_flow_is_refused(written, message):
    with pytest.raises(InvalidInput, match=message):
        documents.read(written)


def test_large_and_deep_files_are_refused():
    with pytest.raises(LimitExceeded, match="bytes"):
        documents.read(" " * (16 << 20) + "{}")
    deep: dict = {}
    for _ in range(200):
        deep = {"a": deep}
    with pytest.raises(LimitExceeded, match="64 deep"):
        documents.read({"nodes": [], "x": deep})
    with pytest.raises(LimitExceeded, match="1000 nodes"):
        documents.read(file(*(source(f"s{one}") for one in range(1001))))


@pytest.mark.parametrize("scale", ["standard_scale", "robust_scale"])
def test_what_we_mean_by_default_is_written_where_theirs_is_something_else(scale, tmp_path):
    rows, later = [{"a": 1.0}, {"a": 3.0}, {"a": 8.0}], {"rows": [{"a": 10.0}]}
    flow = getattr(clary.Flow("rows"), scale)("a").fit({"rows": rows})
    told = flow.to_arrow(later).to_pylist()
    place = flow.save(tmp_path / "a.flow")
    assert clary.Flow.load(place).to_arrow(later).to_pylist() == told
    (tmp_path / "a.fitted.json").unlink()
    assert clary.Flow.load(place).to_arrow(later).to_pylist() == told
