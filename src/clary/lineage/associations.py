"""Edges made by hand, and listing those beside what was recorded by itself."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.codec import digest, plain
from clary.kernel.errors import Conflict, NotFound
from clary.kernel.resource import Event, Link, Resource

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, Transaction
    from clary.lineage.graph import Edge, EdgeKind, Graph

ASSOCIATION = "association"
_SOME = 500


class Associations:
    """The verbs of associations.

    Parameters
    ----------
    store
        Where they are: each as a link, with a resource that says who made it and when.
    graph
        What is there already.
    """

    def __init__(self, store: MetadataStore, graph: Graph) -> None:
        self._store = store
        self._graph = graph

    def add(
        self,
        source: Ref,
        kind: EdgeKind,
        target: Ref,
        *,
        actor: str,
        transaction: Transaction | None = None,
    ) -> None:
        """Add an edge between two things; adding it again changes nothing.

        It may belong to a ``transaction``, which may have made the things; else it is its own.

        Raises
        ------
        NotFound
            One of them does not exist.
        """
        marker = _marker(source, kind, target)
        at = now()
        scope = nullcontext(transaction) if transaction is not None else self._store.begin()
        with scope as change:
            for ref in (source, target):
                if change.get(ref) is None:
                    raise NotFound(ref)
            if change.get(marker) is not None:
                return
            change.link(Link(source, kind, target))
            body = {"source": plain(source), "kind": kind, "target": plain(target), "by": actor}
            change.insert(Resource(marker, body, at, at))
            change.append(Event(at, actor, "association.created", source, {"target": str(target)}))

    def delete(self, source: Ref, target: Ref, *, actor: str) -> None:
        """Remove the edges that were made by hand between two things.

        Raises
        ------
        NotFound
            There is no edge.
        Conflict
            It was recorded by itself: what a job used or made stays on record.
        """
        edges = self.list(source, target)
        if not edges:
            raise NotFound(f"an association from {source} to {target}")
        with self._store.begin() as change:
            removed = 0
            for edge in edges:
                marker = _marker(source, edge.kind, target)
                if change.get(marker) is not None:
                    change.delete(marker)
                    change.unlink(Link(source, edge.kind, target))
                    removed += 1
            if not removed:
                raise Conflict(f"the association from {source} to {target} is a job's own record")
            event = Event(now(), actor, "association.deleted", source, {"target": str(target)})
            change.append(event)

    def list(
        self, source: Ref | None, target: Ref | None, *, account: str = "", region: str = ""
    ) -> Sequence[Edge]:
        """List the edges from, to or between things; those of a region when none is named."""
        if source is not None:
            found = self._graph.edges([source], incoming=False)
            return [edge for edge in found if target in (None, edge.target)]
        if target is not None:
            return self._graph.edges([target], incoming=True)
        names = list(self._graph.everything(account, region))
        parts = [names[start : start + _SOME] for start in range(0, len(names), _SOME)]
        return [edge for part in parts for edge in self._graph.edges(part, incoming=False)]

    def made_by_hand(self, edges: Collection[Edge]) -> Mapping[Edge, Resource]:
        """Read when and by whom edges were made, as far as that was done by hand."""
        markers = {edge: _marker(edge.source, edge.kind, edge.target) for edge in edges}
        stored = self._store.get_all(markers.values())
        return {edge: stored[marker] for edge, marker in markers.items() if marker in stored}


def _marker(source: Ref, kind: str, target: Ref) -> Ref:
    return source.sibling(ASSOCIATION, digest([plain(source), kind, plain(target)])[:32])
