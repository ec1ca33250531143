"""Associations of the lineage graph, and queries along them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.doors.wire.listing import page_of
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref, arn, parse_arn
from clary.kernel.paging import decode_token, encode_token
from clary.lineage import documents
from clary.lineage.graph import MOST_NODES, Subgraph, on_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.lineage.graph import Vertex

_DEPTH = 10
_DEFAULT = "AssociatedWith"


def add_association(call: Call) -> JsonObject:
    """Add an edge between two things."""
    source, target = _ends(call)
    kind = call.params.get("AssociationType", _DEFAULT)
    call.platform.lineage.associations.add(source, kind, target, actor=call.actor)
    return {"SourceArn": arn(source), "DestinationArn": arn(target)}


def delete_association(call: Call) -> JsonObject:
    """Remove an edge that was made by hand."""
    source, target = _ends(call)
    call.platform.lineage.associations.delete(source, target, actor=call.actor)
    return {"SourceArn": arn(source), "DestinationArn": arn(target)}


def list_associations(call: Call) -> JsonObject:
    """List edges from, to or between things, or all of them."""
    lineage, params = call.platform.lineage, call.params
    source, target = (
        _entity(call, member) if member in params else None
        for member in ("SourceArn", "DestinationArn")
    )
    edges = lineage.associations.list(source, target, account=call.account, region=call.region)
    ends = dict.fromkeys(ref for edge in edges for ref in (edge.source, edge.target))
    nodes = {vertex.ref: vertex for vertex in lineage.graph.vertices(ends)}
    by_hand = lineage.associations.made_by_hand(edges)
    lines = [
        documents.association(edge, nodes[edge.source], nodes[edge.target], by_hand.get(edge))
        for edge in edges
        if _is_type(params.get("SourceType"), nodes[edge.source])
        and _is_type(params.get("DestinationType"), nodes[edge.target])
        and params.get("AssociationType") in (None, edge.kind)
    ]
    lines = [line for line in lines if _in_time(params, line.get("CreationTime"), _CREATED)]
    order = params.get("SortBy", "CreationTime")
    descending = params.get("SortOrder", "Descending") == "Descending"
    timed = [line for line in lines if order in line]
    timed.sort(key=lambda line: (line[order], line["SourceArn"]), reverse=descending)
    rest = [line for line in lines if order not in line]
    return page_of(call, "AssociationSummaries", [*timed, *rest])


def query_lineage(call: Call) -> JsonObject:
    """Give what things came from or became, as far as the filters and the depth go.

    Without MaxResults all of it is one page: the official SDK asks for no second.
    """
    graph, asked = call.platform.lineage.graph, call.params
    starts = [_ref(call, text, "StartArns") for text in asked.get("StartArns", ())]
    everything = not starts
    if everything:
        starts = list(graph.everything(call.account, call.region))[:MOST_NODES]
    depth = 1 if everything else asked.get("MaxDepth", _DEPTH)
    found = graph.walk(starts, asked.get("Direction", "Both"), max(depth, 0))
    if not everything and any(_is_missing(vertex) for vertex in found.vertices[: len(starts)]):
        raise NotFound(asked["StartArns"][0])
    filters = asked.get("Filters") or {}
    if filters:
        wanted = [vertex.ref for vertex in found.vertices if _fits(filters, vertex)]
        if asked.get("IncludeEdges", True) and not everything:
            found = on_paths(found, starts, wanted)
        else:
            kept = set(wanted)
            vertices = [vertex for vertex in found.vertices if vertex.ref in kept]
            edges = [edge for edge in found.edges if {edge.source, edge.target} <= kept]
            found = Subgraph(vertices, edges)
    return _page(call, found, edges=asked.get("IncludeEdges", True))


_CREATED = ("CreatedAfter", "CreatedBefore")
_MODIFIED = ("ModifiedAfter", "ModifiedBefore")


def _page(call: Call, found: Subgraph, *, edges: bool) -> JsonObject:
    """Cut out a page of vertices, with the edges whose later end is on it."""
    token = call.params.get("NextToken", "")
    start = decode_token(token) if token else 0
    if not isinstance(start, int) or start < 0:
        raise InvalidInput("NextToken", f"{token!r} is not a token of this list")
    size = call.params.get("MaxResults", len(found.vertices) or 1)
    if size < 1:
        raise InvalidInput("MaxResults", f"{size}", legal="1 to 50")
    end = start + size
    place = {vertex.ref: index for index, vertex in enumerate(found.vertices)}
    page = {
        "Vertices": [documents.vertex(vertex) for vertex in found.vertices[start:end]],
        "Edges": [
            documents.edge(edge)
            for edge in (found.edges if edges else ())
            if start <= max(place[edge.source], place[edge.target]) < end
        ],
    }
    return page | ({"NextToken": encode_token(end)} if end < len(found.vertices) else {})


def _ends(call: Call) -> tuple[Ref, Ref]:
    return _entity(call, "SourceArn"), _entity(call, "DestinationArn")


def _entity(call: Call, member: str) -> Ref:
    return _ref(call, call.params[member], member)


def _ref(call: Call, text: str, member: str) -> Ref:
    ref = parse_arn(text, field=member)
    if ref.account != call.account:
        raise NotFound(text)
    return ref


def _is_missing(vertex: Vertex) -> bool:
    return vertex.node is None


def _is_type(word: str | None, vertex: Vertex) -> bool:
    """Say whether a word names what a node is, or which sort of node it is."""
    return word in (None, vertex.type, f"SageMaker{vertex.type}", vertex.lineage_type)


def _fits(filters: Mapping[str, Any], vertex: Vertex) -> bool:
    types, sorts = filters.get("Types"), filters.get("LineageTypes")
    if (types and vertex.type not in types) or (sorts and vertex.lineage_type not in sorts):
        return False
    node = vertex.node
    created, modified = (node.created_at, node.modified_at) if node else (None, None)
    return (
        _in_time(filters, created, _CREATED)
        and _in_time(filters, modified, _MODIFIED)
        and _has(vertex, (filters.get("Properties") or {}).items())
    )


def _has(vertex: Vertex, wanted: Iterable[tuple[str, str]]) -> bool:
    pairs = list(wanted)
    if not pairs:
        return True
    plain = vertex.node is not None and vertex.lineage_type != "TrialComponent"
    known = documents.properties(vertex.node) if plain and vertex.node else {}
    return all(known.get(name) == value for name, value in pairs)


def _in_time(limits: Mapping[str, Any], moment: Any, members: tuple[str, str]) -> bool:
    after, before = (limits.get(member) for member in members)
    if moment is None:
        return after is None and before is None
    return (after is None or moment > after) and (before is None or moment < before)
