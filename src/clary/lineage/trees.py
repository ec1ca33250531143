"""Where a thing came from, or what became of it, as a tree for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.resource import Query
from clary.lineage.model import ARTIFACT, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore
    from clary.kernel.resource import Link, Resource

_MOST_COPIES = 1000


def of_content(near: Ref, content: str) -> Query:
    """Ask for every place in an account and region where a content was seen."""
    return Query(ARTIFACT, near.account, near.region, statuses=[content], limit=_MOST_COPIES)


class TreeWalk:
    """One walk along the links, back or (``down``) forth, so many steps far (0: all).

    A step is from a job or a version to content, or from content to one.
    """

    def __init__(self, store: MetadataStore, *, down: bool, depth: int) -> None:
        self._store = store
        self._next = self._results if down else self._sources
        self._depth = depth or None
        self._seen: set[Ref] = set()

    def node(self, start: Resource) -> Node:
        """Write out ``start``; depth first, with a stack of its own instead of recursion."""
        order: list[tuple[Resource, str, int]] = []
        stack: list[tuple[Resource, str, int, int, Resource | None]] = [(start, "", -1, 0, None)]
        expanded: list[bool] = []
        while stack:
            resource, role, above, depth, beside = stack.pop()
            place = len(order)
            order.append((resource, role, above))
            expanded.append(resource.ref not in self._seen)
            if expanded[place] and depth != self._depth:
                self._seen.add(resource.ref)
                for found, found_role in reversed(self._next(resource, beside)):
                    stack.append((found, found_role, place, depth + 1, resource))
        return _assemble(order, expanded)

    def _sources(self, resource: Resource, consumer: Resource | None) -> list[tuple[Resource, str]]:
        links = self._store.links(resource.ref, incoming=True)
        found = self._ends([link for link in links if link.kind == "ContributedTo"], incoming=True)
        makers = self._makers(resource, links)
        return [*found, *([(_maker(makers, consumer), "")] if makers else [])]

    def _results(self, resource: Resource, _: Resource | None) -> list[tuple[Resource, str]]:
        """Give what used a content, also where it lies without a maker; or what a job made."""
        places = [resource.ref]
        if resource.ref.kind == ARTIFACT and resource.status:
            copies = self._store.select(of_content(resource.ref, resource.status)).items
            links = self._store.links(*(copy.ref for copy in copies), incoming=True)
            made = {link.target for link in links if link.kind == "Produced"}
            places += [copy.ref for copy in copies if copy.ref not in {*made, resource.ref}]
        kinds = ("ContributedTo", "Produced")
        links = self._store.links(*places, incoming=False)
        return self._ends([link for link in links if link.kind in kinds], incoming=False)

    def _ends(self, links: Sequence[Link], *, incoming: bool) -> list[tuple[Resource, str]]:
        ends = [(link.source if incoming else link.target, link.role) for link in links]
        stored = self._store.get_all(ref for ref, _ in ends)
        return [(stored[ref], role) for ref, role in ends if ref in stored]

    def _makers(self, resource: Resource, links: Sequence[Link]) -> list[Resource]:
        """Read who made it; of content nobody made at its place, who made it elsewhere."""
        makers = self._read(link.source for link in links if link.kind == "Produced")
        if makers or resource.ref.kind != ARTIFACT or not resource.status:
            return makers
        same = self._store.select(of_content(resource.ref, resource.status)).items
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
