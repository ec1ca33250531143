"""The lineage graph as the public API shows it, and walking it by levels.

Most of it is derived: the links of a job are shown at its trial component, those of a model package
at its artifact, a job belongs to the action of its pipeline execution, and content that nobody made
where it lies is the same as where it was made. A level costs a few statements, however many nodes
it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    thing_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

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
_MOST_COPIES = 10_000


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
class _Walk:
    """What a walk has reached and read, so that it reads everything once.

    ``jobs`` are those of the trial components that were met.
    """

    store: MetadataStore
    order: dict[Ref, None] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    jobs: dict[Ref, Ref] = field(default_factory=dict)
    nodes: dict[Ref, Resource | None] = field(default_factory=dict)

    def read(self, refs: Iterable[Ref]) -> dict[Ref, Resource]:
        """Read those of some resources that there are."""
        wanted = dict.fromkeys(refs)
        missing = [ref for ref in wanted if ref not in self.nodes]
        self.nodes |= dict.fromkeys(missing)
        self.nodes |= self.store.get_all(missing) if missing else {}
        found = ((ref, self.nodes[ref]) for ref in wanted)
        return {ref: node for ref, node in found if node is not None}

    def follow(self, starts: Sequence[Ref], depth: int, *, incoming: bool) -> None:
        """Go on from some nodes in one direction, level by level."""
        seen = set(starts)
        level: Collection[Ref] = list(starts)
        for _ in range(depth):
            edges = self.next(level, incoming=incoming) if level else []
            self.edges |= dict.fromkeys(edges)
            ends = dict.fromkeys(edge.source if incoming else edge.target for edge in edges)
            level = [ref for ref in ends if ref not in seen][: MOST_NODES - len(self.order)]
            seen.update(level)
            self.order |= dict.fromkeys(level)

    def next(self, refs: Collection[Ref], *, incoming: bool) -> list[Edge]:
        """Give the edges that end (``incoming``) or start at some nodes."""
        names = self._names(refs)
        found: dict[Edge, None] = {}
        for link in self.store.links(*names, incoming=incoming):
            ends = entity_of(link.source), entity_of(link.target)
            if ends[0] and ends[1] and ends[0] != ends[1]:
                found[Edge(ends[0], link.kind, ends[1])] = None
            for end, thing in zip(ends, (link.source, link.target), strict=True):
                if end and thing.kind in JOB_KINDS:
                    self.jobs[end] = thing
        executed = self._executions(names) if incoming else self._executed(names)
        made = {edge.target for edge in found if edge.kind == "Produced"} if incoming else set()
        copied = self._copies([ref for ref in refs if ref not in made], incoming=incoming)
        return [*dict.fromkeys([*found, *executed, *copied])]

    def vertices(self, refs: Iterable[Ref]) -> list[Vertex]:
        """Describe nodes, in their order; a job's stands in for a component not stored yet."""
        names = list(refs)
        stored = self.read(names)
        jobs = {ref: self.jobs[ref] for ref in names if ref not in stored and ref in self.jobs}
        found = self.read(jobs.values())
        nodes = ((ref, stored.get(ref) or found.get(jobs.get(ref, ref))) for ref in names)
        return [Vertex(ref, _type(ref, node), node) for ref, node in nodes]

    def _names(self, refs: Collection[Ref]) -> dict[Ref, Ref]:
        """Give everything that links may call some nodes, each with its node."""
        stood_for = {
            thing: ref
            for ref, node in self.read(refs).items()
            if (thing := thing_of(node)) is not None
        }
        met = {self.jobs[ref]: ref for ref in refs if ref in self.jobs}
        return {**{ref: ref for ref in refs}, **met, **stood_for}

    def _copies(self, refs: Collection[Ref], *, incoming: bool) -> Iterator[Edge]:
        """Give the edges to contents that nobody made where they lie from where they were made."""
        nodes = self.read(ref for ref in refs if ref.kind == ARTIFACT)
        places: dict[str, list[Ref]] = {}
        for query in _of_contents(nodes.values()):
            for copy in self.store.select(query).items:
                places.setdefault(copy.status, []).append(copy.ref)
        several = [ref for group in places.values() if len(group) > 1 for ref in group]
        links = self.store.links(*several, incoming=True) if several else ()
        made = {link.target for link in links if link.kind == "Produced"}
        for ref, node in nodes.items():
            for other in places.get(node.status, ()):
                ends = (other, ref) if incoming else (ref, other)
                if ends[0] in made and ends[1] not in made:
                    yield Edge(ends[0], "SameAs", ends[1])

    def _executions(self, names: Mapping[Ref, Ref]) -> Iterator[Edge]:
        """Give the edges from pipeline executions to the jobs among some names."""
        jobs = [name for name in names if name.kind in JOB_KINDS]
        for job, found in self.read(jobs).items():
            if found.parent is not None and found.parent.kind == EXECUTION:
                action = entity_of(found.parent)
                if action is not None:
                    yield Edge(action, "AssociatedWith", names[job])

    def _executed(self, names: Mapping[Ref, Ref]) -> Iterator[Edge]:
        """Give the edges from the pipeline executions among some names to their jobs."""
        for execution, action in names.items():
            for kind in JOB_KINDS if execution.kind == EXECUTION else ():
                page = self.store.select(Query(kind, parent=execution, limit=_PAGE))
                for job in page.items:
                    component = entity_of(job.ref)
                    if component is not None:
                        self.jobs[component] = job.ref
                        yield Edge(action, "AssociatedWith", component)


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
        return _Walk(self._store).next(refs, incoming=incoming)

    def walk(self, starts: Sequence[Ref], direction: Direction, depth: int) -> Subgraph:
        """Follow edges from some nodes on, at most ``depth`` of them one after the other.

        ``Both`` is what leads to the starts and what comes of them, not what else came of that.
        """
        walk = _Walk(self._store, dict.fromkeys(starts))
        for word, incoming in (("Ascendants", True), ("Descendants", False)):
            if direction in (word, "Both"):
                walk.follow(starts, depth, incoming=incoming)
        inner = [x for x in walk.edges if x.source in walk.order and x.target in walk.order]
        return Subgraph(walk.vertices(walk.order), inner)

    def vertices(self, refs: Iterable[Ref]) -> list[Vertex]:
        """Read nodes, in their order."""
        return _Walk(self._store).vertices(refs)

    def everything(self, account: str, region: str) -> Iterator[Ref]:
        """Name every node that is stored, the newest of each kind first."""
        for kind in (ARTIFACT, ACTION, CONTEXT, TRIAL_COMPONENT):
            query = Query(kind, account, region, limit=_PAGE)
            while True:
                page = self._store.select(query)
                yield from (node.ref for node in page.items)
                if not page.token:
                    break
                query = replace(query, token=page.token)


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


def _of_contents(nodes: Iterable[Resource]) -> Iterator[Query]:
    """Ask for every place of the contents of some artifacts."""
    digests: dict[tuple[str, str], set[str]] = {}
    for node in nodes:
        if node.status:
            digests.setdefault((node.ref.account, node.ref.region), set()).add(node.status)
    for (account, region), found in digests.items():
        wanted = sorted(found)
        for start in range(0, len(wanted), _PAGE):
            some = wanted[start : start + _PAGE]
            yield Query(ARTIFACT, account, region, statuses=some, limit=_MOST_COPIES)


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


def _type(ref: Ref, node: Resource | None) -> str:
    if ref.kind == TRIAL_COMPONENT:
        found = (word for kind, word in _JOB_WORDS.items() if ref.name.endswith(f"-aws-{kind}"))
        return next(found, "ExperimentTrialComponent")
    return str(node.body.get("entity", "")) if node else ""
