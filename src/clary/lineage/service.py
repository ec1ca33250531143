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
from clary.lineage.model import ARTIFACT, Artifact
from clary.lineage.trees import TreeWalk, of_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction
    from clary.lineage.model import Node

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

    def tree(self, ref: Ref, *, down: bool = False, depth: int = 0) -> Node:
        """Walk from a job, an artifact or a model version back to where everything came from.

        Content that several jobs made is followed to one of them: the job of the same pipeline
        execution, else the last one made before the content was used. Content that nobody made
        where it was used is followed to where it was made elsewhere. A thing that occurs twice is
        written out once; so the tree ends, whatever the links say.

        Parameters
        ----------
        ref
            Where to start.
        down
            Walk to what became of it instead: everything that used it, and what that made.
        depth
            How many steps to go; 0: all of them.

        Raises
        ------
        NotFound
            There is no such thing.
        """
        start = self._store.get(ref)
        if start is None:
            raise NotFound(ref)
        return TreeWalk(self._store, down=down, depth=depth).node(start)

    def newest(self, near: Ref, uri: str) -> Ref:
        """Name the content that was seen last at a place. Raises NotFound."""
        place = place_of(near, uri)
        query = Query(ARTIFACT, near.account, parent=place, sort_by="created", limit=1)
        found = self._store.select(query).items
        if not found:
            raise NotFound(f"recorded content of {uri}")
        return found[0].ref

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
        found = self._store.select(of_content(near, content)).items
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
