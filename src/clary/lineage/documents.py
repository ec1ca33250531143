"""The public documents of lineage: what Describe, List and QueryLineage answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.names import Ref, arn
from clary.lineage.entities import ARTIFACT
from clary.lineage.graph import WORDS

if TYPE_CHECKING:
    from datetime import datetime

    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.lineage.graph import Edge, Vertex

GROUP = "sagemaker-default-lineage-group"
_LONGEST_WORD = 40


def node(found: Resource) -> JsonObject:
    """Write the Describe document of an artifact, an action or a context."""
    made, changed = found.body.get("created_by"), found.body.get("modified_by")
    document = {
        **summary(found),
        **_given(found, ("Description", "MetadataProperties")),
        "Properties": properties(found),
        "LineageGroupArn": arn(found.ref.sibling("lineage-group", GROUP)),
        "CreatedBy": _by(made) if made else None,
        "LastModifiedBy": _by(changed) if changed else None,
    }
    return {name: value for name, value in document.items() if value is not None}


def summary(found: Resource) -> JsonObject:
    """Write a line of a list of artifacts, actions or contexts."""
    word = WORDS[found.ref.kind]
    named = {} if found.ref.kind == ARTIFACT else {f"{word}Name": found.ref.name}
    return {
        f"{word}Arn": arn(found.ref),
        **named,
        **_given(found, ("ArtifactName", "Status")),
        "Source": source(found),
        f"{word}Type": found.body["entity"],
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
    }


def source(found: Resource) -> JsonObject:
    """Write where something came from; content is named by its digest beside its place."""
    if "digest" not in found.body:
        given: JsonObject = found.body["request"]["Source"]
        return given
    content = {"SourceIdType": "Custom", "Value": f"sha256:{found.body['digest']}"}
    return {"SourceUri": found.body["uri"], "SourceTypes": [content]}


def properties(found: Resource) -> dict[str, str]:
    """Give a node's properties: what is known of its content, and what was set by hand."""
    given: dict[str, str] = (found.body.get("request") or {}).get("Properties") or {}
    if "digest" not in found.body:
        return dict(given)
    known = {
        "sha256": found.body["digest"],
        "size_bytes": str(found.body["size_bytes"]),
        "file_count": str(found.body["file_count"]),
    }
    return known | given


def association(edge: Edge, source: Vertex, target: Vertex, by_hand: Resource | None) -> JsonObject:
    """Write a line of ListAssociations.

    An edge that was recorded by itself is as old as the younger of its ends.
    """
    moments = [x.node.created_at for x in (source, target) if x.node is not None]
    created = by_hand.created_at if by_hand else max(moments, default=None)
    document = {
        "SourceArn": arn(edge.source),
        "DestinationArn": arn(edge.target),
        "SourceType": _long_type(source),
        "DestinationType": _long_type(target),
        "AssociationType": edge.kind,
        "SourceName": _name(source),
        "DestinationName": _name(target),
        "CreationTime": created,
        "CreatedBy": _by(by_hand.body["by"]) if by_hand else None,
    }
    return {name: value for name, value in document.items() if value is not None}


def vertex(found: Vertex) -> JsonObject:
    """Write a vertex of QueryLineage."""
    return {
        "Arn": arn(found.ref),
        "Type": found.type[:_LONGEST_WORD],
        "LineageType": found.lineage_type,
    }


def edge(found: Edge) -> JsonObject:
    """Write an edge of QueryLineage."""
    return {
        "SourceArn": arn(found.source),
        "DestinationArn": arn(found.target),
        "AssociationType": found.kind,
    }


def group(near: Ref, created_at: datetime) -> JsonObject:
    """Write the one lineage group that an account has in a region."""
    return {
        "LineageGroupName": GROUP,
        "LineageGroupArn": arn(near.sibling("lineage-group", GROUP)),
        "DisplayName": GROUP,
        "CreationTime": created_at,
        "LastModifiedTime": created_at,
    }


def _given(found: Resource, members: tuple[str, ...]) -> JsonObject:
    request = found.body.get("request") or {}
    return {name: request[name] for name in members if name in request}


def _by(actor: str) -> JsonObject:
    return {"IamIdentity": {"Arn": actor}}


def _long_type(found: Vertex) -> str:
    """Say what a node is, as ListAssociations calls it: ``SageMakerTrainingJob``."""
    component = found.ref.kind == "experiment-trial-component"
    return f"SageMaker{found.type}" if component else found.type


def _name(found: Vertex) -> str | None:
    if found.ref.kind != ARTIFACT:
        return found.ref.name
    request = (found.node.body.get("request") or {}) if found.node else {}
    name: str | None = request.get("ArtifactName")
    return name
