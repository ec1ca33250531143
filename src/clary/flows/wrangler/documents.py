"""Whole ``.flow`` files: read into a flow and what it has learned, and written again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from clary.flows.documents import LARGEST, checked
from clary.flows.fitted import NOTHING, Fitted, Learned, digest
from clary.flows.model import Flow, Node
from clary.flows.wrangler import operators, settings, splits, trained
from clary.flows.wrangler.rules import copied, found
from clary.kernel.codec import build, from_json
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST = 64
_DEFAULT = "default"


class Input(Struct, frozen=True):
    """Where the rows of a node of a file come from."""

    node_id: str
    name: str = "df"
    output_name: str = _DEFAULT


class Written(Struct, frozen=True):
    """A node as a file holds it."""

    node_id: str
    operator: str
    type: str = "TRANSFORM"
    parameters: dict[str, Any] | None = None
    trained_parameters: dict[str, Any] | None = None
    inputs: tuple[Input, ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A file that has been read.

    Parameters
    ----------
    flow, fitted
        The flow, and what the file's trained parameters say it has learned.
    document
        The file itself, for ``write``: it keeps what we do not know.
    unknown
        Why a node is not known here, by node; the flow runs up to it.
    """

    flow: Flow
    fitted: Fitted
    document: Mapping[str, Any]
    unknown: Mapping[str, str] = field(default_factory=dict)


def read(document: Any, *, sources: Mapping[str, str] | None = None) -> Imported:
    """Read a file of Data Wrangler.

    Parameters
    ----------
    document
        Its text, or what JSON gives.
    sources
        Where the rows of sources really are: a path by the source's data set name, URI or node.

    Raises
    ------
    InvalidInput
        It is no such file: names the node, and what is wrong with it.
    LimitExceeded
        It is too large, or nested too deep.
    """
    whole = _whole(document)
    places = dict(sources or {})
    nodes: list[Node] = []
    learned: dict[str, Learned] = {}
    unknown: dict[str, str] = {}
    parts: dict[str, tuple[str, ...]] = {}
    found = []
    for place, one in enumerate(whole["nodes"]):
        written = build(Written, one, field=f"nodes[{place}]")
        node, problem = _node(written, places)
        found.append((written, node))
        if problem:
            unknown[node.id] = problem
        if outputs := splits.outputs(node):
            parts[node.id] = outputs
    for written, node in found:
        nodes += splits.parted(structs.replace(node, inputs=_inputs(written, parts)))
        if written.trained_parameters and node.id not in parts:
            state = _state(node, written)
            if state is not None:
                learned[node.id] = Learned(digest(nodes[-1]), (), state)
    if places:
        raise InvalidInput("sources", f"no source of the file is called {', '.join(places)}")
    flow = checked(Flow(tuple(nodes), settings.read(whole.get("parameters"))))
    return Imported(flow, Fitted(learned), whole, unknown)


def _whole(document: Any) -> dict[str, Any]:
    if isinstance(document, str | bytes):
        if len(document) > LARGEST:
            raise LimitExceeded(f"a .flow file has at most {LARGEST} bytes")
        document = from_json(document, field=".flow")
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
        raise InvalidInput(".flow", "is no object with a list of nodes")
    _shallow(document)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(".flow", f"holds text that is no Unicode: {error.reason}") from None
    metadata = document.get("metadata") or {}
    version = metadata.get("version", 1) if isinstance(metadata, dict) else None
    if version != 1:
        raise InvalidInput(".flow: metadata.version", f"{version!r}", legal="1")
    made: dict[str, Any] = copied(document)
    return made


def _shallow(document: Any) -> None:
    level: list[Any] = [document]
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise LimitExceeded(f"a .flow file is nested at most {DEEPEST} deep")
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]


def _node(written: Written, places: dict[str, str]) -> tuple[Node, str]:
    """Read a node; takes the place of a source out of those that are given."""
    inputs = tuple(one.node_id for one in written.inputs)
    parameters = written.parameters or {}
    problem = ""
    try:
        operator, given = operators.read(written.operator, parameters)
    except InvalidInput as error:
        operator, given, problem = written.operator, parameters, error.message
    if written.type == "SOURCE":
        place = _place(written, places)
        if place and operator == "source":
            given = {**given, "path": place}
        elif place:
            operator, given, problem = "source", {"path": place, "texts": True}, ""
    return Node(written.node_id, operator, given, inputs, written.name or ""), problem


def _inputs(written: Written, parts: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return tuple(splits.source(x.node_id, x.output_name, parts) for x in written.inputs)
    except InvalidInput as error:
        raise InvalidInput(f"node {written.node_id}: inputs", error.message) from None


def _place(written: Written, places: dict[str, str]) -> str:
    definition = found(written.parameters or {}, "dataset_definition")
    names = (
        written.node_id,
        *(found(definition or {}, one) for one in ("name", "s3ExecutionContext.s3Uri")),
    )
    given = [places.pop(one) for one in names if isinstance(one, str) and one in places]
    return given[0] if given else ""


def _state(node: Node, written: Written) -> dict[str, Any] | None:
    try:
        return trained.read(node, written.trained_parameters or {})
    except ClaryError as error:
        told = f"node {node.id} ({written.operator}): trained_parameters"
        raise InvalidInput(told, error.message) from None


def write(
    flow: Flow, fitted: Fitted = NOTHING, *, document: Mapping[str, Any] | None = None
) -> str:
    """Write a file that ``read`` gives this flow and these states of.

    Parameters
    ----------
    document
        The file that it was read from: what we do not know of it stays as it is.

    Raises
    ------
    InvalidInput
        The document is no file of Data Wrangler.
    """
    empty: dict[str, Any] = {"metadata": {"version": 1}, "nodes": []}
    whole = _whole(document) if document is not None else empty
    before = {one.get("node_id"): one for one in whole["nodes"] if isinstance(one, dict)}
    order = {name: place for place, name in enumerate(before)}
    together, parts = splits.whole(flow.nodes)
    nodes = sorted(together, key=lambda one: order.get(one.id, len(order)))
    whole["nodes"] = [_written(one, fitted, before.get(one.id), parts) for one in nodes]
    settings.write(whole, flow.parameters)
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _written(
    node: Node, fitted: Fitted, before: dict[str, Any] | None, parts: splits.Parts
) -> dict[str, Any]:
    made: dict[str, Any] = copied(before) if before is not None else {"node_id": node.id}
    known = build(Written, before) if before is not None else None
    if known is None or _changed(node, known):
        theirs = known if known and known.operator == operators.called(node) else None
        kind, operator, parameters = operators.write(node, theirs.parameters if theirs else None)
        made |= {"type": kind, "operator": operator, "parameters": parameters}
    if node.title or "name" in made:
        made["name"] = node.title or made.get("name")
    _trained(made, node, known, fitted)
    inputs = [parts.get(one, (one, _DEFAULT)) for one in node.inputs]
    if known is None or [_taken(one, parts) for one in known.inputs] != inputs:
        name = "default" if node.operator == "source" else "df"
        made["inputs"] = [
            {"name": name, "node_id": one, "output_name": output} for one, output in inputs
        ]
    names = splits.outputs(node)
    if names:
        kept = {str(one.get("name")): one for one in made.get("outputs", ())}
        made["outputs"] = [kept.get(one, {"name": one}) for one in names]
    made.setdefault("outputs", [{"name": _DEFAULT}])
    return made


def _taken(one: Input, parts: splits.Parts) -> tuple[str, str]:
    """Tell what an input of a file takes; outputs of what is no split have no say."""
    told = (one.node_id, one.output_name)
    return told if told in parts.values() else (one.node_id, _DEFAULT)


def _changed(node: Node, known: Written) -> bool:
    was, _ = _node(known, {})
    return (was.operator, was.with_) != (node.operator, node.with_)


def _trained(made: dict[str, Any], node: Node, known: Written | None, fitted: Fitted) -> None:
    """Keep, replace or remove the trained parameters of a node."""
    if node.operator.startswith("sagemaker."):
        return
    learned = fitted.learned(node)
    state = learned.state if learned is not None else {}
    before = known.trained_parameters if known is not None else None
    if before and state and trained.read(node, before) == state:
        return
    made.pop("trained_parameters", None)
    if state:
        made["trained_parameters"] = trained.write(node, state)
