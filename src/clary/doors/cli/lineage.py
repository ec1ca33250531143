"""clary lineage."""

from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from clary.doors.cli.homes import open_home
from clary.doors.cli.models import find_version
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import show, show_json
from clary.lineage.model import Node

app = new_app()


@app.command()
def lineage(
    version: Annotated[str, typer.Argument(help="GROUP/VERSION, GROUP for the newest, or ARN.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what a model version was made from.

    The tree ends at the digests of the input files.
    """
    platform = open_home(home)
    node = platform.lineage.tree(find_version(platform, version).ref)
    if as_json:
        show_json(node)
    else:
        show(_tree(node))


def _tree(node: Node) -> Tree:
    made = Tree(_label(node))
    stack = [(made, node)]
    while stack:
        branch, parent = stack.pop()
        stack += [(branch.add(_label(child)), child) for child in parent.children]
    return made


def _label(node: Node) -> Text:
    text = Text(f"{node.role}: " if node.role else "", style="dim")
    if node.digest:
        text.append(node.uri, style="cyan")
        text.append(f"  sha256:{node.digest}  {node.size_bytes} bytes", style="dim")
    else:
        text.append(str(node.ref), style="bold")
    if node.seen:
        text.append("  (see above)", style="dim")
    return text
