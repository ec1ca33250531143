"""The public documents of experiments: what Describe and List answer, in SageMaker's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.experiments.model import COMPONENT, EXPERIMENT
from clary.kernel.names import arn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.experiments.ports import Summary
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_WORDS = {EXPERIMENT: "Experiment", COMPONENT: "TrialComponent"}

_MAPS: JsonObject = {"Parameters": {}, "InputArtifacts": {}, "OutputArtifacts": {}}
"""The official SDK's tables take these for granted."""


def word(kind: str) -> str:
    """Return what a kind's members start with: ``TrialComponent``."""
    return _WORDS.get(kind, "Trial")


def described(found: Resource) -> JsonObject:
    """Write what the Describe documents have in common; a component's has no metrics yet."""
    body, name = found.body, word(found.ref.kind)
    document: JsonObject = {
        **(_MAPS if found.ref.kind == COMPONENT else {}),
        "DisplayName": body["request"].get(f"{name}Name"),
        **body["request"],
        f"{name}Arn": arn(found.ref),
        "Source": body.get("source"),
        "Sources": _sources(found) if found.ref.kind == COMPONENT else None,
        "CreationTime": found.created_at,
        "CreatedBy": _by(body["created_by"]),
        "LastModifiedTime": found.modified_at,
        "LastModifiedBy": _by(body["modified_by"]),
    }
    return _without_empty(document)


def summary(found: Resource) -> JsonObject:
    """Write an element of a list."""
    name = word(found.ref.kind)
    document = described(found)
    members = [f"{name}Name", f"{name}Arn", "DisplayName", "CreationTime", "LastModifiedTime"]
    if found.ref.kind == COMPONENT:
        members += ["Status", "StartTime", "EndTime", "CreatedBy", "LastModifiedBy"]
    line = {member: document[member] for member in members if member in document}
    source = document.get("Source")
    return {**line, **({f"{name}Source": source} if source else {})}


def metrics(found: Resource, summaries: Sequence[Summary]) -> list[JsonObject]:
    """Write the summaries of a component's metrics."""
    source = (found.body["source"] or {}).get("SourceArn") or arn(found.ref)
    return [
        {
            "MetricName": one.name,
            "SourceArn": source,
            "TimeStamp": one.last_at,
            "Max": one.maximum,
            "Min": one.minimum,
            "Last": one.last,
            "Count": one.count,
            "Avg": one.mean,
            "StdDev": one.deviation,
        }
        for one in summaries
    ]


def _sources(found: Resource) -> list[JsonObject]:
    own = found.body["source"]
    return [*([own] if own else []), *found.body["sources"]]


def _by(actor: str) -> JsonObject:
    return {"IamIdentity": {"Arn": actor}}


def _without_empty(document: JsonObject) -> JsonObject:
    return {key: value for key, value in document.items() if value not in (None, "", [])}
