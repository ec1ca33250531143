"""Flows as steps of pipelines."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # noqa: TC002 - a step's annotations are read when it is defined

from clary.doors.python.options import Options
from clary.doors.python.steps import Step
from clary.flow_programs import IN_A_STEP
from clary.flows import documents, fitted, local
from clary.flows.fitted import NOTHING
from clary.flows.graphs import grown
from clary.flows.model import Flow, Node
from clary.flows.reach import is_remote
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.flows.bounds import Bounds
    from clary.flows.fitted import Fitted


@dataclass(frozen=True, slots=True)
class Place(os.PathLike[str]):
    """A file that a step reads: of this machine, or at ``s3://…``."""

    path: str

    def __fspath__(self) -> str:
        return self.path


def rows(flow: Flow, learned: Fitted, node: str, options: Mapping[str, Any]) -> Step[..., Any]:
    """Make a step that gives the rows of a node as a table."""
    document, state, names = documents.write(flow), fitted.write(learned), sources(flow, node)

    def run(*tables: Any, learned: Any = None) -> pa.Table:
        text = state if learned is None else json.dumps(learned)
        given = dict(zip(names, tables, strict=True))
        return local.table(documents.read(document), node, fitted.read(text), given, IN_A_STEP)[0]

    return _step(run, node, options)


def learning(flow: Flow, node: str, options: Mapping[str, Any]) -> Step[..., Any]:
    """Make a step that gives what the nodes learn, as JSON."""
    document, names = documents.write(flow), sources(flow, node)

    def run(*tables: Any) -> dict[str, Any]:
        given = dict(zip(names, tables, strict=True))
        found = local.fitted(documents.read(document), node, NOTHING, given, IN_A_STEP)
        made: dict[str, Any] = json.loads(fitted.write(found))
        return made

    return _step(run, f"fit-{node}", options)


def ingesting(flow: Flow, learned: Fitted, node: str, options: Mapping[str, Any]) -> Step[..., Any]:
    """Make a step that gives the rows of a node as a file, of which not all are in memory."""
    nodes = tuple(one for one in flow.nodes if one.operator != "destination")
    written = Node("rows", "destination", {"path": "rows.parquet"}, (node,))
    document = documents.write(grown(Flow(nodes, flow.parameters), written)[0])
    state, names = fitted.write(learned), sources(flow, node)

    def run(*tables: Any, learned: Any = None) -> Path:
        text = state if learned is None else json.dumps(learned)
        given = dict(zip(names, tables, strict=True))
        [made], _ = local.run(documents.read(document), fitted.read(text), given, IN_A_STEP)
        return Path(made.path)

    return _step(run, f"ingest-{node}", options)


def sources(flow: Flow, node: str) -> tuple[str, ...]:
    """Name the sources that a node needs, in order."""
    return tuple(one.id for one in flow.until(node) if one.operator == "source")


def arguments(
    flow: Flow, node: str, tables: Sequence[Any], bounds: Mapping[str, Bounds]
) -> list[Any]:
    """Give the rows of each source: those of the call, else the files of the flow.

    Raises
    ------
    InvalidInput
        There are more than sources, or a source has no file of its own, or one out of bounds.
    """
    names = sources(flow, node)
    if len(tables) > len(names):
        legal = ", ".join(names)
        raise InvalidInput("sources", f"{len(tables)} are given, of {len(names)}", legal=legal)
    return by_name(flow, node, dict(zip(names, tables, strict=False)), bounds)


def by_name(
    flow: Flow, node: str, tables: Mapping[str, Any], bounds: Mapping[str, Bounds]
) -> list[Any]:
    """Give the rows of each source: those of its name, else its files. Raises as ``arguments``."""
    names, found = sources(flow, node), []
    for name in tables.keys() - set(names):
        raise InvalidInput("sources", f"the flow has no source {name!r}", legal=", ".join(names))
    for name in names:
        if name in tables:
            given = tables[name]
            found.append(Place(given) if isinstance(given, str) else given)
            continue
        path = flow.node(name).with_.get("path") or flow.node(name).with_.get("uri")
        if path is None:
            is_group = "feature_group" in flow.node(name).with_
            hint = "a step reads no feature group: give what a step of yours reads of it"
            problem = f"no rows are given for {name}, and it has no file"
            raise InvalidInput("sources", problem, hint=hint if is_group else "")
        if name in bounds:
            (bounds[name].name if is_remote(path) else bounds[name].file)(path)
        found.append(Place(path))
    return found


def _step(function: Any, node: str, options: Mapping[str, Any]) -> Step[..., Any]:
    function.__name__ = re.sub(r"[^A-Za-z0-9]+", "-", node).strip("-") or "flow"
    return Step(function, Options()).options(**options)
