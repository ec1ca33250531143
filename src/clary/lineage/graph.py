"""The lineage graph as the public API shows it, and walking it by levels.

Most of it is derived: the links of a job are shown at its trial component, those of a model package
at its artifact, and a job belongs to the action of its pipeline execution. A level costs a few
statements, however many nodes it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from clary.kernel.resource import Query
from clary.lineage.entities import (
    ACTION,
    ARTIFACT,
    CONTEXT,
    EXECUTION,
    JOB_KINDS,
    TRIAL_COMPONENT,
    entity_of,
    job_of,
    thing_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Resource

    Direction = Literal["Ascendants", "Descendants", "Both"]
    EdgeKind = Literal["ContributedTo", "AssociatedWith", "DerivedFrom", "Produced", "SameAs"]

WORDS = {
    ARTIFACT: "Artifact",
    ACTION: "Action",
    CONTEXT: "Context",
    TRIAL_COMPONENT: "TrialComponent",
    "experiment": "Experiment",
}
"""What the public API calls the kinds of nodes."""
_JOB_WORDS = {
    "processing-job": "ProcessingJob",
    "training-job": "TrainingJob",
    "transform-job": "TransformJob",
}
MOST_NODES = 20_000
"""A walk goes no further than this."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Edge:
    """A directed edge between two nodes."""

    source: Ref
    kind: EdgeKind
    target: Ref


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node of the graph.

    Parameters
    ----------
    ref
        Its name.
    type
        What it is, in the words of its kind: ``DataSet``, ``Model``, ``Approval``,
        ``TrainingJob``; empty when nothing is stored of it.
    node
        What is stored of it, or of the job that it stands for.
    """

    ref: Ref
    type: str
    node: Resource | None

    @property
    def lineage_type(self) -> str:
        """Artifact, Action, Context or TrialComponent."""
        return WORDS[self.ref.kind]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Nodes in the order they were reached, and the edges between them."""

    vertices: Sequence[Vertex] = ()
    edges: Sequence[Edge] = ()


@dataclass(slots=True)
class _Reached:
    """How far a walk in one direction has come."""

    order: dict[Ref, None] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)


class Graph:
    """Reads the graph.

    Parameters
    ----------
    store
        Where resources and links are.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def edges(self, refs: Collection[Ref], *, incoming: bool) -> list[Edge]:
        """Give the edges that end (``incoming``) or start at some nodes."""
        names = {thing: ref for ref in refs for thing in self._things(ref)}
        names |= self._stood_for(refs)
        found: dict[Edge, None] = {}
        for link in self._store.links(*names, incoming=incoming):
            source, target = entity_of(link.source), entity_of(link.target)
            if source and target and source != target:
                found[Edge(source, link.kind, target)] = None
        executed = self._executions(refs) if incoming else self._executed(names)
        return [*found, *(edge for edge in executed if edge not in found)]

    def walk(self, starts: Sequence[Ref], direction: Direction, depth: int) -> Subgraph:
        """Follow edges from some nodes on, at most ``depth`` of them one after the other.

        ``Both`` is what leads to the starts and what comes of them, not what else came of that.
        """
        reached = _Reached(dict.fromkeys(starts))
        for word, incoming in (("Ascendants", True), ("Descendants", False)):
            if direction in (word, "Both"):
                self._follow(reached, starts, depth, incoming=incoming)
        inner = [e for e in reached.edges if {e.source, e.target} <= reached.order.keys()]
        return Subgraph(self.vertices(reached.order), inner)

    def vertices(self, refs: Iterable[Ref]) -> list[Vertex]:
        """Read nodes, in their order."""
        names = list(refs)
        jobs = {ref: job for ref in names if (job := job_of(ref)) is not None}
        stored = self._store.get_all([*names, *jobs.values()])
        made = []
        for ref in names:
            job = jobs.get(ref)
            node = stored.get(ref) or (stored.get(job) if job else None)
            made.append(Vertex(ref, _type(ref, job, node), node))
        return made

    def everything(self, account: str, region: str) -> Iterator[Ref]:
        """Name every node that is stored, the newest of each kind first."""
        for kind in (ARTIFACT, ACTION, CONTEXT, TRIAL_COMPONENT):
            query = Query(kind, account, region, limit=_PAGE)
            while True:
                page = self._store.select(query)
                yield from (node.ref for node in page.items)
                if not page.token:
                    break
                query = Query(kind, account, region, limit=_PAGE, token=page.token)

    def _follow(
        self, reached: _Reached, starts: Sequence[Ref], depth: int, *, incoming: bool
    ) -> None:
        seen = set(starts)
        level: Collection[Ref] = list(starts)
        for _ in range(depth):
            edges = self.edges(level, incoming=incoming) if level else []
            reached.edges |= dict.fromkeys(edges)
            ends = dict.fromkeys(edge.source if incoming else edge.target for edge in edges)
            level = [ref for ref in ends if ref not in seen][: MOST_NODES - len(reached.order)]
            seen.update(level)
            reached.order |= dict.fromkeys(level)

    @staticmethod
    def _things(ref: Ref) -> Iterator[Ref]:
        yield ref
        job = job_of(ref)
        if job is not None:
            yield job

    def _stood_for(self, refs: Iterable[Ref]) -> dict[Ref, Ref]:
        """Give what artifacts, actions and contexts stand for, each with its node."""
        nodes = [ref for ref in refs if ref.kind in (ARTIFACT, ACTION, CONTEXT)]
        stored = self._store.get_all(nodes)
        return {of: ref for ref, node in stored.items() if (of := thing_of(node)) is not None}

    def _executions(self, refs: Iterable[Ref]) -> Iterator[Edge]:
        """Give the edges from pipeline executions to the jobs among some nodes."""
        jobs = {job: ref for ref in refs if (job := job_of(ref)) is not None}
        for job, found in self._store.get_all(jobs).items():
            if found.parent is not None and found.parent.kind == EXECUTION:
                action = entity_of(found.parent)
                if action is not None:
                    yield Edge(action, "AssociatedWith", jobs[job])

    def _executed(self, names: dict[Ref, Ref]) -> Iterator[Edge]:
        """Give the edges from the pipeline executions among some names to their jobs."""
        for execution, action in names.items():
            for kind in JOB_KINDS if execution.kind == EXECUTION else ():
                page = self._store.select(Query(kind, parent=execution, limit=_PAGE))
                for job in page.items:
                    component = entity_of(job.ref)
                    if component is not None:
                        yield Edge(action, "AssociatedWith", component)


def on_paths(graph: Subgraph, starts: Collection[Ref], wanted: Collection[Ref]) -> Subgraph:
    """Keep the nodes that lie on a way from a start to a wanted node, and the edges between them.

    A way goes along the edges, or against them, all the way.
    """
    kept = set(wanted)
    kept |= _between(graph.edges, starts, wanted, _forward)
    kept |= _between(graph.edges, starts, wanted, _backward)
    vertices = [vertex for vertex in graph.vertices if vertex.ref in kept]
    edges = [edge for edge in graph.edges if edge.source in kept and edge.target in kept]
    return Subgraph(vertices, edges)


def _forward(edge: Edge) -> tuple[Ref, Ref]:
    return edge.source, edge.target


def _backward(edge: Edge) -> tuple[Ref, Ref]:
    return edge.target, edge.source


def _between(
    edges: Sequence[Edge],
    starts: Collection[Ref],
    wanted: Collection[Ref],
    ends: Callable[[Edge], tuple[Ref, Ref]],
) -> set[Ref]:
    out = _reachable(edges, starts, ends)
    back = _reachable(edges, set(wanted) & out, lambda edge: ends(edge)[::-1])
    return out & back


def _reachable(
    edges: Sequence[Edge], starts: Collection[Ref], ends: Callable[[Edge], tuple[Ref, Ref]]
) -> set[Ref]:
    following: dict[Ref, list[Ref]] = {}
    for edge in edges:
        start, end = ends(edge)
        following.setdefault(start, []).append(end)
    seen, pending = set(starts), list(starts)
    while pending:
        for ref in following.get(pending.pop(), ()):
            if ref not in seen:
                seen.add(ref)
                pending.append(ref)
    return seen


def _type(ref: Ref, job: Ref | None, node: Resource | None) -> str:
    if job is not None:
        return _JOB_WORDS[job.kind]
    if ref.kind == TRIAL_COMPONENT:
        return "ExperimentTrialComponent"
    return str(node.body.get("entity", "")) if node else ""
