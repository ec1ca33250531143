"""Flows run in this process, on frames and on files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from clary.flows import destinations, sources
from clary.flows.batch import Batch
from clary.flows.failures import explained
from clary.flows.origins import told
from clary.flows.sessions import lock, session
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow, Node
    from clary.flows.sandboxed import Programs

ORIGINS = "clary.origins"
"""The key of a table's metadata under which its columns' origins stand as JSON."""
_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")

Sandboxes = Callable[[Path], "Programs"]
"""Makes what runs an author's code, below a folder of its own."""


class Written(msgspec.Struct, frozen=True):
    """What a destination got: the file, and how many rows."""

    node: str
    path: str
    rows: int


def set_values(flow: Flow, values: Mapping[str, Any]) -> Flow:
    """Put values in the places of the parameters of a flow.

    Raises
    ------
    InvalidInput
        A value is for no parameter, or a parameter has none.
    """
    for name in values.keys() - flow.parameters.keys():
        legal = ", ".join(flow.parameters) or "none: the flow has no parameters"
        raise InvalidInput("parameter", f"{name!r} is none of the flow", legal=legal)
    known = {name: values.get(name, one.default) for name, one in flow.parameters.items()}
    nodes = tuple(
        msgspec.structs.replace(one, with_=_filled(one.with_, known)) for one in flow.nodes
    )
    return msgspec.structs.replace(flow, nodes=nodes)


@contextmanager
def opened(
    flow: Flow,
    node: str,
    learned: Fitted,
    tables: Mapping[str, Any],
    sandboxes: Sandboxes | None = None,
) -> Iterator[Batch]:
    """Open a flow on what the sources of a node hold.

    Parameters
    ----------
    tables
        Rows by source, which is named by its node, its title or its file: frames, lists of
        records, paths. Others are read from where their node says.
    sandboxes
        Makes what the flow's own code runs in; without it, such code is refused.

    Raises
    ------
    InvalidInput
        A source has no rows, or its file cannot be read; names it.
    """
    with _loaded(flow, node, tables) as (connection, folder):
        lock(connection)
        with explained(connection, flow.until(node)):
            yield Batch(
                connection, flow, learned, programs=_programs(flow, node, folder, sandboxes)
            )


def _programs(flow: Flow, node: str, folder: Path, sandboxes: Sandboxes | None) -> Programs | None:
    """Make what runs code, where a node needs it."""
    code = {"custom.pandas", "custom.pyspark", "custom.python"}
    if sandboxes is None or code.isdisjoint(one.operator for one in flow.until(node)):
        return None
    return sandboxes(folder / "sandbox")


@contextmanager
def _loaded(
    flow: Flow, node: str, tables: Mapping[str, Any]
) -> Iterator[tuple[DuckDBPyConnection, Path]]:
    _all_wanted(flow, tables)
    with session() as (connection, folder):
        for one in flow.until(node):
            if one.operator == "source":
                sources.load(connection, one, _given(one, tables), folder)
        yield connection, folder


def fitted(
    flow: Flow,
    node: str,
    learned: Fitted,
    tables: Mapping[str, Any],
    sandboxes: Sandboxes | None = None,
) -> Fitted:
    """Learn what a node needs."""
    with opened(flow, node, learned, tables, sandboxes) as batch:
        return batch.fit(node)


def table(
    flow: Flow,
    node: str,
    learned: Fitted,
    tables: Mapping[str, Any],
    sandboxes: Sandboxes | None = None,
    *,
    limit: int | None = None,
) -> tuple[pa.Table, Fitted]:
    """Compute the rows of a node, or the first of them; with what was learned for it.

    The table's metadata tell where its columns come from, and so does a Parquet file of it.
    """
    with opened(flow, node, learned, tables, sandboxes) as batch:
        rows, after = batch.rows(node), batch.fitted
        found = (rows if limit is None else rows.limit(limit)).to_arrow_table()
    return found.replace_schema_metadata({ORIGINS: json.dumps(told(flow, node, after))}), after


def run(
    flow: Flow,
    learned: Fitted,
    tables: Mapping[str, Any],
    sandboxes: Sandboxes | None = None,
) -> tuple[list[Written], Fitted]:
    """Write what every destination gets; with what was learned for it.

    Raises
    ------
    InvalidInput
        The flow has no destination.
    """
    ends = [one for one in flow.nodes if one.operator == "destination"]
    if not ends:
        hint = "add a destination, or write one node: --to out.parquet"
        raise InvalidInput("flow", "has no destination: there is nothing to write", hint=hint)
    found = []
    for one in ends:
        if "path" not in one.with_:
            problem = f"the node {one.id} writes to {one.with_.get('uri', 'nowhere')}"
            raise NotSupported(problem, hint="give it a path, or write one node: --to out.parquet")
        [rows], place = one.inputs, Path(one.with_["path"])
        with _loaded(flow, rows, tables) as (connection, folder):
            lock(connection, place.parent.absolute())
            batch = Batch(
                connection, flow, learned, programs=_programs(flow, rows, folder, sandboxes)
            )
            with explained(connection, flow.until(rows)):
                learned = batch.fit(rows)
                count = destinations.write(connection, rows, one)
            found.append(Written(one.id, str(place), count))
    return found, learned


def _all_wanted(flow: Flow, tables: Mapping[str, Any]) -> None:
    """Refuse rows of what is no source: the rows of a source would be taken for them."""
    known = [one for one in flow.nodes if one.operator == "source"]
    names = {name for one in known for name in _names(one)}
    for name in tables:
        if name not in names:
            legal = ", ".join(one.id for one in known[:20])
            raise InvalidInput("sources", f"the flow has no source {name!r}", legal=legal)


def _names(node: Node) -> tuple[str, ...]:
    place = node.with_.get("path") or node.with_.get("uri") or ""
    return (node.id, node.title, str(place).rpartition("/")[2])


def _given(node: Node, tables: Mapping[str, Any]) -> Any:
    place = node.with_.get("path") or node.with_.get("uri")
    found = next((tables[name] for name in _names(node) if name in tables), place)
    if found is None:
        problem = f"the source {node.id} has no file of its own, and no rows are given for it"
        raise InvalidInput("sources", problem, hint=f"give them by its name, {node.id!r}")
    return found


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _HOLE.sub(lambda match: _value(match[1], known), value)
    if isinstance(value, dict):
        return {name: _filled(one, known) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, known) for one in value]
    return value


def _value(name: str, known: Mapping[str, Any]) -> str:
    if known.get(name) is None:
        raise InvalidInput("parameter", f"{name!r} has no value", hint=f"--set {name}=…")
    return str(known[name])
