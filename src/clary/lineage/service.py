"""Recording what came from what, and walking back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import AlreadyExists, NotFound
from clary.kernel.resource import Link, Query, Resource
from clary.lineage.associations import Associations
from clary.lineage.entities import Entities, artifact_name, place_of
from clary.lineage.graph import Graph
from clary.lineage.model import ARTIFACT, Artifact, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction

    Used = tuple[str, Artifact]
    """The role something was used in (the input's or output's name), and the content."""

CODE = "code"


class Lineage:
    """What came from what.

    Parameters
    ----------
    store
        Where artifacts and links are.

    Attributes
    ----------
    entities, associations, graph
        The public lineage API: its nodes, the edges made by hand, and the walks along all edges.
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self.entities = Entities(store)
        self.graph = Graph(store)
        self.associations = Associations(store, self.graph)

    def record(
        self,
        transaction: Transaction,
        subject: Ref,
        *,
        inputs: Iterable[Used] = (),
        outputs: Iterable[Used] = (),
        code: Iterable[Used] = (),
    ) -> None:
        """Link ``subject`` to what it used and made; doing it again changes nothing.

        Parameters
        ----------
        transaction
            The change that this belongs to.
        subject
            A job or a model version.
        inputs, outputs, code
            Pairs of role and artifact; code's role is always ``code``.
        """
        for role, artifact in inputs:
            ref = self._keep(transaction, subject, artifact, role)
            transaction.link(Link(ref, "ContributedTo", subject, role))
        for _, artifact in code:
            ref = self._keep(transaction, subject, artifact, CODE)
            transaction.link(Link(ref, "ContributedTo", subject, CODE))
        for role, artifact in outputs:
            ref = self._keep(transaction, subject, artifact, role)
            transaction.link(Link(subject, "Produced", ref, role))

    def artifact(self, ref: Ref) -> Artifact:
        """Read an artifact. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return build(Artifact, found.body)

    def tree(self, ref: Ref) -> Node:
        """Walk from a job, an artifact or a model version back to where everything came from.

        Content that several jobs made is followed to one of them: the job of the same pipeline
        execution, else the last one made before the content was used. A thing that occurs twice
        is written out once; so the tree ends, whatever the links say.

        Raises
        ------
        NotFound
            There is no such thing.
        """
        start = self._store.get(ref)
        if start is None:
            raise NotFound(ref)
        return _Walk(self._store).node(start, "")

    def used(self, subject: Ref) -> list[Used]:
        """Give what a job or a model version used, by role, in the order it was recorded."""
        links = self._store.links(subject, incoming=True)
        return self._content((x.role, x.source) for x in links if x.kind == "ContributedTo")

    def made(self, subject: Ref) -> list[Used]:
        """Give what a job made, by role, in the order it was recorded."""
        links = self._store.links(subject, incoming=False)
        return self._content((x.role, x.target) for x in links if x.kind == "Produced")

    def elsewhere(self, near: Ref, content: str) -> list[Artifact]:
        """Give every place in an account and region where a content was seen, newest first."""
        found = self._store.select(_of_content(near, content)).items
        return [build(Artifact, one.body) for one in found]

    def _content(self, named: Iterable[tuple[str, Ref]]) -> list[Used]:
        pairs = list(named)
        stored = self._store.get_all(ref for _, ref in pairs)
        return [
            (role, build(Artifact, stored[ref].body))
            for role, ref in pairs
            if ref.kind == ARTIFACT and ref in stored
        ]

    @staticmethod
    def _keep(transaction: Transaction, subject: Ref, artifact: Artifact, role: str) -> Ref:
        ref = subject.sibling(ARTIFACT, artifact_name(artifact.uri, artifact.digest))
        moment = now()
        body = {**plain(artifact), "entity": _word(artifact, role)}
        place = place_of(ref, artifact.uri)
        try:
            transaction.insert(Resource(ref, body, moment, moment, artifact.digest, place))
        except AlreadyExists:  # the same content was seen at the same place before
            return ref
        return ref


_WORDS = {
    "model": "Model",
    "checkpoints": "Checkpoint",
    CODE: "Code",
    "ModelMetrics": "ModelMetrics",
    "DriftCheckBaselines": "ModelMetrics",
}


def _word(artifact: Artifact, role: str) -> str:
    """Say what an artifact is in the words of the public API, by the role it was first seen in."""
    if artifact.type == "environment":
        return "Image"
    return _WORDS.get(role.partition("/")[0].partition(".")[0], "DataSet")


def _of_content(near: Ref, content: str) -> Query:
    return Query(ARTIFACT, near.account, near.region, statuses=[content], limit=1000)


class _Walk:
    """One walk back through the links."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._seen: set[Ref] = set()

    def node(self, start: Resource, role: str) -> Node:
        """Write out ``start``; depth first, with a stack of its own instead of recursion."""
        order: list[tuple[Resource, str, int]] = []
        stack: list[tuple[Resource, str, int, Resource | None]] = [(start, role, -1, None)]
        expanded: list[bool] = []
        while stack:
            resource, as_role, above, consumer = stack.pop()
            place = len(order)
            order.append((resource, as_role, above))
            expanded.append(resource.ref not in self._seen)
            if expanded[place]:
                self._seen.add(resource.ref)
                for source, source_role in reversed(self._sources(resource, consumer)):
                    stack.append((source, source_role, place, resource))
        return _assemble(order, expanded)

    def _sources(self, resource: Resource, consumer: Resource | None) -> list[tuple[Resource, str]]:
        links = self._store.links(resource.ref, incoming=True)
        used = [link for link in links if link.kind == "ContributedTo"]
        found = [(self._store.get(link.source), link.role) for link in used]
        makers = self._makers(resource, links)
        if makers:
            found.append((_maker(makers, consumer), ""))
        return [(source, role) for source, role in found if source is not None]

    def _makers(self, resource: Resource, links: Sequence[Link]) -> list[Resource]:
        """Read who made it; of content nobody made at its place, who made it elsewhere."""
        makers = self._read(link.source for link in links if link.kind == "Produced")
        if makers or resource.ref.kind != ARTIFACT or not resource.status:
            return makers
        same = self._store.select(_of_content(resource.ref, resource.status)).items
        found = self._store.links(*(one.ref for one in same), incoming=True)
        return self._read(link.source for link in found if link.kind == "Produced")

    def _read(self, refs: Iterable[Ref]) -> list[Resource]:
        return list(self._store.get_all(refs).values())


def _maker(makers: list[Resource], consumer: Resource | None) -> Resource:
    def preference(maker: Resource) -> tuple[bool, bool, datetime]:
        if consumer is None:
            return (False, False, maker.created_at)
        same = maker.parent is not None and maker.parent == consumer.parent
        return (same, maker.created_at <= consumer.created_at, maker.created_at)

    return max(makers, key=preference)


def _assemble(order: list[tuple[Resource, str, int]], expanded: list[bool]) -> Node:
    children: list[list[Node]] = [[] for _ in order]
    for place in range(len(order) - 1, -1, -1):
        resource, role, above = order[place]
        body = resource.body if resource.ref.kind == ARTIFACT else {}
        node = Node(
            ref=resource.ref,
            role=role,
            digest=body.get("digest", ""),
            uri=body.get("uri", ""),
            size_bytes=body.get("size_bytes", 0),
            seen=not expanded[place],
            children=tuple(reversed(children[place])),
        )
        if above < 0:
            return node
        children[above].append(node)
    raise AssertionError("a walk has a start")
