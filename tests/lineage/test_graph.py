"""The public graph: which node stands for what, and walks along the edges."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lineage.conftest import content, ref

from clary.kernel.errors import AlreadyExists, Conflict, LimitExceeded, NotFound
from clary.kernel.resource import Event, Link, Query
from clary.lineage.entities import artifact_name, entity_of, place_of
from clary.lineage.graph import Edge, Subgraph, Vertex, on_paths


def artifact(name):
    one = content(name)
    return ref("artifact", artifact_name(one.uri, one.digest))


def names(found, known):
    """Write vertices by the names they have in a test."""
    return [known.get(vertex.ref, vertex.ref.name) for vertex in found.vertices]


@pytest.fixture
def chain(world):
    """raw → Prep → train → Fit → model → package 1, within an execution."""
    execution = world.execution("p/4r83jejmhorv")
    prep = world.job("Prep", uses=["raw"], makes=["train"], kind="processing-job", parent=execution)
    fit = world.job("Fit", uses=["train"], makes=["model"], parent=execution)
    package = world.package(1, uses=["model"], execution=execution, image="xgb:1")
    known = {artifact(name): name for name in ("raw", "train", "model")}
    return world, known | {
        prep: "Prep",
        fit: "Fit",
        package: "package",
        entity_of(execution): "run",
    }


def find(known, name):
    return next(node for node, called in known.items() if called == name)


def test_ascendants_and_descendants_go_through_trial_components(chain):
    world, known = chain
    up = world.lineage.graph.walk([find(known, "package")], "Ascendants", 10)
    assert {"package", "model", "Fit", "train", "Prep", "raw", "run"} <= set(names(up, known))
    assert [vertex.type for vertex in up.vertices if vertex.ref.kind == "action"] == [
        "PipelineExecution",
        "Approval",
    ]
    down = world.lineage.graph.walk([find(known, "raw")], "Descendants", 10)
    found = ["raw", "Prep", "train", "Fit", "model", "package"]
    assert names(down, known)[:6] == found
    assert [vertex.type for vertex in down.vertices[6:]] == ["Approval", "ModelGroup"]
    assert [vertex.type for vertex in down.vertices[:6]] == [
        *("DataSet", "ProcessingJob", "DataSet", "TrainingJob", "Model", "Model"),
    ]
    assert [(edge.kind, known.get(edge.target)) for edge in down.edges][:5] == [
        ("ContributedTo", "Prep"),
        ("Produced", "train"),
        ("ContributedTo", "Fit"),
        ("Produced", "model"),
        ("ContributedTo", "package"),
    ]


def test_both_is_ancestors_and_descendants_but_no_cousins(chain):
    world, known = chain
    world.job("Other", uses=["raw"], makes=["elsewhere"])
    both = world.lineage.graph.walk([find(known, "train")], "Both", 10)
    assert "other-aws-training-job" not in names(both, known)
    assert {"raw", "Prep", "Fit", "model", "package"} <= set(names(both, known))


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_depth_counts_edges(chain, depth):
    world, known = chain
    down = world.lineage.graph.walk([find(known, "raw")], "Descendants", depth)
    assert names(down, known) == ["raw", "Prep", "train", "Fit"][: depth + 1]


def test_an_execution_leads_to_its_jobs(chain):
    world, known = chain
    down = world.lineage.graph.walk([find(known, "run")], "Descendants", 1)
    assert set(names(down, known)) == {"run", "package", "Fit", "Prep"}


def test_jobs_are_shown_before_their_components_are_stored(world):
    world.job("Fit", uses=["a"], makes=["b"], component=False)
    down = world.lineage.graph.walk([artifact("a")], "Descendants", 2)
    assert [vertex.type for vertex in down.vertices] == ["DataSet", "TrainingJob", "DataSet"]
    assert down.vertices[1].node.ref == ref("training-job", "Fit")


def test_a_node_of_its_own_for_every_content_of_a_place(world):
    one, two = content("monday", "same/place"), content("tuesday", "same/place")
    with world.store.begin() as change:
        for job, found in (("a", one), ("b", two), ("c", one)):
            world.lineage.record(change, ref("training-job", job), inputs=[("in", found)])
    place = place_of(ref("artifact", ""), "s3://b/same/place/")
    listed = world.lineage.entities.list(Query("artifact", parent=place)).items
    assert sorted(node.body["digest"] for node in listed) == sorted([one.digest, two.digest])
    assert [x.uri for x in world.lineage.elsewhere(ref("x", ""), one.digest)] == [one.uri]


def test_copied_content_leads_to_where_it_was_made(world):
    made, copied = content("rows", "made/rows"), content("rows", "copied/rows")
    with world.store.begin() as change:
        world.lineage.record(change, ref("training-job", "maker"), outputs=[("o", made)])
        world.lineage.record(change, ref("training-job", "user"), inputs=[("i", copied)])
        world.lineage.record(change, ref("training-job", "again"), outputs=[("o", made)])
    there, here = (ref("artifact", artifact_name(one.uri, one.digest)) for one in (made, copied))
    same = Edge(there, "SameAs", here)
    graph = world.lineage.graph
    assert same in graph.walk([here], "Ascendants", 2).edges
    assert [v.ref.name for v in graph.walk([here], "Ascendants", 2).vertices][1:] == [
        there.name,
        "maker-aws-training-job",
        "again-aws-training-job",
    ]
    down = graph.walk([there], "Descendants", 2)
    assert [vertex.ref.name for vertex in down.vertices][1:] == [here.name, "user-aws-training-job"]
    with world.store.begin() as change:  # a place of its own has a maker of its own
        world.lineage.record(change, ref("training-job", "own"), outputs=[("o", copied)])
    assert same not in graph.walk([here], "Both", 2).edges
    assert same not in graph.walk([there], "Both", 2).edges


def test_following_the_journal_again_changes_nothing(chain):
    world, known = chain
    before = world.lineage.graph.walk([find(known, "package")], "Both", 10)
    world.follow()
    assert world.lineage.graph.walk([find(known, "package")], "Both", 10) == before


EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16, unique=True)


def subgraph(pairs):
    nodes = [ref("context", str(number)) for number in range(8)]
    edges = [Edge(nodes[a], "ContributedTo", nodes[b]) for a, b in pairs if a != b]
    return nodes, Subgraph([Vertex(node, "", None) for node in nodes], edges)


def simple_paths(edges, start, end, seen=()):
    if start == end:
        yield [*seen, end]
    for source, target in edges:
        if source == start and target not in (*seen, start):
            yield from simple_paths(edges, target, end, (*seen, start))


@given(EDGES, st.integers(0, 7), st.sets(st.integers(0, 7), max_size=3))
def test_paths_hold_what_a_naive_search_finds(pairs, start, wanted):
    """Every simple path's nodes are kept; and what is kept can be reached and leads on."""
    nodes, graph = subgraph(pairs)
    kept = {v.ref for v in on_paths(graph, [nodes[start]], [nodes[w] for w in wanted]).vertices}
    forward = [(a, b) for a, b in pairs if a != b]
    for edges in (forward, [(b, a) for a, b in forward]):
        for end in wanted:
            for path in simple_paths(edges, start, end):
                assert {nodes[one] for one in path} <= kept
                assert all(pair in edges for pair in pairwise(path))
    assert kept >= {nodes[one] for one in wanted}


def context(world, name, **members):
    request = {"Source": {"SourceUri": f"s3://x/{name}"}, "ContextType": "Thing", **members}
    return world.lineage.entities.create(ref("context", name), request, actor="ada").ref


def test_what_is_made_by_hand_can_be_changed_and_removed(world):
    entities = world.lineage.entities
    made = context(world, "a", Properties={"x": "1", "y": "2"})
    with pytest.raises(AlreadyExists):
        context(world, "a")
    entities.update(
        made, {"Description": "d", "Properties": {"z": "3"}, "PropertiesToRemove": ["x"]}, actor="b"
    )
    request = entities.get(made).body["request"]
    assert (request["Description"], request["Properties"]) == ("d", {"y": "2", "z": "3"})
    with pytest.raises(LimitExceeded):
        entities.update(made, {"Properties": dict.fromkeys(map(str, range(31)), "v")}, actor="b")
    entities.delete(made, actor="b")
    for call in (entities.get, lambda gone: entities.delete(gone, actor="b")):
        with pytest.raises(NotFound):
            call(made)


def test_associations_are_removed_by_hand_only_when_made_by_hand(world):
    associations = world.lineage.associations
    a, b = context(world, "a"), context(world, "b")
    for _ in range(2):
        associations.add(a, "DerivedFrom", b, actor="ada")
    [edge] = associations.list(a, None)
    assert associations.list(None, b) == associations.list(a, b) == [edge]
    assert associations.made_by_hand([edge])[edge].body["by"] == "ada"
    with pytest.raises(Conflict, match="has associations"):
        world.lineage.entities.delete(a, actor="ada")
    associations.delete(a, b, actor="ada")
    with pytest.raises(NotFound):
        associations.delete(a, b, actor="ada")
    world.lineage.entities.delete(a, actor="ada")
    with pytest.raises(NotFound):
        associations.add(a, "DerivedFrom", b, actor="ada")


def test_what_a_job_recorded_stays(world):
    component = world.job("Fit", uses=["a"])
    with pytest.raises(Conflict, match="own record"):
        world.lineage.associations.delete(artifact("a"), component, actor="mallory")
    with pytest.raises(Conflict, match="has associations"):
        world.lineage.entities.delete(artifact("a"), actor="mallory")
    assert world.store.links(artifact("a"), incoming=False) == [
        Link(artifact("a"), "ContributedTo", ref("training-job", "Fit"), "a")
    ]


def test_all_edges_of_a_region_are_listed(chain):
    world, known = chain
    listed = world.lineage.associations.list(None, None, account="123456789012", region="us-east-1")
    walked = world.lineage.graph.walk([find(known, "train")], "Both", 10).edges
    assert set(walked) <= set(listed)
    assert len(listed) == len(set(listed))
    other = world.lineage.associations.list(None, None, account="123456789012", region="eu-west-1")
    assert other == []


def test_decisions_become_actions(world):
    package = world.package(1, approval="PendingManualApproval")
    with world.store.begin() as change:
        after = {"ModelApprovalStatus": "Approved", "ApprovalDescription": "good"}
        version = ref("model-package", "g", 1)
        at = world._at()
        change.append(Event(at, "eve", "model-package.updated", version, {"after": after}))
    world.follow()
    up = world.lineage.graph.walk([package], "Ascendants", 1)
    decisions = [vertex.node.body for vertex in up.vertices if vertex.type == "Approval"]
    assert [one["request"]["Properties"]["ModelApprovalStatus"] for one in decisions] == [
        "PendingManualApproval",
        "Approved",
    ]
    assert decisions[1]["created_by"] == "eve"


def test_an_execution_is_shown_with_the_status_it_has(world):
    execution = world.execution("p/4r83jejmhorv")
    action = entity_of(execution)
    assert world.lineage.entities.get(action).body["request"]["Status"] == "InProgress"
    with world.store.begin() as change:
        change.update(replace(change.get(execution), status="Succeeded"))
        change.append(Event(world._at(), "ada", "pipeline-execution.succeeded", execution))
    world.follow()
    assert world.lineage.entities.get(action).body["request"]["Status"] == "Completed"
    assert action.name == "p-4r83jejmhorv-aws-pipeline-execution"
