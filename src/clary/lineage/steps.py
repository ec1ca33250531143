"""The pipeline step that records nodes of the lineage graph and edges between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import arn, parse_arn
from clary.kernel.steps import ImmediateStep, StepResult
from clary.lineage.entities import ACTION, ARTIFACT, CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, Transaction
    from clary.kernel.steps import StepRun
    from clary.lineage.service import Lineage

_KINDS = {"Actions": ACTION, "Artifacts": ARTIFACT, "Contexts": CONTEXT}
_WORDS = {"Actions": "Action", "Artifacts": "Artifact", "Contexts": "Context"}
_MEMBERS = (*_KINDS, "Associations")
_EDGE = Literal["ContributedTo", "AssociatedWith", "DerivedFrom", "Produced", "SameAs"]
_MOST = 100


class SourceDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a node comes from."""

    source_uri: str
    source_type: str | None = None
    source_id: str | None = None
    source_types: list[dict[str, str]] | None = None


class NodeDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """What the create requests of the three kinds have in common."""

    source: SourceDocument
    description: str | None = None
    status: str | None = None
    properties: dict[str, str] = {}
    metadata_properties: dict[str, str] = {}
    tags: list[dict[str, str]] = []


class EndDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """One end of an association: a node of this step by name and type, or anything by ARN."""

    name: str | None = None
    type: Literal["Action", "Artifact", "Context"] | None = None
    arn: str | None = None


class AssociationDocument(msgspec.Struct, frozen=True, rename="pascal"):
    """An edge."""

    source: EndDocument
    destination: EndDocument
    association_type: _EDGE = "AssociatedWith"


class LineageStep(ImmediateStep):
    """Makes artifacts, actions and contexts, then the associations between them, all at once.

    A node that is there already, with the same document, is used as it is: a pipeline runs more
    than once.
    """

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse members that a lineage step does not have, and names it does not make."""
        arguments = step.get("Arguments") or {}
        for member, value in arguments.items():
            if member not in _MEMBERS:
                legal = ", ".join(_MEMBERS)
                raise InvalidInput(f"Arguments.{member}", "no such member", legal=legal)
            if not isinstance(value, list) or len(value) > _MOST:
                raise InvalidInput(f"Arguments.{member}", "no list", legal=f"at most {_MOST} of it")
        if not any(arguments.values()):
            raise InvalidInput("Arguments", "records nothing", legal=", ".join(_MEMBERS))
        made = {
            (_WORDS[member], one.get(f"{_WORDS[member]}Name"))
            for member in _KINDS
            for one in arguments.get(member, [])
            if isinstance(one, dict)
        }
        for place, end in _ends(arguments):
            _check_end(place, end, made)

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Record everything in the transaction of the step."""
        made: dict[tuple[str, str], Ref] = {}
        for member, kind in _KINDS.items():
            for index, request in enumerate(run.arguments.get(member, [])):
                place = f"Arguments.{member}[{index}]"
                name, ref = self._node(run, transaction, kind, request, place)
                made[_WORDS[member], name] = ref
        edges = []
        for index, document in enumerate(run.arguments.get("Associations", [])):
            place = f"Arguments.Associations[{index}]"
            edge = build(AssociationDocument, document, field=place)
            source = _end(edge.source, made, f"{place}.Source")
            target = _end(edge.destination, made, f"{place}.Destination")
            self._lineage.associations.add(
                source, edge.association_type, target, actor=run.actor, transaction=transaction
            )
            edges.append({"SourceArn": arn(source), "DestinationArn": arn(target)})
        arns = {
            f"{word}Arns": {name: arn(ref) for (of, name), ref in made.items() if of == word}
            for word in _WORDS.values()
        }
        return StepResult(
            "Succeeded",
            properties={**arns, "Associations": edges},
            metadata={"Lineage": {key: value for key, value in arns.items() if value}},
        )

    def _node(
        self, run: StepRun, transaction: Transaction, kind: str, request: JsonObject, place: str
    ) -> tuple[str, Ref]:
        word = next(word for member, word in _WORDS.items() if _KINDS[member] == kind)
        view = build(NodeDocument, request, field=place)
        name, of_type = request.get(f"{word}Name"), request.get(f"{word}Type")
        needs_name = kind != ARTIFACT or name is not None
        for member, value, needed in (("Name", name, needs_name), ("Type", of_type, True)):
            if needed and not (isinstance(value, str) and 0 < len(value) <= 256):
                legal = "a text of 1 to 256 characters"
                raise InvalidInput(f"{place}.{word}{member}", f"{value!r}", legal=legal)
        near = run.execution.sibling(kind, "" if kind == ARTIFACT else str(name))
        found = self._lineage.entities.create(
            near,
            request,
            actor=run.actor,
            tags={tag["Key"]: tag["Value"] for tag in view.tags},
            transaction=transaction,
            reuse=True,
        )
        return str(name or view.source.source_uri), found.ref


def _ends(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for index, one in enumerate(arguments.get("Associations", [])):
        for member in ("Source", "Destination"):
            end = one.get(member) if isinstance(one, dict) else None
            yield f"Arguments.Associations[{index}].{member}", end


def _check_end(place: str, end: Any, made: set[tuple[str, Any]]) -> None:
    by_name = isinstance(end, dict) and end.keys() >= {"Name", "Type"} and "Arn" not in end
    by_arn = isinstance(end, dict) and "Arn" in end and not end.keys() & {"Name", "Type"}
    if not (by_name or by_arn):
        raise InvalidInput(place, "names nothing", legal="either Arn, or Name and Type")
    if by_name and isinstance(end["Name"], str) and (end["Type"], end["Name"]) not in made:
        problem = f"this step makes no {end['Type']} {end['Name']!r}"
        names = sorted(f"{word} {name}" for word, name in made if isinstance(name, str))
        raise InvalidInput(place, problem, legal=", ".join(names) or "an Arn")


def _end(end: EndDocument, made: Mapping[tuple[str, str], Ref], place: str) -> Ref:
    if end.arn is not None:
        return parse_arn(end.arn, field=f"{place}.Arn")
    ref = made.get((end.type or "", end.name or ""))
    if ref is None:
        raise NotFound(f"{end.type} {end.name} among what the step makes ({place})")
    return ref
