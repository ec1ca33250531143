"""Recording what came from what, and walking back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import NotFound
from clary.kernel.resource import Link, Resource
from clary.lineage.model import ARTIFACT, Artifact, Node

if TYPE_CHECKING:
    from collections.abc import Iterable
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
    """

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

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
            ref = self._keep(transaction, subject, artifact)
            transaction.link(Link(ref, "ContributedTo", subject, role))
        for _, artifact in code:
            ref = self._keep(transaction, subject, artifact)
            transaction.link(Link(ref, "ContributedTo", subject, CODE))
        for role, artifact in outputs:
            ref = self._keep(transaction, subject, artifact)
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

    @staticmethod
    def _keep(transaction: Transaction, subject: Ref, artifact: Artifact) -> Ref:
        ref = subject.sibling(ARTIFACT, artifact.digest)
        if transaction.get(ref) is None:
            moment = now()
            transaction.insert(Resource(ref, plain(artifact), moment, moment))
        return ref


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
        made = [self._store.get(link.source) for link in links if link.kind == "Produced"]
        makers = [maker for maker in made if maker is not None]
        if makers:
            found.append((_maker(makers, consumer), ""))
        return [(source, role) for source, role in found if source is not None]


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
