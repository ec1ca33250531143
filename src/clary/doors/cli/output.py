"""How commands show data: as JSON or as a table; and notes, which go to stderr."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

_PIPE_WIDTH = 4096
_COLOURS = {
    "Succeeded": "green",
    "Completed": "green",
    "Approved": "green",
    "InService": "green",
    "safe": "green",
    "ok": "green",
    "Failed": "red",
    "Rejected": "red",
    "dangerous": "red",
    "missing": "red",
    "Executing": "cyan",
    "InProgress": "cyan",
    "Creating": "cyan",
    "Updating": "cyan",
    "RollingBack": "yellow",
    "Deleting": "yellow",
    "unknown": "yellow",
    "Stopped": "yellow",
    "Stopping": "yellow",
    "PendingManualApproval": "yellow",
    "note": "yellow",
}


def console() -> Console:
    """Return where data goes; nothing is wrapped or cut when that is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def show(drawn: RenderableType) -> None:
    """Print what rich draws; without the blanks at the ends of lines when nobody sees them."""
    out = console()
    if out.is_terminal:
        out.print(drawn)
        return
    with out.capture() as captured:
        out.print(drawn)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def note(text: str) -> None:
    """Say something about the answer, beside it."""
    sys.stderr.write(f"{text}\n")


def show_json(value: Any) -> None:
    """Print a JSON-able value, indented."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def show_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print rows with the same keys as a table, or as a JSON array; ``empty`` is said of none."""
    if as_json:
        show_json(rows)
    elif not rows:
        note(empty)
    else:
        show(table(rows))


def show_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one document: nested members as indented JSON."""
    if as_json:
        show_json(document)
        return
    width = max(map(len, document), default=0)
    out = console()
    for name, value in document.items():
        text = Text(f"{name:<{width}}  ", style="dim")
        lines = cell(value).plain.split("\n")
        text.append_text(cell(value) if len(lines) == 1 else Text("\n  ".join(["", *lines])))
        out.print(text, soft_wrap=True)


def empty_table() -> Table:
    """Return a table without columns, with a rule below its head on a terminal."""
    return Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out rows under their keys."""
    made = empty_table()
    for name in rows[0]:
        numeric = isinstance(rows[0][name], int | float)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell(value) for value in row.values()))
    return made


def cell(value: Any) -> Text:
    """Write one value for people."""
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(f"{value.astimezone():%Y-%m-%d %H:%M:%S}")
    if isinstance(value, float):
        return Text(f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}")
    if isinstance(value, dict | list):
        return Text(msgspec.json.format(msgspec.json.encode(value)).decode())
    return Text(printable(str(value)), style=_COLOURS.get(str(value), ""))


def printable(text: str) -> str:
    """Return ``text`` without control characters that would move a terminal's cursor."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
