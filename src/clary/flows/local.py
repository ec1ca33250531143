"""Flows run in this process, on frames and on files."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from clary.flows import destinations, documents, sources
from clary.flows.batch import Batch
from clary.flows.bounds import resolved
from clary.flows.failures import explained
from clary.flows.fitted import write as fitted_as
from clary.flows.origins import KEPT, told
from clary.flows.reach import NOWHERE, is_remote
from clary.flows.sessions import lock, session, stamps
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path, PurePath

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow, Node
    from clary.flows.reach import Reach
    from clary.flows.sandboxed import Programs

ORIGINS = "clary.origins"
"""The key of a table's metadata under which its columns' origins stand as JSON."""
_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Written(msgspec.Struct, frozen=True):
    """What a destination got: the file, or ``feature-group:NAME``, and how many rows."""

    node: str
    path: str
    rows: int


def set_values(flow: Flow, values: Mapping[str, Any]) -> Flow:
    """Put values in the places of the parameters of a flow.

    Raises
    ------
    InvalidInput
        A value is for no parameter, or a parameter has none; or a value leads out of the folder
        that a path names before it.
    """
    for name in values.keys() - flow.parameters.keys():
        legal = ", ".join(flow.parameters) or "none: the flow has no parameters"
        raise InvalidInput("parameter", f"{name!r} is none of the flow", legal=legal)
    known = {name: values.get(name, one.default) for name, one in flow.parameters.items()}
    nodes = tuple(
        msgspec.structs.replace(one, with_=_filled(one.with_, known)) for one in flow.nodes
    )
    for before, after in zip(flow.nodes, nodes, strict=True):
        if before.operator in {"source", "destination"}:
            _stays(before, after)
    return msgspec.structs.replace(flow, nodes=nodes)


@contextmanager
def opened(
    flow: Flow,
    node: str,
    learned: Fitted,
    tables: Mapping[str, Any],
    reach: Reach = NOWHERE,
) -> Iterator[Batch]:
    """Open a flow on what the sources of a node hold.

    Parameters
    ----------
    tables
        Rows by source, which is named by its node, its title or its file: frames, lists of
        records, paths. Others are read from where their node says.
    reach
        What the flow may use: by default files alone.

    Raises
    ------
    InvalidInput
        A source has no rows, or its file cannot be read; names it.
    """
    nodes = flow.until(node)
    with _loaded(flow, nodes, tables, reach) as (connection, folder):
        lock(connection)
        with explained(connection, nodes):
            yield Batch(connection, flow, learned, programs=_programs(nodes, folder, reach))


def _programs(nodes: Sequence[Node], folder: Path, reach: Reach) -> Programs | None:
    """Make what runs code, where a node needs it."""
    code = {"custom.pandas", "custom.pyspark", "custom.python"}
    if reach.sandboxes is None or code.isdisjoint(one.operator for one in nodes):
        return None
    return reach.sandboxes(folder / "sandbox")


@contextmanager
def _loaded(
    flow: Flow, nodes: Sequence[Node], tables: Mapping[str, Any], reach: Reach
) -> Iterator[tuple[DuckDBPyConnection, Path]]:
    _all_wanted(flow, tables)
    with session() as (connection, folder):
        for one in nodes:
            if one.operator == "source":
                rows, is_own = _rows(one, tables)
                bounds = reach.bounds.get(one.id) if is_own else None
                sources.load(connection, one, rows, folder, reach, bounds)
        before = stamps(connection, folder)
        yield connection, folder
        for was, now in zip(before, stamps(connection, folder), strict=True):
            if was != now:
                problem = f"{was[0]} has changed while it was read: the rows are of no one moment"
                raise InvalidInput("sources", problem, hint="run the flow again")


def fitted(
    flow: Flow,
    node: str,
    learned: Fitted,
    tables: Mapping[str, Any],
    reach: Reach = NOWHERE,
) -> Fitted:
    """Learn what a node needs."""
    with opened(flow, node, learned, tables, reach) as batch:
        return batch.fit(node)


def table(
    flow: Flow,
    node: str,
    learned: Fitted,
    tables: Mapping[str, Any],
    reach: Reach = NOWHERE,
    *,
    limit: int | None = None,
) -> tuple[pa.Table, Fitted]:
    """Compute the rows of a node, or the first of them; with what was learned for it.

    The table's metadata tell where its columns come from, and so does a Parquet file of it.
    """
    with opened(flow, node, learned, tables, reach) as batch:
        rows, after = batch.rows(node), batch.fitted
        found = (rows if limit is None else rows.limit(limit)).to_arrow_table()
    return found.replace_schema_metadata({ORIGINS: json.dumps(told(flow, node, after))}), after


def run(
    flow: Flow,
    learned: Fitted,
    tables: Mapping[str, Any],
    reach: Reach = NOWHERE,
) -> tuple[list[Written], Fitted]:
    """Write what every destination gets; with what was learned for it.

    Sources are read once for all of them. Each destination is replaced at once, when all of its
    rows are written.

    Raises
    ------
    InvalidInput
        The flow has no destination, or one is where a source is.
    """
    ends = [one for one in flow.nodes if one.operator == "destination"]
    if not ends:
        hint = '.write("out.parquet") adds one; in the shell, --to out.parquet stands for one'
        raise InvalidInput("flow", "has no destination: there is nothing to write", hint=hint)
    wanted = {one.id for end in ends for one in flow.until(end.inputs[0])}
    nodes = [one for one in flow.nodes if one.id in wanted]
    _keep_sources(nodes, tables, ends)
    found = []
    with _loaded(flow, nodes, tables, reach) as (connection, folder), ExitStack() as stack:
        places = [destinations.place(one, reach, folder) for one in ends]
        parts = [stack.enter_context(destinations.beside(one)) for one in places]
        lock(connection, *parts)
        batch = Batch(connection, flow, learned, programs=_programs(nodes, folder, reach))
        for one, place, part in zip(ends, places, parts, strict=True):
            [rows] = one.inputs
            with explained(connection, flow.until(rows)):
                batch.fit(rows)
                notes = {ORIGINS: json.dumps(told(flow, rows, batch.fitted))}
                count = destinations.write(connection, rows, one, place, part, notes)
            kept = partial(_kept, flow, rows, batch.fitted)
            found.append(Written(one.id, destinations.sent(one, place, reach, kept), count))
    return found, batch.fitted


def _kept(flow: Flow, node: str, learned: Fitted) -> dict[str, bytes]:
    """Write what a feature group keeps of the flow that fills it."""
    texts = {
        "flow.json": documents.write(flow),
        "fitted.json": fitted_as(learned),
        KEPT: json.dumps(told(flow, node, learned), indent=1),
    }
    return {name: text.encode() for name, text in texts.items()}


def _keep_sources(nodes: Sequence[Node], tables: Mapping[str, Any], ends: Sequence[Node]) -> None:
    """See to it that nothing is written where rows come from."""
    written = [destinations.named(one) for one in ends if "feature_group" not in one.with_]
    for node in nodes:
        rows = _rows(node, tables)[0] if node.operator == "source" else None
        if not isinstance(rows, str | os.PathLike):
            continue
        source = _found(os.fspath(rows))
        for place in written:
            to = _found(place)
            if source in (to, *to.parents) or to in source.parents:
                problem = f"{place} is what the source {node.id} reads, and stays as it is"
                raise InvalidInput("destination", problem, hint="write to another place")


def _found(place: str) -> PurePath:
    return PurePosixPath(place) if is_remote(place) else resolved(place)


def _stays(before: Node, after: Node) -> None:
    """See to it that values in a path stay below the folder that it names before them."""
    for key in ("path", "uri"):
        place = before.with_.get(key)
        if not isinstance(place, str):
            continue
        folder = place.partition("{{")[0].rpartition("/")[0]
        if "{{" not in place or not folder:
            continue
        root = os.path.abspath(folder).rstrip("/")  # noqa: PTH100 - of s3:// too, and no links
        if not os.path.abspath(after.with_[key]).startswith(f"{root}/"):  # noqa: PTH100 the same
            problem = f"{after.with_[key]!r} leaves {folder!r}"
            raise InvalidInput(f"{before.operator} {before.id}", problem)


def _all_wanted(flow: Flow, tables: Mapping[str, Any]) -> None:
    """Refuse rows of what is no source: the rows of a source would be taken for them."""
    known = [one for one in flow.nodes if one.operator == "source"]
    names = {name for one in known for name in _names(one)}
    for name in tables:
        if name not in names:
            legal = ", ".join(dict.fromkeys(x for one in known[:20] for x in _names(one) if x))
            raise InvalidInput("sources", f"the flow has no source {name!r}", legal=legal)


def _names(node: Node) -> tuple[str, ...]:
    place = node.with_.get("path") or node.with_.get("uri") or ""
    return (node.id, node.title, str(place).rpartition("/")[2])


def _rows(node: Node, tables: Mapping[str, Any]) -> tuple[Any, bool]:
    """Give the rows of a source, and whether they are its own."""
    given = next((tables[name] for name in _names(node) if name in tables), None)
    return (_own(node), True) if given is None else (given, False)


def _own(node: Node) -> str | None:
    """Give the path of a source; None where it is a feature group."""
    place: str | None = node.with_.get("path") or node.with_.get("uri")
    if place is None and not node.with_.get("feature_group"):
        problem = f"the source {node.id} has no file of its own, and no rows are given for it"
        hint = f"give them by its name, {node.id!r}; Flow.read(…) begins with a file"
        raise InvalidInput("sources", problem, hint=hint)
    return place


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
        raise InvalidInput(
            "parameter",
            f"{name!r} has no value",
            hint=f".parameter({name!r}, …), or --set {name}=… in the shell",
        )
    return str(known[name])
