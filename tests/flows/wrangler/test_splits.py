"""Splits: nodes of files with several outputs, as nodes of parts and back."""

from __future__ import annotations

import json

import pytest

import clary
from clary.flows.model import Flow
from clary.flows.wrangler import documents
from clary.kernel.errors import InvalidInput


def node(name: str, operator: str, parameters: dict, *before: tuple[str, str], **more) -> dict:
    return {
        "node_id": name,
        "type": "TRANSFORM",
        "operator": f"sagemaker.{operator}_0.1",
        "parameters": parameters,
        "inputs": [{"name": "df", "node_id": x, "output_name": output} for x, output in before],
        "outputs": [{"name": "default"}],
        **more,
    }


def split(name: str, before: tuple[str, str], **shares) -> dict:
    told = [{"name": one, "percentage": share} for one, share in shares.items()]
    parameters = {
        "operator": "Randomized split",
        "randomized_split_parameters": {"splits": told, "error": 0.0001},
    }
    outputs = [{"name": one, "canvas": len(one)} for one in shares]
    return node(name, "spark.split", parameters, before, outputs=outputs)


def dataset(name: str, before: tuple[str, str]) -> dict:
    return node(name, "dataset.identity", {}, before, type="DATASET")


def file(*nodes: dict) -> dict:
    place = {"s3ExecutionContext": {"s3Uri": "s3://b/a.csv", "s3ContentType": "csv"}}
    start = node("a", "s3_source", {"dataset_definition": place}, type="SOURCE")
    return {"metadata": {"version": 1}, "nodes": [start, *nodes]}


WHOLE = file(
    dataset("learn", ("s", "Train")),
    dataset("check", ("t", "Two")),
    split("t", ("s", "Test"), One=0.5, Two=0.5),
    split("s", ("a", "default"), Train=0.8, Test=0.2),
)


def test_a_split_is_a_node_for_each_part_and_comes_back():
    found = documents.read(WHOLE)
    assert not found.unknown
    assert {one.id: one.inputs for one in found.flow.nodes} == {
        "a": (),
        "s.Train": ("a",),
        "s.Test": ("a",),
        "learn": ("s.Train",),
        "t.One": ("s.Test",),
        "t.Two": ("s.Test",),
        "check": ("t.Two",),
    }
    assert found.flow.node("s.Test").with_ == {
        "part": "Test",
        "shares": {"Train": 0.8, "Test": 0.2},
    }
    assert json.loads(documents.write(found.flow, document=found.document)) == WHOLE
    fresh = json.loads(documents.write(found.flow))
    assert {one["type"] for one in fresh["nodes"]} == {"SOURCE", "TRANSFORM", "DATASET"}
    assert len(fresh["nodes"]) == len(WHOLE["nodes"])
    assert {one.id: one for one in documents.read(fresh).flow.nodes} == {
        one.id: one for one in found.flow.nodes
    }


def test_parts_are_disjoint_and_together_all(tmp_path):
    place = tmp_path / "a.flow"
    place.write_text(json.dumps(WHOLE))
    given = {"a": [{"x": one} for one in range(100)]}
    parts = {
        one: {row["x"] for row in clary.Flow.load(place, node=one).to_arrow(given).to_pylist()}
        for one in ("learn", "t.One", "check")
    }
    assert {one: len(rows) for one, rows in parts.items()} == {
        "learn": 80,
        "t.One": 10,
        "check": 10,
    }
    assert set().union(*parts.values()) == set(range(100))


def test_a_split_without_one_of_its_parts_is_written_part_by_part():
    flow = documents.read(WHOLE).flow
    for dropped in ({"t.One"}, {"t.One", "t.Two", "check"}):
        left = Flow(tuple(x for x in flow.nodes if x.id not in dropped))
        for document in (None, WHOLE):
            again = documents.read(documents.write(left, document=document)).flow
            assert {one.id: one for one in again.nodes} == {one.id: one for one in left.nodes}


def test_another_share_is_written_over_the_old():
    found = documents.read(WHOLE)
    text = json.dumps(WHOLE).replace('"percentage": 0.5', '"percentage": 0.25', 1)
    text = text.replace('"percentage": 0.5', '"percentage": 0.75')
    other = documents.read(text)
    again = json.loads(documents.write(other.flow, document=found.document))
    assert again == json.loads(text)


def test_a_part_that_there_is_not_is_named():
    message = "node x: inputs: .*the split s has no part 'default'"
    with pytest.raises(InvalidInput, match=message):
        documents.read(
            file(split("s", ("a", "default"), A=0.5, B=0.5), dataset("x", ("s", "default")))
        )


@pytest.mark.parametrize(
    "told",
    [
        [{"name": "A", "percentage": 0.5}, {"name": "A", "percentage": 0.5}],
        [{"name": "", "percentage": 1}],
        [{"name": "A", "percentage": 80}],
        [{"name": "A", "percentage": "1"}],
        [{"name": "A", "percentage": 0.5, "seed": 1}],
        [{"name": "A"}],
        {"A": 1},
        5,
    ],
)
def test_splits_of_other_forms_stay_nodes_that_are_named(told):
    parameters = {"operator": "Randomized split", "randomized_split_parameters": {"splits": told}}
    written = file(node("s", "spark.split", parameters, ("a", "default")), dataset("x", ("s", "A")))
    found = documents.read(written)
    assert set(found.unknown) == {"s"}
    assert found.flow.node("x").inputs == ("s",)
    assert json.loads(documents.write(found.flow, document=found.document)) == written
    ordered = {"operator": "Ordered split", "ordered_split_parameters": {"splits": []}}
    assert documents.read(file(node("s", "spark.split", ordered, ("a", "default")))).unknown


def test_names_that_parts_would_take_from_others_are_refused():
    with pytest.raises(InvalidInput, match=r"two nodes are called 's\.A'"):
        documents.read(file(split("s", ("a", "default"), A=1), dataset("s.A", ("a", "default"))))
    with pytest.raises(InvalidInput, match="wait for one another"):
        documents.read(file(split("s", ("x", "default"), A=1), dataset("x", ("s", "A"))))


def test_outputs_of_no_name_and_texts_of_no_unicode_are_no_crash():
    odd = split("s", ("a", "default"), A=0.5, B=0.5)
    odd["outputs"] = [{"name": []}, {}]
    found = documents.read(file(odd))
    again = json.loads(documents.write(found.flow, document=found.document))
    assert again["nodes"][1]["outputs"] == [{"name": "A"}, {"name": "B"}]
    with pytest.raises(InvalidInput, match="no Unicode"):
        documents.read(file(split("s", ("a", "default"), **{"\ud800": 1})))
