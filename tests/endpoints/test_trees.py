"""XGBoost's JSON, read as data of somebody who means harm."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endpoints.compile_world import booster

from clary.endpoints import exports, trees
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported

DOCUMENT = json.loads(booster(rounds=2).save_raw("json"))


def changed(path, value):
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path
    inner = document
    for name in parents:
        inner = inner[name]
    inner[last] = value(inner[last]) if callable(value) else value
    return json.dumps(document).encode()


LEARNER = ("learner",)
SIZES = (*LEARNER, "learner_model_param")
FOREST = (*LEARNER, "gradient_booster", "model")
TREE = (*FOREST, "trees", 0)


def test_a_model_is_read_as_it_was_saved():
    found = trees.read(json.dumps(DOCUMENT).encode())
    assert (found.objective, found.link, found.features) == ("reg:squarederror", "identity", 4)
    assert len(found.trees) == 2
    assert found.trees[0].left[0] == 1
    assert found.base == [
        pytest.approx(json.loads(DOCUMENT["learner"]["learner_model_param"]["base_score"])[0])
    ]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((*TREE, "left_children", 0), 0, "has two parents, or is its own ancestor"),
        ((*TREE, "left_children", 1), 0, "has two parents, or is its own ancestor"),
        ((*TREE, "right_children", 0), 1, "has two parents, or is its own ancestor"),
        ((*TREE, "left_children", 0), 10**6, "node 0 has the child 1000000 of"),
        ((*TREE, "left_children", 0), -1, "node 0 has the child -1 of"),
        ((*TREE, "left_children", 0), -2, "node 0 has the child -2 of"),
        ((*TREE, "left_children"), lambda old: old[:-1], "differ in length"),
        ((*TREE, "split_indices", 0), 4, "split_indices: 4; legal: 0 to 3"),
        ((*TREE, "split_indices", 0), -1, "split_indices: -1; legal: 0 to 3"),
        ((*TREE, "split_conditions", 0), float("nan"), "not XGBoost's JSON"),
        ((*TREE, "split_conditions", 0), float("inf"), "not XGBoost's JSON"),
        ((*TREE, "split_conditions", 0), 1e39, "1e+39 is no finite 32-bit number"),
        ((*TREE, "split_conditions", 0), "0.5x", "not XGBoost's JSON"),
        ((*FOREST, "tree_info", 0), 1, "tree_info: 1; legal: 0 to 0"),
        ((*FOREST, "tree_info"), [], "not one entry a tree"),
        ((*FOREST, "trees"), 7, "not XGBoost's JSON"),
        ((*SIZES, "num_feature"), "-1", "num_feature: '-1'; legal: 0 to 1000000"),
        ((*SIZES, "num_feature"), "9" * 40, "num_feature: '99999999999999999999'"),
        ((*SIZES, "num_class"), "10001", "num_class: '10001'; legal: 0 to 10000"),
        ((*SIZES, "base_score"), "[]", "base_score: 0 numbers, not 1"),
        ((*SIZES, "base_score"), "[1,2]", "base_score: 2 numbers, not 1"),
        ((*SIZES, "base_score"), "nothing", "base_score: 'nothing' is no number"),
        ((*SIZES, "base_score"), "1e99", "1e+99 is no finite 32-bit number"),
    ],
)
def test_what_is_no_ensemble_of_trees_is_refused(path, value, words):
    with pytest.raises(InvalidInput) as refused:
        trees.read(changed(path, value))
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((*LEARNER, "objective", "name"), "mine", "the objective mine is not compiled"),
        ((*LEARNER, "gradient_booster", "name"), "gblinear", "booster gblinear is not compiled"),
        ((*TREE, "split_type", 0), 1, "splits on categories"),
        ((*TREE, "tree_param", "size_leaf_vector"), "3", "vectors in their leaves"),
    ],
)
def test_what_is_not_compiled_is_named(path, value, words):
    with pytest.raises(NotSupported, match=words):
        trees.read(changed(path, value))


@pytest.mark.parametrize("score", ["0", "1", "-0.5", "1.5"])
def test_a_base_score_that_is_no_probability_is_refused(score):
    document = copy.deepcopy(DOCUMENT)
    document["learner"]["objective"]["name"] = "binary:logistic"
    document["learner"]["learner_model_param"]["base_score"] = score
    with pytest.raises(InvalidInput, match="is none of binary:logistic"):
        trees.read(json.dumps(document).encode())


def test_more_nodes_than_fit_are_refused_before_they_are_looked_at(monkeypatch):
    monkeypatch.setattr(trees, "MOST_NODES", 10)
    with pytest.raises(NotSupported, match="more than 10 nodes"):
        trees.read(json.dumps(DOCUMENT).encode())
    monkeypatch.setattr(trees, "LARGEST_DOCUMENT", 1000)
    with pytest.raises(NotSupported, match="bytes of JSON, over 1000"):
        trees.read(json.dumps(DOCUMENT).encode())


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"learner": {}}', b"null"])
def test_other_documents_are_refused(content):
    with pytest.raises(InvalidInput, match="not XGBoost's JSON"):
        trees.read(content)


LISTS = ["left_children", "right_children", "split_indices", "split_conditions", "default_left"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LISTS),
            st.integers(
                0,
                len(DOCUMENT["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"])
                - 1,
            ),
            st.integers(-3, 40) | st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=6,
    )
)
def test_whatever_is_changed_is_refused_or_a_tree(changes):
    document = copy.deepcopy(DOCUMENT)
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    for name, at, value in changes:
        tree[name][at] = value
    try:
        found = trees.read(json.dumps(document).encode())
    except ClaryError:
        return
    for one in found.trees:
        inner = [at for at, left in enumerate(one.left) if left >= 0]
        children = sorted(child for at in inner for child in (one.left[at], one.right[at]))
        assert children == list(range(1, len(one.left)))
        assert all(0 <= one.features[at] < found.features for at in inner)


def left(ml, **files):
    """Write what a program left in its workspace."""
    folder = ml / "output/export"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", "-", 1)).write_bytes(content)
    return ml


GOOD = {"trees_0.json": json.dumps(DOCUMENT).encode(), "rows": b"", "answers": b""}


@pytest.mark.parametrize(
    ("note", "files", "words"),
    [
        (b"", GOOD, "export: not valid JSON"),
        (b"[]", GOOD, "Expected `object`"),
        (b'{"boosters": 0}', GOOD, "it has 0 boosters"),
        (b'{"boosters": 1000000000}', GOOD, "it has 1000000000 boosters"),
        (b'{"boosters": 2}', GOOD, "there is no trees-1.json"),
        (b'{"boosters": 1}', {"trees_0.json": b"{}"}, "not XGBoost's JSON"),
        (b'{"boosters": 1}', {**GOOD, "trees_0.json": b"[" * 9999}, "not XGBoost's JSON"),
        (b" " * (1 << 17), GOOD, "export.json is larger than 65536 bytes"),
        (b'{"unfit": "because"}', {}, "because"),
    ],
)
def test_what_a_program_left_is_checked_before_it_is_used(tmp_path, note, files, words):
    ml = left(tmp_path, **{"export.json": note}, **files)
    with pytest.raises((InvalidInput, NotSupported)) as refused:
        exports.exported(ml)
    assert words in refused.value.message


def test_what_a_program_says_of_itself_is_cut(tmp_path):
    note = {"boosters": 1, "real": -5, "versions": {"xgboost": "3" * 999, "more": "x"}}
    ml = left(tmp_path, **{"export.json": json.dumps(note).encode()}, **GOOD)
    _, sample = exports.exported(ml)
    assert sample.versions == {"xgboost": "3" * 40, "python": ""}
    assert sample.real == 0
