"""Lineage trees as graphs in the languages of Mermaid and Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.kernel.names import Ref
    from clary.lineage.model import Node

    Edge = tuple[Ref, Ref, str]


def mermaid(node: Node, *, down: bool) -> str:
    """Draw a tree as a Mermaid flowchart, data flowing to the right."""
    names, edges = _graph(node, down=down)
    lines = ["flowchart LR"]
    for name, label, is_content in names.values():
        shown = label.replace('"', "#quot;").replace("\n", " ")
        lines.append(f'  {name}[("{shown}")]' if is_content else f'  {name}["{shown}"]')
    for source, target, role in edges:
        shown = role.replace('"', "#quot;").replace("|", "#124;")
        arrow = f' -->|"{shown}"| ' if shown else " --> "
        lines.append(f"  {names[source][0]}{arrow}{names[target][0]}")
    return "\n".join(lines)


def dot(node: Node, *, down: bool) -> str:
    """Draw a tree as a Graphviz digraph, data flowing to the right."""
    names, edges = _graph(node, down=down)
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for name, label, is_content in names.values():
        shape = "cylinder" if is_content else "box"
        lines.append(f"  {name} [label={_quoted(label)}, shape={shape}];")
    for source, target, role in edges:
        said = f" [label={_quoted(role)}]" if role else ""
        lines.append(f"  {names[source][0]} -> {names[target][0]}{said};")
    return "\n".join([*lines, "}"])


def _graph(node: Node, *, down: bool) -> tuple[dict[Ref, tuple[str, str, bool]], list[Edge]]:
    """Give every thing of a tree a name and a label, and the edges in the data's direction."""
    names: dict[Ref, tuple[str, str, bool]] = {}
    edges: dict[Edge, None] = {}
    for above, one in _pairs(node):
        shown = printable(one.uri if one.digest else str(one.ref)).replace("\n", " ")
        label = f"{shown}\n{one.digest[:12]}" if one.digest else shown
        names.setdefault(one.ref, (f"n{len(names)}", label, bool(one.digest)))
        if above is not None:
            ends = (above.ref, one.ref) if down else (one.ref, above.ref)
            edges[*ends, printable(one.role).replace("\n", " ")] = None
    return names, list(edges)


def _pairs(node: Node) -> Iterator[tuple[Node | None, Node]]:
    """Yield every node with the one above it."""
    stack: list[tuple[Node | None, Node]] = [(None, node)]
    while stack:
        above, one = stack.pop()
        yield above, one
        stack += [(one, child) for child in reversed(one.children)]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
