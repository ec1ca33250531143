"""clary lineage."""

import enum
from importlib import import_module
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from clary.doors.cli.homes import open_home
from clary.doors.cli.lineage_drawings import dot, mermaid
from clary.doors.cli.models import find_version
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import printable, show, show_json, show_rows
from clary.kernel.errors import NotFound
from clary.kernel.names import Ref, parse_arn
from clary.lineage.model import Node
from clary.platform import Platform

app = new_app()


class Drawing(enum.StrEnum):
    """How a graph is written for another program."""

    MERMAID = "mermaid"
    DOT = "dot"


@app.command()
def lineage(  # noqa: PLR0917 - each is a named option on the command line
    thing: Annotated[
        str, typer.Argument(help="GROUP/VERSION, GROUP for its newest, an ARN, or an s3:// URI.")
    ],
    down: Annotated[
        bool, typer.Option("--down", help="What became of it instead: who used it, for what.")
    ] = False,
    depth: Annotated[
        int, typer.Option(min=0, help="So many steps, from content to job or back; 0: all.")
    ] = 0,
    columns: Annotated[
        bool, typer.Option("--columns", help="Of tables that flows made: where columns come from.")
    ] = False,
    drawing: Annotated[
        Drawing | None, typer.Option("--draw", help="Write a graph for another program.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what a model version, a job or a file was made from.

    The tree ends at the digests of the input files.
    """
    platform = open_home(home)
    node = platform.lineage.tree(_find(platform, thing), down=down, depth=depth)
    if columns:
        recorded = import_module("clary.flows.recorded").recorded  # it takes a while
        rows = [
            {"table": one.uri, "column": name, "computed from": ", ".join(origins)}
            for one in recorded(platform.lineage, platform.objects, node)
            for name, origins in one.origins.items()
        ]
        show_rows(rows, as_json=as_json, empty="no flow made any of it")
    elif as_json:
        show_json(node)
    elif drawing is not None:
        typer.echo((mermaid if drawing is Drawing.MERMAID else dot)(node, down=down))
    else:
        show(tree_of(node))


def _find(platform: Platform, thing: str) -> Ref:
    """Name what is meant: the newest content of a URI, what an ARN names, or a model version."""
    if thing.startswith("s3://"):
        config = platform.config
        return platform.lineage.newest(Ref(config.account, config.region, "", ""), thing)
    if thing.startswith("arn:"):
        ref = parse_arn(thing, field="thing")
        if platform.store.get(ref) is None:
            raise NotFound(thing)
        return ref
    return find_version(platform, thing).ref


def tree_of(node: Node) -> Tree:
    """Draw a tree for a terminal."""
    made = Tree(_label(node))
    stack = [(made, node)]
    while stack:
        branch, parent = stack.pop()
        stack += [(branch.add(_label(child)), child) for child in parent.children]
    return made


def _label(node: Node) -> Text:
    text = Text(f"{printable(node.role)}: " if node.role else "", style="dim")
    if node.digest:
        text.append(printable(node.uri), style="cyan")
        text.append(f"  sha256:{node.digest}  {node.size_bytes} bytes", style="dim")
    else:
        text.append(str(node.ref), style="bold")
    if node.seen:
        text.append("  (see above)", style="dim")
    return text
