"""Recording and walking lineage, on a real store."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.adapters.sqlite import SqliteStore
from clary.kernel.clock import now
from clary.kernel.errors import NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import ObjectInfo, Resource
from clary.lineage.model import FileEntry, of_object, of_tree
from clary.lineage.service import Lineage

START = now()


@pytest.fixture
def store(tmp_path):
    return SqliteStore(tmp_path / "metadata.db")


@pytest.fixture
def lineage(store):
    return Lineage(store)


def ref(kind, name, version=0):
    return Ref("123456789012", "us-east-1", kind, name, version)


def artifact(name):
    digest = name.encode().hex().ljust(64, "0")
    return of_object(ObjectInfo("b", name, len(name), START, digest, "e"))


def step(store, lineage, name, *, minute, uses=(), makes=(), code=(), parent=None, kind="job"):
    """Store a thing that used and made content at a minute."""
    subject = ref(kind, name)
    at = START + timedelta(minutes=minute)
    with store.begin() as change:
        change.insert(Resource(subject, {}, at, at, parent=parent))
        lineage.record(
            change,
            subject,
            inputs=[(one, artifact(one)) for one in uses],
            outputs=[(one, artifact(one)) for one in makes],
            code=[(one, artifact(one)) for one in code],
        )
    return subject


def shown(node):
    """Write a tree as nested lists of names."""
    name = node.uri.rpartition("/")[2] or node.ref.name
    name += "*" if node.seen else ""
    return [name, *map(shown, node.children)] if node.children else name


def test_a_tree_goes_down_to_the_input(store, lineage):
    step(store, lineage, "prep", minute=1, uses=["raw"], makes=["train", "test"], code=["prep.py"])
    step(store, lineage, "fit", minute=2, uses=["train"], makes=["model"])
    version = step(store, lineage, "m", minute=3, uses=["model"], kind="model-package")
    tree = lineage.tree(version)
    assert shown(tree) == ["m", ["model", ["fit", ["train", ["prep", "raw", "prep.py"]]]]]
    model = tree.children[0]
    assert (model.role, model.digest, model.size_bytes) == ("model", artifact("model").digest, 5)
    prep = model.children[0].children[0].children[0]
    assert [child.role for child in prep.children] == ["raw", "code"]
    assert lineage.artifact(model.ref).uri == "s3://b/model"


def test_recording_again_changes_nothing(store, lineage):
    subject = step(store, lineage, "j", minute=1, uses=["a"], makes=["b"])
    with store.begin() as change:
        lineage.record(
            change, subject, inputs=[("a", artifact("a"))], outputs=[("b", artifact("b"))]
        )
    assert len(store.links(subject, incoming=True)) == 1
    assert len(store.links(subject, incoming=False)) == 1


def test_content_made_twice_is_followed_to_the_job_that_was_meant(store, lineage):
    one, two = ref("pipeline-execution", "p/1"), ref("pipeline-execution", "p/2")
    step(store, lineage, "prep1", minute=1, uses=["raw"], makes=["train"], parent=one)
    step(store, lineage, "prep2", minute=3, uses=["raw"], makes=["train"], parent=two)
    step(store, lineage, "prep3", minute=9, uses=["raw"], makes=["train"])
    first = step(store, lineage, "fit1", minute=4, uses=["train"], parent=one)
    second = step(store, lineage, "fit2", minute=4, uses=["train"], parent=two)
    alone = step(store, lineage, "fit3", minute=4, uses=["train"])
    assert shown(lineage.tree(first)) == ["fit1", ["train", ["prep1", "raw"]]]
    assert shown(lineage.tree(second)) == ["fit2", ["train", ["prep2", "raw"]]]
    assert shown(lineage.tree(alone)) == ["fit3", ["train", ["prep2", "raw"]]]


def test_cycles_end(store, lineage):
    a = step(store, lineage, "a", minute=1, uses=["x"], makes=["y"])
    step(store, lineage, "b", minute=1, uses=["y"], makes=["x"])
    same = step(store, lineage, "same", minute=2, uses=["z"], makes=["z"])
    assert shown(lineage.tree(a)) == ["a", ["x", ["b", ["y", "a*"]]]]
    assert shown(lineage.tree(same)) == ["same", ["z", "same*"]]


def test_what_occurs_twice_is_written_out_once(store, lineage):
    step(store, lineage, "prep", minute=1, uses=["raw"], makes=["train", "test"])
    fit = step(store, lineage, "fit", minute=2, uses=["train", "test"])
    tree = shown(lineage.tree(fit))
    assert tree == ["fit", ["train", ["prep", "raw"]], ["test", "prep*"]]


def test_long_chains_and_deleted_makers(store, lineage):
    for number in range(300):
        last = step(
            store,
            lineage,
            f"j{number}",
            minute=number,
            uses=[f"a{number}"],
            makes=[f"a{number + 1}"],
        )
    node, depth = lineage.tree(last), 0
    while node.children:
        node, depth = node.children[0], depth + 1
    assert depth == 599
    with store.begin() as change:
        change.delete(ref("job", "j298"))
    assert shown(lineage.tree(last)) == ["j299", "a299"]


def test_unknown_things(lineage):
    with pytest.raises(NotFound):
        lineage.tree(ref("job", "none"))
    with pytest.raises(NotFound):
        lineage.artifact(ref("artifact", "none"))


ENTRIES = st.lists(
    st.builds(
        FileEntry, st.text(max_size=4), st.text("0f", min_size=2, max_size=2), st.integers(0, 9)
    ),
    max_size=6,
    unique_by=lambda entry: entry.path,
)


@given(ENTRIES, ENTRIES, st.randoms())
def test_trees_are_equal_when_their_files_are(one, two, random):
    shuffled = list(one)
    random.shuffle(shuffled)
    assert of_tree("s3://a", one).digest == of_tree("s3://b", shuffled).digest
    same = sorted(one) == sorted(two)
    assert (of_tree("s3://a", one).digest == of_tree("s3://a", two).digest) is same


def test_big_trees_list_some_files_and_count_all():
    files = [FileEntry(f"{n:05}", "00", 1) for n in range(1500)]
    tree = of_tree("s3://a", files)
    assert (tree.file_count, len(tree.files), tree.size_bytes) == (1500, 1000, 1500)
    assert tree.digest != of_tree("s3://a", files[:-1]).digest
